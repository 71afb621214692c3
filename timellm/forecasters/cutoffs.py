"""Which test windows a slow forecaster forecasts: an evenly spaced part of each channel's, decided once.

Inputs: the windows of the test part and a number. Outputs: the chosen ones, as plain numbers for a file. Windows whose
target is not wholly inside the test part, such as those beyond the data, are always forecast.

Shapes: W windows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from timellm.config import BudgetConfig
from timellm.data.prepared import PreparedData
from timellm.data.windows import Split, WindowIndex

OVER_BUDGET, OVER_LIMIT = "over the time budget", "over the limit on test windows"
NO_CONTEXT = "with values missing before the origin"


@dataclass(frozen=True)
class Cutoffs:
    """The chosen windows of a test part."""

    begin: int
    """First row of the test part."""
    end: int
    """Row after its last."""
    origins: Mapping[int, tuple[int, ...]] | None
    """Chosen origins by channel; None: all."""
    reason: str = OVER_BUDGET
    """Why the others are left out."""

    @classmethod
    def within_budget(
        cls, prepared: PreparedData, limits: BudgetConfig, *, title: str, window_s: float
    ) -> tuple[Self, tuple[str, ...]]:
        """The test windows that there is time for if one takes `window_s`, and a note if these are not all.

        Of the test part, only which windows there are is looked at.
        """
        index = prepared.windows("test")
        count, most = max(1, int(limits.budget_s / window_s)), limits.most_windows or len(index)
        reason = OVER_LIMIT if most < count else OVER_BUDGET
        chosen = replace(cls.choose(index, prepared.split, count=min(count, most)), reason=reason)
        held = int(chosen.holds(index, horizon=prepared.horizon, rows=len(prepared.values)).sum())
        if held == len(index):
            return chosen, ()
        why = f"a window takes {window_s:.2g} s, and the budget is {limits.budget_s:g} s"
        if reason == OVER_LIMIT:
            why = f"most_windows is {most:,}"
        return chosen, (f"{title} forecasts {held:,} of {len(index):,} test windows, evenly spaced: {why}",)

    @classmethod
    def choose(cls, index: WindowIndex, split: Split, *, count: int) -> Self:
        """At most `count` of the windows of `index`, as many of each channel as there is room for.

        With fewer than one window a channel, they are evenly spaced over the whole list.
        """
        begin, end = split.bounds("test")
        if count >= len(index):
            return cls(begin, end, None)
        channels = np.unique(index.channel)
        each = count // len(channels)
        if each == 0:
            some = index.evenly(count)
            return cls(begin, end, _by_channel(some))
        parts = [index.origin[index.channel == channel] for channel in channels]
        kept = [part[np.linspace(0, len(part) - 1, min(each, len(part))).round().astype(np.int64)] for part in parts]
        channel = np.repeat(channels, [len(part) for part in kept])
        return cls(begin, end, _by_channel(WindowIndex(channel, np.concatenate(kept), 0)))

    def holds(self, index: WindowIndex, *, horizon: int, rows: int) -> np.ndarray:
        """Whether each window [W] is to be forecast, in a table of `rows` rows."""
        inside_W = (index.origin >= self.begin) & (index.origin + horizon <= min(self.end, rows))
        if self.origins is None:
            return np.ones(len(index), bool)
        chosen_W = np.zeros(len(index), bool)
        for channel in np.unique(index.channel[inside_W]):
            mine_W = index.channel == channel
            chosen_W[mine_W] = np.isin(index.origin[mine_W], self.origins.get(int(channel), ()))
        return chosen_W | ~inside_W

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        origins = None if self.origins is None else {str(name): list(some) for name, some in self.origins.items()}
        return {"begin": self.begin, "end": self.end, "origins": origins, "reason": self.reason}

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        origins = tree["origins"]
        if origins is not None:
            origins = {int(name): tuple(int(origin) for origin in some) for name, some in origins.items()}
        reason = str(tree.get("reason", OVER_BUDGET))  # earlier versions kept none
        return cls(int(tree["begin"]), int(tree["end"]), origins, reason)


EVERY = Cutoffs(0, 0, None)
"""Nothing is left out."""


def _by_channel(index: WindowIndex) -> dict[int, tuple[int, ...]]:
    return {
        int(channel): tuple(int(origin) for origin in index.origin[index.channel == channel])
        for channel in np.unique(index.channel)
    }
