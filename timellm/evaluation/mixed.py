"""Whether a verdict is mixed: better by one metric or on some channels, and worse by others or on others.

Inputs: `Scores` and the `Verdict` on them. Outputs: `Mixed`, with a sentence that says on which. Differences below one
percent count as equal, as in the verdict.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from timellm.evaluation.judge import EQUAL
from timellm.evaluation.metrics import METRICS
from timellm.evaluation.scores import Scores
from timellm.evaluation.verdict import Verdict, listed

_NAMED = 3  # channels
_FEW = 0.05
"""A smaller share of the channels than this is no second half of a verdict."""
_SETTLED = ("best", "worse", "equal", "luck")


@dataclass(frozen=True)
class Mixed:
    """Where a run's own model is better than the rival of its verdict, and where it is worse."""

    own: str
    rival: str
    metric: str
    better: tuple[str, ...]
    """Channels, the clearest first."""
    worse: tuple[str, ...]
    channels: int
    """With an error of both models."""
    by_metric: bool
    """Whether another metric reverses the verdict, which the verdict's sentence says."""

    @property
    def by_channel(self) -> bool:
        """Whether each of the two is better on a share of the channels that counts."""
        return min(len(self.better), len(self.worse)) > _FEW * self.channels

    def __bool__(self) -> bool:
        return self.by_channel or self.by_metric

    def sentence(self) -> str:
        """On which channels it is better and on which worse; empty if that is not mixed."""
        if not self.by_channel:
            return ""
        return (
            f"By channel the result is mixed: {self.own} has a lower {METRICS[self.metric].short} than {self.rival} on"
            f" {len(self.better):,} of {self.channels:,} ({_named(self.better)}) and a higher one on"
            f" {len(self.worse):,} ({_named(self.worse)})."
        )


def mixed(scores: Scores, verdict: Verdict) -> Mixed | None:
    """Where the verdict on a run's own model is true, and where it is not; None where there is nobody to compare with.

    Of a metric with a direction, only the other metrics count.
    """
    if verdict.rival is None or verdict.outcome not in _SETTLED:
        return None
    own_is_best = verdict.best == verdict.own
    by_metric = any(own_is_best or one.model == verdict.own for one in verdict.disagreeing)
    table = scores.by_channel.pivot(index="channel", columns="model", values=verdict.metric)
    if METRICS[verdict.metric].signed or verdict.rival not in table or verdict.own not in table:
        return Mixed(verdict.own, verdict.rival, verdict.metric, (), (), 0, by_metric)
    with np.errstate(divide="ignore", invalid="ignore"):
        change = (table[verdict.own] / table[verdict.rival] - 1).dropna().sort_values(kind="stable")
    better, worse = change[change <= -EQUAL], change[change >= EQUAL][::-1]
    return Mixed(
        own=verdict.own,
        rival=verdict.rival,
        metric=verdict.metric,
        better=tuple(map(str, better.index)),
        worse=tuple(map(str, worse.index)),
        channels=len(change),
        by_metric=by_metric,
    )


def _named(channels: tuple[str, ...]) -> str:
    if len(channels) <= _NAMED:
        return listed(channels)
    return f"{', '.join(channels[:_NAMED])} and {len(channels) - _NAMED:,} more"
