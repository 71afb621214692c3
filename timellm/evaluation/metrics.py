"""Error metrics as means of point errors, so that they can be added up batch by batch.

Inputs: actual values and forecasts of windows, and what each window's channel is measured against. Outputs: the errors
of every point, by term; and the nine metrics from sums and counts of these terms. A point at which a term is undefined
(a missing value, a percentage of zero) is left out of that term. Definitions as in Hyndman and Athanasopoulos,
Forecasting: Principles and Practice, section 5.8. Percentages are in percent.

Shapes: B windows of a batch, H horizon, R rows, N channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

METRICS = ("mae", "mse", "rmse", "mape", "mspe", "smape", "mase", "mse_scaled", "mae_scaled")


class Term(NamedTuple):
    """What a metric is the mean of."""

    name: str
    """Of the point error."""
    factor: float = 1.0
    root: bool = False


TERM_OF = {
    "mae": Term("absolute"),
    "mse": Term("squared"),
    "rmse": Term("squared", root=True),
    "mape": Term("percentage", 100),
    "mspe": Term("squared_percentage", 100),
    "smape": Term("symmetric", 200),
    "mase": Term("by_naive"),
    "mse_scaled": Term("squared_scaled"),
    "mae_scaled": Term("absolute_scaled"),
}
TERMS = tuple(dict.fromkeys(term.name for term in TERM_OF.values()))


def point_errors(
    actual_BH: np.ndarray, forecast_BH: np.ndarray, *, scale_B: np.ndarray, naive_error_B: np.ndarray
) -> dict[str, np.ndarray]:
    """Every term of every point, each [B, H], NaN where it is undefined.

    Args:
        actual_BH: actual values in original units, NaN where missing.
        forecast_BH: forecasts in original units, NaN where there is none.
        scale_B: the deviation by which each window's channel is z-scored.
        naive_error_B: the seasonal naive's error on the training rows of each window's channel.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is named in the notes of the scores
        error = actual_BH - forecast_BH
        absolute = np.abs(error)
        relative = _ratio(error, actual_BH)
        scaled = error / scale_B[:, None]
        return {
            "absolute": absolute,
            "squared": np.square(error),
            "percentage": np.abs(relative),
            "squared_percentage": np.square(relative),
            "symmetric": _ratio(absolute, np.abs(actual_BH) + np.abs(forecast_BH)),
            "by_naive": _ratio(absolute, naive_error_B[:, None]),
            "squared_scaled": np.square(scaled),
            "absolute_scaled": np.abs(scaled),
        }


def metrics_from(sums: Mapping[str, np.ndarray], counts: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The nine metrics from sums and counts of each term, all of one shape; NaN where no point is defined."""
    return {metric: metric_from(metric, sums[term.name], counts[term.name]) for metric, term in TERM_OF.items()}


def metric_from(metric: str, total: np.ndarray, count: np.ndarray) -> np.ndarray:
    """One metric from the sum of its term and the number of points in it."""
    term = TERM_OF[metric]
    total, count = np.asarray(total, np.float64), np.asarray(count)
    mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return (np.sqrt(mean) if term.root else mean * term.factor)[()]


def seasonal_naive_error(values_RN: np.ndarray, season: int) -> np.ndarray:
    """Mean absolute error of the seasonal naive over training rows: [N], the denominator of MASE.

    NaN for a channel without two values a season apart; `season` is in rows.
    """
    steps = np.abs(values_RN[season:] - values_RN[:-season])
    count = np.sum(~np.isnan(steps), axis=0)
    return np.divide(np.nansum(steps, axis=0), count, out=np.full(values_RN.shape[1], np.nan), where=count > 0)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        ratio = part / whole
    zero = whole == 0
    if zero.any():  # seldom, and a division with a mask takes three times as long
        ratio[np.broadcast_to(zero, ratio.shape)] = np.nan
    return ratio
