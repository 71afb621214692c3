"""Forecasts that need no training: what was last, and what was one or a few seasons ago.

Inputs: the past of a table, and windows, each named by its channel [W] and its origin [W], the row of its first
forecast step. Outputs: forecasts [W, H] in the units of the table. Nothing at or after the origin is looked at; the
past may reach back before a window's context. A value that is missing is filled as in a context (timellm.data.gaps), or
gives NaN if it is not to be filled, and so does a row before the table.

Drift and seasonal naive are those of Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 3rd edition,
section 5.2; drift and growth of whole seasons are the same ideas applied to a season's mean.

Shapes: W windows, H horizon, S rows of one season that the horizon reaches, K rows before the origin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from timellm.data.gaps import Past
from timellm.data.seasonality import season_title

Method = Literal["last", "drift", "seasonal", "mean", "seasonal_drift", "seasonal_growth"]
METHODS: tuple[Method, ...] = get_args(Method)
_MEANS = (2, 3, 4)
"""Seasons that are averaged; with more of them, the oldest ones say little."""


_NAMES: dict[Method, str] = {
    "last": "Last value",
    "drift": "Drift",
    "seasonal": "Seasonal naive",
    "mean": "Mean of the last {seasons} seasons",
    "seasonal_drift": "Seasonal naive with drift",
    "seasonal_growth": "Seasonal naive with growth",
}


def is_simple(title: str) -> bool:
    """Whether a model's name, as scores have it, is that of a simple forecast, also of an earlier version."""
    return title.startswith(tuple(name.partition("{")[0] for name in _NAMES.values()))


@dataclass(frozen=True)
class Windows:
    """Windows that are forecast."""

    past: Past
    channel: np.ndarray
    """[W]."""
    origin: np.ndarray
    """[W]; may be one past the last row."""
    horizon: int

    def before(self, back_K: np.ndarray) -> np.ndarray:
        """Values [W, K] so many rows before each origin, counted from 1; NaN before the table."""
        rows_WK = self.origin[:, None] - back_K
        # A negative index would wrap round to the future.
        values_WK = self.past.before(self.origin, channel=self.channel, rows_WK=np.maximum(rows_WK, 0))
        return np.where(rows_WK >= 0, values_WK, np.nan)

    def repeated(self, season_WS: np.ndarray) -> np.ndarray:
        """A season's values, over and over: [W, H]."""
        return season_WS[:, np.arange(self.horizon) % season_WS.shape[1]]

    def cycle(self, season: int) -> np.ndarray:
        """Number of the season that each step lies in, from 1: [H]."""
        return 1 + np.arange(self.horizon) // season


def last_value(windows: Windows) -> np.ndarray:
    """The value before the origin, repeated: [W, H]."""
    return windows.repeated(windows.before(np.array([1])))


def drift(windows: Windows, *, rows: int) -> np.ndarray:
    """The straight line through the first and the last of the `rows` values before the origin, at least 2: [W, H]."""
    last_W1, first_W1 = np.hsplit(windows.before(np.array([1, rows])), 2)
    return last_W1 + (last_W1 - first_W1) / (rows - 1) * np.arange(1, windows.horizon + 1)


def seasonal_naive(windows: Windows, *, season: int) -> np.ndarray:
    """The last whole season before the origin, repeated: [W, H]; `season` is in rows."""
    return mean_of_seasons(windows, season=season, seasons=1)


def mean_of_seasons(windows: Windows, *, season: int, seasons: int) -> np.ndarray:
    """The mean of the last `seasons` whole seasons, repeated: [W, H]; `season` is in rows."""
    step_S = np.arange(min(season, windows.horizon))
    total_WS = windows.before(season - step_S)
    for number in range(2, seasons + 1):
        total_WS += windows.before(number * season - step_S)
    return windows.repeated(total_WS / seasons)


def seasonal_drift(windows: Windows, *, season: int) -> np.ndarray:
    """The last season, plus the mean step from the season before for every season ahead: [W, H]."""
    before_WS, last_WS = np.hsplit(windows.before(np.arange(2 * season, 0, -1)), 2)
    step_W = (last_WS - before_WS).mean(axis=1)
    return windows.repeated(last_WS) + step_W[:, None] * windows.cycle(season)


def seasonal_growth(windows: Windows, *, season: int) -> np.ndarray:
    """The last season, times its ratio to the season before for every season ahead: [W, H].

    NaN where a value of the two seasons is not positive, because a ratio says nothing then.
    """
    before_WS, last_WS = np.hsplit(windows.before(np.arange(2 * season, 0, -1)), 2)
    positive_W = (before_WS > 0).all(axis=1) & (last_WS > 0).all(axis=1)
    ratio_W = np.divide(
        last_WS.mean(axis=1), before_WS.mean(axis=1), out=np.full(len(last_WS), np.nan), where=positive_W
    )
    with np.errstate(over="ignore"):  # infinity is what it forecasts then
        return windows.repeated(last_WS) * ratio_W[:, None] ** windows.cycle(season)


@dataclass(frozen=True)
class Rule:
    """One of the simple forecasts."""

    method: Method
    rows: int = 1
    """Rows of a season; for the drift, those that the line spans."""
    seasons: int = 1
    """Seasons that it looks at."""

    @property
    def past_rows(self) -> int:
        """Rows that it needs before an origin."""
        return self.rows * self.seasons

    def title(self, frequency: str) -> str:
        """Its name for a reader, on a table of this frequency."""
        name = _NAMES[self.method].format(seasons=self.seasons)
        return name if self.method in ("last", "drift") else f"{name}, {season_title(self.rows, frequency)}"

    def weights(self, *, context: int, horizon: int) -> np.ndarray:
        """The weight of each row of a context of at least `past_rows` for each step ahead, [L, H], oldest row first.

        Every rule but growth is a weighted sum of past values, and its weights sum to 1.
        """
        assert self.method != "seasonal_growth" and self.past_rows <= context
        one_LL = np.eye(context)  # as many channels as rows: each is 1 at its own row, and 0 elsewhere
        return self.forecast(Windows(Past(one_LL, None), np.arange(context), np.full(context, context), horizon))

    def forecast(self, windows: Windows) -> np.ndarray:
        """Forecasts [W, H], NaN where it has none; each is the same whatever other windows there are."""
        if self.method == "last":
            return last_value(windows)
        if self.method == "drift":
            return drift(windows, rows=self.rows)
        if self.method == "seasonal_drift":
            return seasonal_drift(windows, season=self.rows)
        if self.method == "seasonal_growth":
            return seasonal_growth(windows, season=self.rows)
        return mean_of_seasons(windows, season=self.rows, seasons=self.seasons)


def rules_for(seasons: tuple[int, ...], *, context: int, positive: bool) -> tuple[Rule, ...]:
    """Every rule for these seasons, the simplest first; those with growth only where all values are `positive`."""
    rules = [Rule("last"), Rule("drift", rows=context)]
    for season in seasons:
        rules.append(Rule("seasonal", season))
        rules += [Rule("mean", season, seasons=count) for count in _MEANS]
        rules.append(Rule("seasonal_drift", season, seasons=2))
        if positive:
            rules.append(Rule("seasonal_growth", season, seasons=2))
    return tuple(rules)
