"""Our numbers beside the published ones: how far apart they are, and whether that may be noise.

Inputs: a row of results and a published record. Outputs: `Beside`. Noise is reckoned from the spread over our seeds: a
published number counts as one more run, whose place the mean and the spread of n runs predict with 95 % certainty up to
t(n - 1) * s * sqrt(1 + 1/n) (the prediction interval of one more draw), and half a unit of its last printed digit is
added. One seed tells nothing about noise, and a closed form has none to reckon with: nothing is said then.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from timellm.protocols.published import Published
from timellm.protocols.result_rows import Row

Judgement = Literal["within noise", "beyond noise", "one seed"]
_CERTAINTY = 0.95


@dataclass(frozen=True)
class Beside:
    """A row of ours and what a paper reports of such a model on the same task."""

    published: Published
    difference: float
    """Our error less the published one; negative where ours is lower."""
    noise: float | None
    """How far the two may lie apart by noise alone; None where that cannot be told."""
    same_context: bool | None
    """Whether both models saw equally many rows; None where the paper's are not known."""

    @property
    def judgement(self) -> Judgement:
        """What the difference is."""
        if self.noise is None:
            return "one seed"
        return "within noise" if abs(self.difference) <= self.noise else "beyond noise"

    def __str__(self) -> str:
        words = f"{self.difference:+.3f}, {self.judgement}"
        return words if self.same_context else f"{words}, context {self.published.context or 'not known'}"


def beside(row: Row, record: Published, *, ours: str = "mse_batches", theirs: str = "mse") -> Beside | None:
    """A row beside a record; None where one of them lacks the number: `ours` of the row, `theirs` of the record."""
    mean, reported = row.mean(ours), record.value(theirs)
    if mean is None or reported is None:
        return None
    context = row.first.numbers.get("context")
    same = None if record.context is None else record.context == context
    return Beside(record, mean - reported, _noise(row, ours, rounding=record.rounding(theirs)), same)


def _noise(row: Row, name: str, *, rounding: float) -> float | None:
    spread, count = row.spread(name), len(row.values(name))
    if spread is None:
        return None
    from scipy import stats

    t = float(stats.t.ppf((1 + _CERTAINTY) / 2, count - 1))
    return t * spread * math.sqrt(1 + 1 / count) + rounding
