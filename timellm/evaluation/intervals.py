"""Prediction intervals from the errors of earlier forecasts: split conformal, made adaptive under drift.

Inputs: errors of a model on validation windows. Outputs: half-widths of bands by channel and horizon step, at any level
from 10 to 99 %; a band is the forecast plus and minus its half-width.

An error is divided by the spread of its window's context (`window_spread`), because windows of one channel may differ
in size. The half-width at level L is then the k-th smallest absolute error times the spread of the new window, with
k = ceil((n + 1) L) of n windows (Lei et al., 2018, arXiv 1604.04173). With fewer windows than L / (1 - L) there is no
such k, and the band is NaN. The windows overlap and the model was chosen on them, so that what is promised holds
approximately. What was achieved on the test part is measured (`timellm.evaluation.coverage`).

Over the test part the levels adapt (Gibbs and Candes, 2021, arXiv 2106.00170): each level has a miss rate, which moves
down after a miss and up otherwise, and the half-width is the quantile at this rate. Departures: with a horizon of H
steps the outcome of step h is known h rows later, so that the rate moves by a share of the gain that shrinks with h;
beyond the largest error the half-width grows in proportion instead of becoming infinite; and a level is at least as
wide as each lower one, so that bands never cross.

Shapes: W windows, N channels, H horizon, S groups of neighbouring steps, G levels of the grid, L levels asked for,
K columns that adapt alike, one for each channel and step.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from timellm.data.windows import SHARE_OF_SCALE
from timellm.errors import ConfigError

NO_INTERVALS = (
    "This run was scored by an earlier version, which kept no intervals: evaluate the run again "
    "(python -m timellm evaluate) to have bands."
)
DEFAULT_LEVELS = (80, 95)
LEAST_LEVEL, MOST_LEVEL = 10, 99
GRID = (10, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 92, 94, 95, 96, 97, 98, 99, 100)
"""Levels in percent at which quantiles are kept; 100 is the largest error. Between two of them, quantiles are
interpolated."""
GAIN, MOST_GAIN = 0.05, 0.01
"""How far a miss rate moves for one outcome: the gain as a share of the windows that begin before it is known, and no
more than the most. With 0.05 as the most, a few misses in a row made bands of the next rows seven times as wide."""
_BEYOND = 4.0
"""How fast half-widths grow beyond the largest error: twice as wide where the miss rate is a quarter below zero."""


def check_levels(levels: Iterable[int]) -> tuple[int, ...]:
    """Levels in percent, rising, each once.

    Raises:
        ConfigError: one is no whole number from 10 to 99.
    """
    found = sorted(set(levels))
    for level in found:
        if isinstance(level, bool) or not isinstance(level, int) or not LEAST_LEVEL <= level <= MOST_LEVEL:
            raise ConfigError(
                f"a band of {level} % cannot be drawn; give whole numbers from {LEAST_LEVEL} to {MOST_LEVEL}"
            )
    return tuple(found)


def band_columns(level: int) -> tuple[str, str]:
    """The columns of a frame that hold the lower and the upper end of a band, as users of the Nixtla libraries know."""
    return f"yhat-lo-{level}", f"yhat-hi-{level}"


def fewest_windows(level: int) -> int:
    """Validation windows that a band needs."""
    return math.ceil(level / (100 - level))


def window_spread(context_WT: np.ndarray, scale_W: np.ndarray) -> np.ndarray:
    """What errors of each window are divided by, [W]: its context's deviation, with a share of the channel's scale.

    NaN where a context misses values.
    """
    return np.hypot(context_WT.std(axis=1), SHARE_OF_SCALE * scale_W)


def step_groups(horizon: int, most: int) -> np.ndarray:
    """First step, from 0, of at most `most` groups of neighbouring steps, [S]: later groups are longer."""
    if most >= horizon:
        return np.arange(horizon)
    edges = np.geomspace(1, horizon + 1, max(most, 1) + 1)
    return np.unique(edges[:-1].astype(np.int64) - 1)


@dataclass(frozen=True)
class Calibration:
    """The quantiles of one model's absolute errors, each divided by its window's spread."""

    windows_N: np.ndarray
    """Validation windows of each channel with a forecast."""
    first_S: np.ndarray
    """First step, from 0, of each group of steps that share quantiles."""
    quantile_NSG: np.ndarray
    """Rising over G; NaN for a channel without a window."""
    adapted_NSG: np.ndarray | None = None
    """The same at the end of the test part, after adapting to it; None where nothing was adapted."""

    def half_width(
        self, channel_W: np.ndarray, levels: tuple[int, ...], *, horizon: int, adapted: bool = True
    ) -> np.ndarray:
        """Half-widths of windows of these channels in spreads, [W, H, L]; NaN where `why_none` says why.

        `adapted` gives those after the test part, if there are any.
        """
        quantile_NSG = self.adapted_NSG if adapted and self.adapted_NSG is not None else self.quantile_NSG
        group_H = np.searchsorted(self.first_S, np.arange(horizon), side="right") - 1
        width_WHG = quantile_NSG[channel_W][:, group_H].astype(np.float64)
        width_WHL = at_levels(width_WHG, levels)
        for place, level in enumerate(levels):
            width_WHL[self.windows_N[channel_W] < fewest_windows(level), :, place] = np.nan
        return width_WHL

    def by_step(self, channel: int, horizon: int) -> np.ndarray:
        """The quantiles of one channel for each step, [H, G]."""
        group_H = np.searchsorted(self.first_S, np.arange(horizon), side="right") - 1
        return self.quantile_NSG[channel][group_H].astype(np.float64)

    def why_none(self, channel: int, level: int) -> str | None:
        """Why a channel has no band at a level, as a sentence; None if it has one."""
        windows, needed = int(self.windows_N[channel]), fewest_windows(level)
        if windows >= needed:
            return None
        return (
            f"A {level} % band needs {needed:,} validation windows of the channel, and there are {windows:,}; "
            "choose a lower level, or enlarge the validation part with 'split'."
        )


def calibrate(score_WH: np.ndarray, first_S: np.ndarray) -> tuple[int, np.ndarray]:
    """Windows and quantiles [S, G] of one channel's absolute errors [W, H], in spreads, NaN without a forecast."""
    ends = [*first_S[1:], score_WH.shape[1]]
    groups = [score_WH[:, begin:end].ravel() for begin, end in zip(first_S, ends, strict=True)]
    if all(len(one) == len(groups[0]) for one in groups):  # as a rule each group is one step
        quantile_SG = _quantiles(np.stack(groups, axis=1))
    else:
        quantile_SG = np.concatenate([_quantiles(one[:, None]) for one in groups])
    return int((~np.isnan(score_WH)).any(axis=1).sum()), quantile_SG


