"""Error metrics as means of point errors, so that they can be added up batch by batch.

Inputs: actual values and forecasts of windows, and what each window's channel is measured against. Outputs: the errors
of every point, by term; the nine metrics from sums and counts of these terms; and what readers are told about each
metric. A point at which a term is undefined (a missing value, a percentage of zero) is left out of that term.
Definitions as in Hyndman and Athanasopoulos, Forecasting: Principles and Practice, section 5.8. Percentages are in
percent.

Shapes: B windows of a batch, H horizon, R rows, N channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Metric:
    """One error metric: how it is calculated, and the words for it. A lower value is better for each of them."""

    short: str
    """In a sentence or a table's heading."""
    name: str
    """Written out, as it stands after "the" in a sentence."""
    explanation: str
    term: str
    """The point error that it is the mean of."""
    factor: float = 1.0
    root: bool = False
    percent: bool = False
    relative: bool = False
    """Whether errors are divided by the actual value: undefined where that is 0, huge where it is near 0."""

    @property
    def title(self) -> str:
        """The short name with the unit, if it has one of its own."""
        return f"{self.short}, %" if self.percent else self.short


METRICS: Mapping[str, Metric] = {
    "mae": Metric("MAE", "mean absolute error", "Mean absolute error, in the data's own units.", "absolute"),
    "mse": Metric("MSE", "mean squared error", "Mean squared error, in the data's units squared.", "squared"),
    "rmse": Metric(
        "RMSE",
        "root mean squared error",
        "Root of the mean squared error, in the data's own units; large misses weigh more than in MAE.",
        "squared",
        root=True,
    ),
    "mape": Metric(
        "MAPE",
        "mean absolute percentage error",
        "Mean absolute error as a share of the actual value; undefined where the actual value is 0.",
        "percentage",
        factor=100,
        percent=True,
        relative=True,
    ),
    "mspe": Metric(
        "MSPE",
        "mean squared percentage error",
        "Mean squared error as a share of the actual value squared; undefined where the actual value is 0.",
        "squared_percentage",
        factor=100,
        percent=True,
        relative=True,
    ),
    "smape": Metric(
        "SMAPE",
        "symmetric percentage error",
        "Mean absolute error as a share of actual plus forecast; 0 to 200 %.",
        "symmetric",
        factor=200,
        percent=True,
    ),
    "mase": Metric(
        "MASE",
        "mean absolute scaled error",
        "MAE divided by the seasonal naive's MAE on the training rows; below 1 beats it.",
        "by_naive",
    ),
    "mse_scaled": Metric(
        "z-scored MSE",
        "z-scored mean squared error",
        "MSE on values z-scored by the training rows, as papers report it.",
        "squared_scaled",
    ),
    "mae_scaled": Metric(
        "z-scored MAE",
        "z-scored mean absolute error",
        "MAE on values z-scored by the training rows, as papers report it.",
        "absolute_scaled",
    ),
}
"""Every metric by the name that files, settings and addresses have for it."""
ABSOLUTE = tuple(name for name, metric in METRICS.items() if not metric.relative)
"""Those that suit every table: none of them is divided by the actual value."""
TERMS = tuple(dict.fromkeys(metric.term for metric in METRICS.values()))


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
    return {name: metric_from(name, sums[metric.term], counts[metric.term]) for name, metric in METRICS.items()}


def metric_from(name: str, total: np.ndarray, count: np.ndarray) -> np.ndarray:
    """One metric from the sum of its term and the number of points in it."""
    metric = METRICS[name]
    total, count = np.asarray(total, np.float64), np.asarray(count)
    mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return (np.sqrt(mean) if metric.root else mean * metric.factor)[()]


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
