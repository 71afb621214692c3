"""From what a model says of a window to bands at any level: round its forecast, or by quantiles of its own.

Inputs: forecasts of windows and, where the model gives them, quantiles; half-widths (timellm.evaluation.intervals).
Outputs: how far an actual value lies from what was said, and the ends of bands.

Round a forecast, a distance is the absolute error over the window's spread. With quantiles, it is measured by these: a
value at the model's quantile of level q has the normal score of q (0 at the middle, 1.28 at 10 and 90 %), between two
quantiles it is interpolated, and beyond the outermost one the mean slope of its side goes on. A band is what lies
within a half-width of the middle. So the band of a model whose quantiles are right has a half-width of 1.28 at 80 %;
conformal calibration finds the half-width that holds its promise, narrower or wider. That is conformalised quantile
regression (Romano, Patterson and Candes, 2019, arXiv 1905.03222) with the scaled distance of Kivaranovic et al. (2020,
arXiv 1905.10634), instead of a distance in the data's units for each level: with one distance for all levels, bands of
all levels are nested, levels between the model's own can be had, and bands adapt as those of other models do.

Quantiles never cross: they are sorted, which makes their pinball loss no larger (Chernozhukov et al., 2010,
Econometrica 78). Equal ones are drawn apart by a small share of the window's spread, so that every distance is finite.

Shapes: W windows, H horizon, Q quantiles, L levels of bands.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np

LEAST_SLOPE = 0.02
"""Of a window's spread, what quantiles are drawn apart by for each unit of the normal score."""


@dataclass(frozen=True)
class Predicted:
    """What a model says of some windows, in original units."""

    forecast_WH: np.ndarray
    spread_W: np.ndarray
    """What errors are divided by (timellm.evaluation.intervals.window_spread)."""
    quantiles_WHQ: np.ndarray | None = None
    """The model's own; None where its bands lie round the forecast."""
    levels: tuple[float, ...] = ()
    """Those of the quantiles, rising, one below 0.5 and one above it."""

    def distances(self, actual_WH: np.ndarray) -> np.ndarray:
        """How far actual values lie from what was said, [W, H], 0 or more; NaN where a value is missing."""
        if self.quantiles_WHQ is None:
            return np.abs(actual_WH - self.forecast_WH) / self.spread_W[:, None]
        score_Q, knots, (below_WH, above_WH) = self._score_Q, self._knots, self._slopes
        found_WH = score_Q[0] + np.minimum(actual_WH - knots[0], 0) / below_WH
        for place in range(1, len(knots)):
            width_WH = knots[place] - knots[place - 1]
            inside_WH = np.clip((actual_WH - knots[place - 1]) / width_WH, 0, 1)
            found_WH += inside_WH * (score_Q[place] - score_Q[place - 1])
        found_WH += np.maximum(actual_WH - knots[-1], 0) / above_WH
        return np.abs(found_WH)

    def ends(self, width_WHL: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper ends [W, H, L] of bands with these half-widths; NaN where a half-width is."""
        if self.quantiles_WHQ is None:
            half_WHL = width_WHL * self.spread_W[:, None, None]
            return self.forecast_WH[..., None] - half_WHL, self.forecast_WH[..., None] + half_WHL
        return self._at(-width_WHL), self._at(width_WHL)

    def own_ends(self, levels: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Ends [W, H, L] of the bands at `levels`, in percent, by the model's quantiles as they are."""
        width_L = np.array([NormalDist().inv_cdf(0.5 + level / 200) for level in levels])
        return self.ends(np.broadcast_to(width_L, (*self.forecast_WH.shape, len(levels))))

    def at(self, rows: np.ndarray | slice) -> Predicted:
        """Some of the windows."""
        quantiles = None if self.quantiles_WHQ is None else self.quantiles_WHQ[rows]
        return Predicted(self.forecast_WH[rows], self.spread_W[rows], quantiles, self.levels)

    def steps(self, places: np.ndarray) -> Predicted:
        """Some steps of the horizon."""
        quantiles = None if self.quantiles_WHQ is None else self.quantiles_WHQ[:, places]
        return Predicted(self.forecast_WH[:, places], self.spread_W, quantiles, self.levels)

    @cached_property
    def _score_Q(self) -> np.ndarray:
        return np.array([NormalDist().inv_cdf(level) for level in self.levels])

    @cached_property
    def _knots(self) -> list[np.ndarray]:
        """[W, H] of each quantile, strictly rising."""
        assert self.quantiles_WHQ is not None
        sorted_WHQ = np.sort(np.asarray(self.quantiles_WHQ, np.float64), axis=-1)
        apart_W1 = LEAST_SLOPE * self.spread_W[:, None]
        return [sorted_WHQ[..., place] + apart_W1 * score for place, score in enumerate(self._score_Q)]

    @cached_property
    def _slopes(self) -> tuple[np.ndarray, np.ndarray]:
        """[W, H] below the lowest quantile and above the highest: the mean slopes from the middle to there."""
        score_Q, knots = self._score_Q, self._knots
        upper = int(np.searchsorted(score_Q, 0.0))  # of the two quantiles round the middle, or the middle itself
        share = (0 - score_Q[upper - 1]) / (score_Q[upper] - score_Q[upper - 1])
        middle_WH = knots[upper - 1] + share * (knots[upper] - knots[upper - 1])
        return (middle_WH - knots[0]) / -score_Q[0], (knots[-1] - middle_WH) / score_Q[-1]

    def _at(self, score_WHL: np.ndarray) -> np.ndarray:
        """The values [W, H, L] that have these normal scores."""
        score_Q, knots, (below_WH, above_WH) = self._score_Q, self._knots, self._slopes
        found_WHL = knots[0][..., None] + np.minimum(score_WHL - score_Q[0], 0) * below_WH[..., None]
        for place in range(1, len(knots)):
            share_WHL = np.clip((score_WHL - score_Q[place - 1]) / (score_Q[place] - score_Q[place - 1]), 0, 1)
            found_WHL += share_WHL * (knots[place] - knots[place - 1])[..., None]
        found_WHL += np.maximum(score_WHL - score_Q[-1], 0) * above_WH[..., None]
        return found_WHL
