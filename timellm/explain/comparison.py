"""Two attentions beside each other: of two channels of a run, or of two runs.

Inputs: their mean attention to each prototype, and the prototypes' words. Outputs: the pairs, and how alike they are.
Prototypes of two runs are the same ones if they began at the same words; otherwise they are matched by their nearest
word, and those that share it are added up.

Shapes: V, U prototypes, M matched ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from timellm.config import ModelConfig
from timellm.errors import DataError
from timellm.explain.period import PeriodAttention

TOP = 20
"""Most attended prototypes whose overlap is counted."""
_FEWEST = 3


@dataclass(frozen=True)
class Pairs:
    """Mean attention to the same prototypes, by two channels or runs."""

    labels: tuple[str, ...]
    first_M: np.ndarray
    second_M: np.ndarray
    by_name: bool
    """Matched by their nearest word, because they are not the same prototypes."""
    left_out: int
    """Prototypes of the first without a partner."""

    @property
    def correlation(self) -> float:
        """Of the two; NaN where one is the same for all prototypes."""
        if not self.first_M.std() or not self.second_M.std():
            return float("nan")
        return float(np.corrcoef(self.first_M, self.second_M)[0, 1])

    @property
    def counted(self) -> int:
        """How many most attended prototypes of each are compared."""
        return min(TOP, len(self.first_M))

    @property
    def shared(self) -> int:
        """How many of the most attended ones are among those of both."""
        one, other = (set(np.argsort(-of_M, kind="stable")[: self.counted]) for of_M in (self.first_M, self.second_M))
        return len(one & other)

    @property
    def shared_by_chance(self) -> float:
        """How many would be if there was nothing in common."""
        return self.counted**2 / len(self.first_M)

    @property
    def nothing_in_common(self) -> bool:
        """Whether neither the overlap nor the correlation is more than chance."""
        many = self.shared > self.shared_by_chance + 2 * np.sqrt(self.shared_by_chance)
        return not many and not self.correlation > 2 / np.sqrt(len(self.first_M))

    def sentence(self) -> str:
        """How alike the two are, and how far the comparison carries."""
        alike = "no correlation is defined"
        if not math.isnan(self.correlation):
            alike = f"the correlation is {self.correlation:.2f}"
        text = (
            f"Of the {self.counted} prototypes that each attends most, {self.shared} are the same (by chance it would"
            f" be {self.shared_by_chance:.1f}); {alike} over {len(self.labels):,} prototypes."
        )
        if self.nothing_in_common:
            text += " They have no more in common than by chance: which words are attended says nothing about the data."
        if not self.by_name:
            return text
        return (
            f"{text} The runs began with different prototypes, so these are matched by their nearest word, and"
            f" {self.left_out:,} names of the first have no partner: read this with care."
        )


def same_prototypes(first: ModelConfig, second: ModelConfig, *, seeds: tuple[int, int]) -> bool:
    """Whether prototypes of two runs that have one number began as the same ones."""
    names = ("backbone", "prototypes", "prototype_source", "prototype_start")
    if any(getattr(first, name) != getattr(second, name) for name in names):
        return False
    drawn = first.prototype_source == "map" or first.prototype_start == "map"  # from random numbers
    return not drawn or seeds[0] == seeds[1]


def compare(first: PeriodAttention, second: PeriodAttention) -> Pairs:
    """The mean attention of two test periods, side by side.

    Raises:
        DataError: hardly any prototype of one has a name of the other.
    """
    one, other = first.prepared.config, second.prepared.config
    if same_prototypes(one.model, other.model, seeds=(one.trained.seed, other.trained.seed)):
        return Pairs(first.labels, first.mean_V, second.mean_V, by_name=False, left_out=0)
    named, of_other = _by_name(first), _by_name(second)
    both = [name for name in named if name in of_other]
    if len(both) < _FEWEST:
        raise DataError(
            f"the prototypes of the two runs share {len(both)} of their nearest words, so their attention cannot be"
            " compared; choose a run with the same backbone"
        )
    first_M, second_M = (np.array([found[name] for name in both]) for found in (named, of_other))
    return Pairs(tuple(both), first_M, second_M, by_name=True, left_out=len(named) - len(both))


def _by_name(period: PeriodAttention) -> dict[str, float]:
    found: dict[str, float] = {}
    for words, attention in zip(period.reader.words, period.mean_V, strict=True):
        name = words[0].strip().casefold() if words else ""
        if name:
            found[name] = found.get(name, 0.0) + float(attention)
    return found
