"""Memory and time of a ridge, counted from the settings: as a run of its own, beside every run, and as a linear path.

Inputs: what is asked of the ridge, and the table's size. The shares of the machine's speed were measured on one core of
an AMD EPYC with AVX2; docs/measurements.md says how near the counts come.

Shapes: L lags read, H horizon, F features, N channels.
"""

from __future__ import annotations

from typing import get_args

from timellm.config import LinearFallback, RidgeConfig, RunConfig, TimeLLMConfig
from timellm.forecasters.ridge.limits import (
    BATCH_VALUES,
    LEVEL_COLUMNS,
    MOST_CALENDAR,
    MOST_LAGS,
    MOST_RECENT_CHANNELS,
    MOST_TRIED_WINDOWS,
    RECENT_COLUMNS,
    may_have_own_maps,
)
from timellm.sizing.machine import MachineFacts
from timellm.sizing.table import TableSize, training_windows, validation_windows

_REACHED = 0.4
"""Share of the float32 rate of a large product that float64 products reach."""
_COPIES = 3
"""Arrays as large as a batch's windows that are held at once."""
_MOVED_COPIES = 3
"""Arrays as large as the table where maps are told of other channels."""
_TRIALS, _PARTS = 3, 6
"""Fits that decide what a map should know, and the parts of the table that they are made of."""
_KINDS = {"plain": 1, "level": 1, "calendar": 1, "auto": 3}
_OPERATIONS_A_DECOMPOSITION = 14
"""With the products that follow, as a multiple of F cubed."""


class RidgeNeed:
    """What one ridge needs."""

    def __init__(
        self, config: RunConfig, table: TableSize, *, asked: RidgeConfig | TimeLLMConfig | None = None
    ) -> None:
        """`asked` says what the maps may know, by default as little as can be; what is open counts as the most."""
        asked = asked or RidgeConfig()
        features, maps = asked.linear_features, asked.linear_maps
        self._horizon = config.task.horizon
        lags = min(config.task.context, MOST_LAGS)
        added = {"plain": 0, "level": LEVEL_COLUMNS, "calendar": MOST_CALENDAR, "auto": MOST_CALENDAR + LEVEL_COLUMNS}
        alone = lags + 1 + added[features]
        self._channels = channels = len(config.data.channels) or table.channels
        self._windows = training_windows(config, table) + validation_windows(config, table)
        own = maps == "by_channel" or (
            maps == "auto" and may_have_own_maps(channels, features=alone, horizon=self._horizon)
        )
        asked_others = asked.linear_others if 1 < channels <= MOST_RECENT_CHANNELS else "none"
        others = asked_others == "recent" or (asked_others == "auto" and own)
        self._features = alone + others * RECENT_COLUMNS * channels
        self._moved = _MOVED_COPIES * others * table.rows * channels
        self._own = own or others
        self._kinds = _KINDS[features]
        # Another fallback is tried with the simplest features alone, and told nothing of other channels.
        fallbacks = len(get_args(LinearFallback)) if asked.linear_fallback == "auto" else 1
        kinds = self._kinds * (2 if others and asked_others == "auto" else 1) + fallbacks - 1
        self._choices = kinds * (2 if maps == "auto" and own else 1)

    @property
    def bytes(self) -> float:
        """Most bytes at once."""
        values = min(BATCH_VALUES, self._windows * (self._features + self._horizon))
        # Sums over the windows of all channels and of one, and the decomposition of one of them.
        sums = (2 * _PARTS if self._choices > 1 else 2) + 4
        return 8 * (_COPIES * values + sums * self._features**2 + self._moved) + self.map_bytes

    @property
    def map_bytes(self) -> float:
        """Bytes of the maps."""
        return 8.0 * (1 + self._own * self._channels) * self._features * self._horizon

    def seconds(self, facts: MachineFacts) -> float:
        """Seconds on a processor."""
        passes = 2 if self._own else 1
        maps = 1 + self._own * self._channels
        one = _OPERATIONS_A_DECOMPOSITION * self._features**3
        operations, moved = self._pass(self._windows, passes)
        operations += maps * one
        if self._choices > 1:
            tried = min(self._windows, MOST_TRIED_WINDOWS)
            more, more_moved = self._pass(tried, passes)
            judged = tried * 2 * self._choices * self._features * self._horizon
            operations += more + judged + _TRIALS * self._kinds * maps * one
            moved += more_moved
        return operations / (_REACHED * 1e9 * facts.gflops["float32"]) + moved / (facts.gib_per_s * 2**30)

    def _pass(self, windows: int, times: int) -> tuple[float, float]:
        """Operations, and bytes moved, of sums over windows."""
        columns = self._features + self._horizon
        return times * 2.0 * windows * self._features * columns, times * 6.0 * 8 * windows * columns


def ridges_of(config: RunConfig, table: TableSize) -> list[RidgeNeed]:
    """The ridges of a run: the plain one beside every run, and the run's own, if it is a ridge or has a linear path."""
    found = [RidgeNeed(config, table)]
    forecaster = config.forecaster
    if isinstance(forecaster, RidgeConfig):
        found = [RidgeNeed(config, table, asked=forecaster)]
    elif isinstance(forecaster, TimeLLMConfig) and forecaster.linear_path != "none":
        found.append(RidgeNeed(config, table, asked=forecaster))
    return found
