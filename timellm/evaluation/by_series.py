"""SMAPE and MASE as the M4 competition has them: of each series over its held-out values, then the mean over series.

Inputs: the held-out values of every series, forecasts of them, and the values before. Outputs: one number a series, and
means over series. Definitions as in Makridakis et al. 2020, "The M4 Competition", International Journal of Forecasting
36 (1), section 2.3, and its published code. Point errors are those of timellm.evaluation.metrics.

Shapes: N series, R rows, H horizon.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from timellm.evaluation.metrics import METRICS, point_errors


@dataclass(frozen=True)
class SeriesErrors:
    """Errors of one model by series; NaN where one is undefined."""

    smape_N: np.ndarray
    """In percent, 0 to 200."""
    mase_N: np.ndarray

    @classmethod
    def of(cls, actual_NH: np.ndarray, forecast_NH: np.ndarray, *, naive_error_N: np.ndarray) -> Self:
        """From values and forecasts in original units.

        `naive_error_N` is timellm.evaluation.metrics.seasonal_naive_error of all values before the held-out ones. MASE
        is undefined where it is 0 or unknown, SMAPE where an actual value and its forecast are both 0. A series with a
        forecast that is not finite has no error.
        """
        errors = point_errors(actual_NH, forecast_NH)
        mae_N = errors["absolute"].mean(axis=1)
        divisor_N = np.where(naive_error_N > 0, naive_error_N, np.nan)
        found = cls(METRICS["smape"].factor * errors["symmetric"].mean(axis=1), mae_N / divisor_N)
        return found.only(np.isfinite(forecast_NH).all(axis=1))

    def only(self, some_N: np.ndarray) -> Self:
        """The errors of some series, bool [N]; the others have none."""
        return type(self)(np.where(some_N, self.smape_N, np.nan), np.where(some_N, self.mase_N, np.nan))

    @property
    def smape(self) -> float:
        """Mean over the series that have one."""
        return _mean(self.smape_N)

    @property
    def mase(self) -> float:
        """Mean over the series that have one."""
        return _mean(self.mase_N)

    @property
    def defined_N(self) -> np.ndarray:
        """Which series have both errors, bool [N]."""
        return np.isfinite(self.smape_N) & np.isfinite(self.mase_N)

    def owa(self, naive2: SeriesErrors) -> float:
        """Mean of the ratios of both means to those of Naive2, over the series of which both models have both errors.

        NaN where an error of Naive2 is 0 or there is no such series.
        """
        shared_N = self.defined_N & naive2.defined_N
        own, other = self.only(shared_N), naive2.only(shared_N)
        if not (other.smape > 0 and other.mase > 0):
            return float("nan")
        return (own.smape / other.smape + own.mase / other.mase) / 2


def _mean(values_N: np.ndarray) -> float:
    known = values_N[np.isfinite(values_N)]
    return float(known.mean()) if len(known) else float("nan")
