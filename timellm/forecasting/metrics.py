"""Error metrics, each one expression over arrays of actual values and forecasts.

Inputs: arrays of one shape, and an axis to average over (None: all of them). Outputs: a number or an array. Points at
which a metric is undefined (a missing value, a percentage of zero) are left out; where none remains the metric is NaN.
Definitions as in Hyndman and Athanasopoulos, Forecasting: Principles and Practice, section 5.8. Percentages are in
percent.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

METRICS = ("mae", "mse", "rmse", "mape", "mspe", "smape", "mase", "mse_scaled", "mae_scaled")


def mae(y: np.ndarray, yhat: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Mean absolute error, in the unit of the values."""
    return _mean(np.abs(y - yhat), axis)


def mse(y: np.ndarray, yhat: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Mean squared error, in the unit of the values squared."""
    return _mean(np.square(y - yhat), axis)


def rmse(y: np.ndarray, yhat: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Root of the mean squared error, in the unit of the values."""
    return np.sqrt(mse(y, yhat, axis))


def mape(y: np.ndarray, yhat: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Mean absolute error in percent of the actual value; points whose actual value is 0 are left out."""
    return 100 * _mean(np.abs(_ratio(y - yhat, y)), axis)


def mspe(y: np.ndarray, yhat: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Mean squared relative error: 100 times the mean of ((y - yhat) / y)^2; actual values of 0 are left out."""
    return 100 * _mean(np.square(_ratio(y - yhat, y)), axis)


def smape(y: np.ndarray, yhat: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Symmetric mean absolute percentage error as in M4, 0 to 200 percent; points with y = yhat = 0 are left out."""
    return 200 * _mean(_ratio(np.abs(y - yhat), np.abs(y) + np.abs(yhat)), axis)


def mase(y: np.ndarray, yhat: np.ndarray, naive_error: ArrayLike, axis: int | None = None) -> np.ndarray:
    """Mean absolute error as a multiple of the seasonal naive's on the training rows; below 1 beats it.

    Args:
        y: actual values.
        yhat: forecasts.
        naive_error: mean absolute error of the seasonal naive, broadcast to `y`; points where it is 0 are left out.
        axis: axis to average over.
    """
    return _mean(_ratio(np.abs(y - yhat), np.asarray(naive_error)), axis)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    whole = np.broadcast_to(whole, part.shape)
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole != 0)


def _mean(terms: np.ndarray, axis: int | None) -> np.ndarray:
    """Mean of the defined terms; NaN, without a warning, where there is none."""
    defined = ~np.isnan(terms)
    total, count = np.sum(terms, axis=axis, where=defined), np.sum(defined, axis=axis)
    return np.divide(total, count, out=np.full(np.shape(count), np.nan), where=count > 0)[()]
