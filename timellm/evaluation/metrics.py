"""Error metrics from sums of point errors, so that they can be added up batch by batch.

Inputs: actual values and forecasts of windows, and what each window's channel is measured against. Outputs: the errors
of every point, by term; the metrics from sums and counts of these terms; and what readers are told about each metric. A
point at which a term is undefined (a missing value, a percentage of zero) is left out of that term. Definitions as in
Hyndman and Athanasopoulos, Forecasting: Principles and Practice, section 5.8, where `Metric.source` names no other.
Percentages are in percent. All points weigh alike: a mean over channels is a mean over their points.

Shapes: B windows of a batch, H horizon, R rows, N channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Metric:
    """One error metric: how it is calculated, and the words for it. A value nearer to 0 is better for each of them."""

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
    over: str | None = None
    """The term whose sum the sum of `term` is divided by; None: by the number of points, for a mean."""
    signed: bool = False
    """Whether it has a direction; models are ranked by its size then, and no window is won by it."""
    by_window: bool = True
    """Whether it can be worked out for single windows from what is kept of them."""
    source: str = "Hyndman and Athanasopoulos, Forecasting: Principles and Practice, section 5.8"

    @property
    def title(self) -> str:
        """The short name with the unit, if it has one of its own."""
        return f"{self.short}, %" if self.percent else self.short

    @property
    def help(self) -> str:
        """What it is, and where the definition comes from."""
        return f"{self.explanation} Source: {self.source}."


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
        source="Makridakis et al. 2020, the M4 competition",
    ),
    "wape": Metric(
        "WAPE",
        "weighted absolute percentage error",
        "Sum of the absolute errors as a share of the sum of the absolute actual values; undefined where all of these"
        " are 0. Large values weigh more than in MAPE, and single zeros do no harm.",
        "absolute",
        factor=100,
        percent=True,
        over="size",
        source="Kolassa and Schuetz 2007; as wape in utilsforecast, over all points",
    ),
    "mase": Metric(
        "MASE",
        "mean absolute scaled error",
        "MAE divided by the seasonal naive's MAE on the training rows; below 1 beats it.",
        "by_naive",
        source="Hyndman and Koehler 2006, with the season of the table",
    ),
    "rmsse": Metric(
        "RMSSE",
        "root mean squared scaled error",
        "Root of the mean squared error, each divided by the mean squared error of the seasonal naive on the training"
        " rows of its channel; below 1 beats it, and large misses weigh more than in MASE.",
        "squared_by_naive",
        root=True,
        source="Makridakis et al. 2022, the M5 competition, with the season of the table",
    ),
    "owa": Metric(
        "OWA",
        "overall weighted average",
        "Mean of two ratios: SMAPE to that of Naive2, and MASE to that of Naive2, on the same points; below 1 beats it."
        " Naive2 repeats the last value, adjusted for the season where a test on the training rows finds one.",
        "symmetric",
        by_window=False,
        source="Makridakis et al. 2020, the M4 competition",
    ),
    "bias": Metric(
        "Bias",
        "bias",
        "Mean of forecast minus actual value, in the data's own units: above 0, forecasts are too high. Models are"
        " ranked by its size; a bias of 0 says nothing of how large the single errors are.",
        "error",
        signed=True,
        source="mean error of Hyndman and Athanasopoulos, section 5.8, with the sign of utilsforecast",
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
COMPARED = tuple(name for name, metric in METRICS.items() if metric.by_window and not metric.signed)
"""Those by which two models are compared window by window."""
BROKEN_DOWN = tuple(name for name, metric in METRICS.items() if metric.by_window)
"""Those that are worked out by key or by window: OWA would need the forecasts of Naive2."""
DIMENSIONS = {"step": "Horizon step", "channel": "Channel", "hour": "Hour", "weekday": "Weekday", "month": "Month"}
"""What errors are broken down by, with titles: the last three are those of the moment that is forecast."""
POINT_TERMS = ("absolute", "squared", "percentage", "squared_percentage", "symmetric", "error", "size")
"""Terms that are worked out for every point."""
DIVIDED: Mapping[str, tuple[str, str]] = {
    "by_naive": ("absolute", "naive_error"),
    "squared_by_naive": ("squared", "naive_squared_error"),
    "squared_scaled": ("squared", "variance"),
    "absolute_scaled": ("absolute", "scale"),
}
"""Terms that are another one divided by what its channel is measured against, undefined where that is 0 or unknown."""
NAIVE2 = ("naive2_symmetric", "naive2_by_naive")
"""Terms of the forecasts of Naive2, on the points of the model that it is compared with."""
TERMS = (*POINT_TERMS, *DIVIDED, *NAIVE2)


def point_errors(actual_BH: np.ndarray, forecast_BH: np.ndarray) -> dict[str, np.ndarray]:
    """The terms of every point, `POINT_TERMS`, each [B, H], NaN where it is undefined.

    Actual values and forecasts are in original units, NaN where one is missing.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is named in the notes of the scores
        error = forecast_BH - actual_BH
        absolute = np.abs(error)
        relative = _ratio(error, actual_BH)
        size = np.abs(actual_BH)
        return {
            "absolute": absolute,
            "squared": np.square(error),
            "percentage": np.abs(relative),
            "squared_percentage": np.square(relative),
            "symmetric": _ratio(absolute, size + np.abs(forecast_BH)),
            "error": error,
            "size": size,  # counts where there is an error
        }


