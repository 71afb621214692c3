"""Whether weights were learned from the rows on which they are scored, where one table's weights meet another table.

Inputs: the table that was learned from, and the one that is scored. Outputs: a count of rows, and the sentence for it.

Shapes: R rows, N channels.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from timellm.data.prepared import PreparedData
from timellm.forecasting.artifacts import RunFolder
from timellm.training.checkpoint import COMPANIONS

_SAME = 1e-9
"""Relative difference up to which two values are one that was written in two ways."""
_ANOTHER = 0.5
"""With fewer equal values than this share, it is another series with the same name."""


def rows_seen(learned: PreparedData, scored: PreparedData) -> int:
    """Rows of the test part of `scored` that the training or validation part of `learned` holds, too."""
    begin, end = scored.split.bounds("test")
    first, last = learned.split.train_begin, learned.split.validation_end
    theirs, ours = learned.table.values.iloc[first:last], scored.table.values.iloc[begin:end]
    both, names = ours.index.intersection(theirs.index), [one for one in ours if one in theirs]
    if not len(both) or not names:
        return 0
    left_RN, right_RN = (one.loc[both, names].to_numpy(np.float64) for one in (theirs, ours))
    known_RN = ~np.isnan(left_RN) & ~np.isnan(right_RN)
    equal_RN = known_RN & np.isclose(left_RN, right_RN, rtol=_SAME, atol=0)
    copies_N = equal_RN.sum(axis=0) > _ANOTHER * known_RN.sum(axis=0)
    return int(equal_RN[:, copies_N].any(axis=1).sum())


def seen_note(folder: Path, scored: PreparedData) -> tuple[str, ...]:
    """What to say if the weights in `folder` were learned from test rows of `scored`; empty if not.

    Adapters alone come without their tables, so nothing is known of them.
    """
    if not all((folder / name).is_file() for name in COMPANIONS[:3]):
        return ()
    return learned_from(folder.name, RunFolder(folder).prepared(), scored)


def learned_from(name: str, learned: PreparedData, scored: PreparedData) -> tuple[str, ...]:
    """What to say if weights that are called `name` were learned from test rows of `scored`; empty if not."""
    rows = rows_seen(learned, scored)
    if not rows:
        return ()
    return (
        f"The weights from {name} were learned from {rows:,} rows that are in this test part, so its errors are too"
        " low: they are no test.",
    )
