"""Change values of a kept forecast by hand, with who did it and why; the model's numbers stay as they are.

Inputs: an entry and new values. Outputs: one more file of the entry. Only values that change are written, so that two
people who adjust different moments do not meet. Where they change the same value, the later one holds, both stay in the
history, and the later one is told.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from timellm.data.table import LARGEST_VALUE
from timellm.errors import LedgerError
from timellm.ledger.entry import Adjustment, Change, Entry, new_id, said
from timellm.ledger.folder import Ledger
from timellm.ledger.points import current, points


@dataclass(frozen=True)
class Adjusted:
    """What was written."""

    adjustment: Adjustment
    met: tuple[str, ...]
    """Who else had changed one of these values since the person looked at them."""


def adjust(
    ledger: Ledger, entry: Entry, wanted: pd.DataFrame, *, by: str, reason: str, seen: Iterable[str] | None = None
) -> Adjusted:
    """Put the values `wanted` (unique_id, ds, value) in place of those of today; NaN takes the model's again.

    `seen` are the ids of the adjustments that the person had in view; who changed one of the same values since is named
    in the result.

    Raises:
        LedgerError: nobody or no reason is named, a moment is not forecast or its actual value is known already, a
            value is no usable number, nothing changes, or the ledger cannot be written.
    """
    by, reason = said(by, what="the name of the person who adjusts"), said(reason, what="the reason")
    rows = points(ledger, entry).set_index(["unique_id", "ds"])
    rows["current"] = current(rows)
    changes = tuple(_changes(rows, wanted))
    if not changes:
        raise LedgerError("these values stand there already, so nothing was adjusted; change one and try again")
    made = Adjustment(new_id(), datetime.now(UTC), by, reason, changes)
    ledger.add_adjustment(entry.id, made)
    touched = {(one.channel, one.moment) for one in changes}
    known = None if seen is None else {*seen, made.id}
    others = () if known is None else tuple(one for one in ledger.adjustments(entry.id) if one.id not in known)
    met = {one.by for one in others if touched & {(change.channel, change.moment) for change in one.changes}}
    return Adjusted(made, tuple(sorted(met)))


def _changes(rows: pd.DataFrame, wanted: pd.DataFrame) -> Iterable[Change]:
    for channel, moment, value in wanted[["unique_id", "ds", "value"]].itertuples(index=False):
        if (channel, moment) not in rows.index:
            raise LedgerError(f"{moment} of channel '{channel}' is not among the moments of this forecast")
        row = rows.loc[(channel, moment)]
        if np.isnan(value):
            if np.isnan(row["adjusted"]):
                continue
        elif abs(value) > LARGEST_VALUE:
            raise LedgerError(f"{value:g} at {moment} of channel '{channel}' is too large to be scored")
        elif np.isclose(value, row["current"], rtol=1e-12, atol=0):
            continue
        if not np.isnan(row["y"]):
            raise LedgerError(
                f"the actual value of channel '{channel}' at {moment} is known already, so an adjustment of it would be"
                " hindsight; adjust moments that are still open"
            )
        yield Change(
            str(channel), pd.Timestamp(moment), float(row["current"]), None if np.isnan(value) else float(value)
        )