def metrics_from(sums: Mapping[str, np.ndarray], counts: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every metric from sums and counts of each term, all of one shape; NaN where it is undefined."""

    def one(name: str, metric: Metric) -> np.ndarray:
        if name == "owa":
            return _owa({term: _mean(sums[term], counts[term]) for term in ("symmetric", "by_naive", *NAIVE2)})
        return metric_from(name, sums[metric.term], sums[metric.over] if metric.over else counts[metric.term])

    return {name: one(name, metric) for name, metric in METRICS.items()}


def metric_from(name: str, total: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """One metric from the sum of its term, and the number of points in it or the sum that it is divided by."""
    metric = METRICS[name]
    mean = _mean(total, weight)
    return (np.sqrt(mean) if metric.root else mean * metric.factor)[()]


def _mean(total: np.ndarray, weight: np.ndarray) -> np.ndarray:
    total, weight = np.asarray(total, np.float64), np.asarray(weight)
    with np.errstate(invalid="ignore"):  # of two sums that are too large for a number
        return np.divide(total, weight, out=np.full(total.shape, np.nan), where=weight > 0)


def _owa(means: Mapping[str, np.ndarray]) -> np.ndarray:
    """Ratios of averages, as in the M4 competition, not an average of ratios."""
    symmetric = _ratio(means["symmetric"], means["naive2_symmetric"])
    return ((symmetric + _ratio(means["by_naive"], means["naive2_by_naive"])) / 2)[()]


def seasonal_naive_error(values_RN: np.ndarray, season: int, *, power: Literal[1, 2] = 1) -> np.ndarray:
    """Mean absolute error of the seasonal naive over training rows: [N], the denominator of MASE.

    With `power` 2 its mean squared error, the denominator of RMSSE. NaN for a channel without two values a season
    apart; `season` is in rows.
    """
    with np.errstate(over="ignore"):
        steps = np.abs(values_RN[season:] - values_RN[:-season]) ** power
        count = np.sum(~np.isnan(steps), axis=0)
        return np.divide(np.nansum(steps, axis=0), count, out=np.full(values_RN.shape[1], np.nan), where=count > 0)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.asarray(part / whole)
    zero = whole == 0
    if np.any(zero):  # seldom, and a division with a mask takes three times as long
        ratio[np.broadcast_to(zero, ratio.shape)] = np.nan
    return ratio