def at_levels(width_G: np.ndarray, levels: tuple[int, ...]) -> np.ndarray:
    """Half-widths at `levels` from those of the grid; the last axis is the level."""
    grid = np.array(GRID, np.float64)
    upper_L = np.searchsorted(grid, levels)
    lower_L = np.maximum(upper_L - 1, 0)
    span_L = np.where(upper_L > lower_L, grid[upper_L] - grid[lower_L], 1.0)
    share_L = np.where(upper_L > lower_L, (np.array(levels) - grid[lower_L]) / span_L, 0.0)
    return width_G[..., lower_L] * (1 - share_L) + width_G[..., upper_L] * share_L


def adapt(
    score_WK: np.ndarray, *, origin_W: np.ndarray, step_K: np.ndarray, quantile_KG: np.ndarray, end: int
) -> Iterator[np.ndarray]:
    """Half-widths [K, G] at the origin of each window in turn, and last at row `end`; all in spreads.

    score_WK: absolute errors in spreads, NaN where an outcome is unknown; step_K: the step of each column, from 1;
    origin_W: rising. Half-widths at an origin rest on outcomes of the rows before it alone: that of step h of the
    window at origin o is known from row o + h on.
    """
    windows, columns = score_WK.shape
    nominal_G = 1 - np.array(GRID) / 100
    rate_KG = np.tile(nominal_G, (columns, 1))
    spacing = float(np.median(np.diff(origin_W))) if windows > 1 else 1.0
    gain_K1 = np.minimum(GAIN / np.maximum(step_K / spacing, 1.0), MOST_GAIN)[:, None]
    missed_WKG = np.zeros((windows, columns, len(GRID)), bool)
    unknown_WK, each_K, next_K = np.isnan(score_WK), np.arange(columns), np.zeros(columns, np.int64)
    for number, row in enumerate((*origin_W.tolist(), end)):
        while True:
            at_K = np.minimum(next_K, max(windows - 1, 0))
            ready_K = (next_K < number) & (origin_W[at_K] + step_K <= row) if windows else np.zeros(columns, bool)
            if not ready_K.any():
                break
            learn_K = ready_K & ~unknown_WK[at_K, each_K]
            rate_KG += gain_K1 * learn_K[:, None] * (nominal_G - missed_WKG[at_K, each_K])
            next_K += ready_K
        width_KG = _at_rates(quantile_KG, rate_KG)
        yield width_KG
        if number < windows:
            missed_WKG[number] = score_WK[number][:, None] > width_KG


def _at_rates(quantile_KG: np.ndarray, rate_KG: np.ndarray) -> np.ndarray:
    """Quantiles at miss rates: interpolated, from 0 at level 0, and growing beyond the largest error."""
    grid = np.array((0, *GRID), np.float64)
    level_KG = np.clip(100 * (1 - rate_KG), 0, 100)
    upper_KG = np.searchsorted(grid[1:], level_KG)  # place among GRID
    share_KG = (level_KG - grid[upper_KG]) / (grid[upper_KG + 1] - grid[upper_KG])
    high_KG = np.take_along_axis(quantile_KG, upper_KG, axis=1)
    low_KG = np.where(upper_KG > 0, np.take_along_axis(quantile_KG, np.maximum(upper_KG - 1, 0), axis=1), 0.0)
    width_KG = (low_KG + share_KG * (high_KG - low_KG)) * (1 + _BEYOND * np.maximum(-rate_KG, 0))
    return np.maximum.accumulate(width_KG, axis=1)


def _quantiles(score_WS: np.ndarray) -> np.ndarray:
    """Conformal quantiles [S, G] of each column, unknown errors left out; the largest where there are too few."""
    sorted_WS = np.sort(score_WS, axis=0)  # NaN comes last
    count_S = (~np.isnan(score_WS)).sum(axis=0)
    rank_GS = np.ceil((count_S + 1) * np.array(GRID)[:, None] / 100 - 1e-9).astype(np.int64)
    rank_GS = np.clip(np.minimum(rank_GS, count_S), 1, None)
    found_GS = np.take_along_axis(sorted_WS, rank_GS - 1, axis=0) if len(sorted_WS) else np.full(rank_GS.shape, np.nan)
    return found_GS.T
