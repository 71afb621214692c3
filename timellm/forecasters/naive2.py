"""Naive2, the yardstick of OWA: the last value, adjusted for the season where the training rows have one.

Inputs: training rows and windows. Outputs: forecasts [W, H] in original units. It is the benchmark of the M4
competition (Makridakis et al. 2020) and its published code: if the autocorrelation at one season is significant at
90 %, seasonal factors are those of a classical multiplicative decomposition; the last value is divided by its factor,
and multiplied by that of each step.

Departures: the factors come from the training rows, not from all rows before each origin, so that one decomposition
serves all windows; a channel with a training value of 0 or less is decomposed additively, because a ratio says nothing
there; a missing value is left out of every sum.

Shapes: R training rows, N channels, S rows of a season, W windows, H horizon.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from timellm.data.seasonality import lagged_products
from timellm.forecasters.simple_rules import Windows

if TYPE_CHECKING:
    from timellm.data.prepared import PreparedData
    from timellm.data.windows import WindowIndex

NAIVE2 = "Naive2"
_CRITICAL = 1.645  # of the normal distribution, at 90 %
_FEWEST_SEASONS = 3


@dataclass(frozen=True)
class Naive2:
    """Seasonal factors of every channel."""

    factors_NS: np.ndarray
    """By a row's number modulo the season; 1 (0 where additive) for a channel without one."""
    additive_N: np.ndarray

    @classmethod
    def fit(cls, training_RN: np.ndarray, *, season: int, begin: int = 0) -> Self:
        """Decompose each channel's training rows, NaN where a value is missing; `season` is in rows.

        `begin` is the row of the table at which they begin.
        """
        found = [_decomposed(values_R, season) for values_R in training_RN.T]
        factors_NS = np.stack([np.roll(factors_S, begin % season) for factors_S, _ in found])
        return cls(factors_NS, np.array([additive for _, additive in found]))

    def predict(self, prepared: PreparedData, index: WindowIndex) -> np.ndarray:
        """Forecasts [W, H] of the windows in `index`, float64; nothing at or after an origin is looked at."""
        past = prepared.without_effects.past  # a reference forecast, which is told nothing
        return self.forecast(Windows(past, index.channel, index.origin, prepared.horizon))

    def forecast(self, windows: Windows) -> np.ndarray:
        """The same of windows that belong to no prepared table."""
        channel, origin_W1, past = windows.channel, windows.origin[:, None], windows.past
        # In a gap that reaches the origin stands the value of an earlier row, with that row's factor.
        row_W1 = past.read_from(windows.origin, channel=channel, rows_WK=origin_W1 - 1)
        last_W1 = past.values_NR[channel[:, None], row_W1]
        at_W1 = self._factor(channel, row_W1)
        ahead_WH = self._factor(channel, origin_W1 + np.arange(windows.horizon))
        with np.errstate(over="ignore"):  # infinity is what it forecasts then
            return np.where(self.additive_N[channel, None], last_W1 - at_W1 + ahead_WH, last_W1 / at_W1 * ahead_WH)

    def _factor(self, channel: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return self.factors_NS[channel[:, None], rows % self.factors_NS.shape[1]]


def is_seasonal(values_R: np.ndarray, season: int) -> bool:
    """The M4 competition's test: whether the autocorrelation at one season differs from 0 at 90 %.

    Never for fewer than three seasons of values; `season` is in rows.
    """
    known_R = np.isfinite(values_R)
    count = int(known_R.sum())
    if season < 2 or count < _FEWEST_SEASONS * season:
        return False
    rest_R = np.where(known_R, values_R, 0.0)
    rest_R = np.where(known_R, rest_R - rest_R.sum() / count, 0.0)
    size = np.abs(rest_R).max()
    if size <= 1e-12 * np.abs(values_R[known_R]).max():  # a constant
        return False
    products_K = lagged_products(rest_R / size, season + 1)
    correlation_K = products_K / products_K[0]
    limit = _CRITICAL * np.sqrt((1 + 2 * np.square(correlation_K[1:season]).sum()) / count)
    return bool(abs(correlation_K[season]) > limit)


def _decomposed(values_R: np.ndarray, season: int) -> tuple[np.ndarray, bool]:
    """Factors by phase [S], and whether they are added rather than multiplied."""
    none = np.ones(season), False
    if not is_seasonal(values_R, season):
        return none
    additive = not bool((values_R[np.isfinite(values_R)] > 0).all())
    trend_R = _centred_mean(values_R, season)
    rest_R = values_R - trend_R if additive else values_R / trend_R
    phase_R = np.arange(len(rest_R)) % season
    known_R = np.isfinite(rest_R)
    count_S = np.bincount(phase_R[known_R], minlength=season)
    if not count_S.all():
        return none
    factors_S = np.bincount(phase_R[known_R], rest_R[known_R], season) / count_S
    return (factors_S - factors_S.mean(), True) if additive else (factors_S / factors_S.mean(), False)


def _centred_mean(values_R: np.ndarray, season: int) -> np.ndarray:
    """Mean over one season around each row, [R]: of an even season, its two ends count half. NaN without a value."""
    known_R = np.isfinite(values_R)
    middle = values_R[known_R].mean()  # sums of small numbers lose less
    sums = np.concatenate([[0.0], np.cumsum(np.where(known_R, values_R - middle, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known_R)])
    mean = (sums[season:] - sums[:-season]) / season + middle
    mean[counts[season:] - counts[:-season] < season] = np.nan
    if season % 2 == 0:
        mean = (mean[1:] + mean[:-1]) / 2
    mean_R = np.full(len(values_R), np.nan)
    mean_R[season // 2 : season // 2 + len(mean)] = mean
    return mean_R
