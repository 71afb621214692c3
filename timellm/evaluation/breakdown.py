"""Where errors are: by horizon step, channel, hour, weekday and month of the moment that is forecast.

Inputs: batches of windows with the forecasts of some models, in original units. Outputs: for each dimension a frame
with a row for each model and key, with every metric, also z-scored; and what each window's errors come to. Memory does
not grow with the points: sums are kept, and a few numbers for each window.

Shapes: R rows of the table, B windows of a batch, H horizon, W windows, K keys of a dimension.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from timellm.evaluation.accumulator import ForecastBatch
from timellm.evaluation.metrics import (
    BROKEN_DOWN,
    DIVIDED,
    METRICS,
    POINT_TERMS,
    TERMS,
    metric_from,
    metrics_from,
    point_errors,
)
from timellm.evaluation.windows import Reference

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
          "December")  # fmt: skip
_POINTS_AT_ONCE = 2**16


@dataclass(frozen=True)
class Keys:
    """The numbers that each dimension has for a point, and what they are called."""

    by_row: Mapping[str, np.ndarray]
    """Dimension -> [R] number of the key of each row; only dimensions of the moment."""
    names: Mapping[str, tuple[object, ...]]
    """Dimension -> [K] names of the keys; a dimension in which all points have one key is left out."""

    @classmethod
    def of(cls, index: pd.DatetimeIndex, *, channels: tuple[str, ...], horizon: int) -> Keys:
        """Those of a table with these timestamps."""
        by_row = {"hour": index.hour, "weekday": index.day_of_week, "month": index.month - 1}
        numbers = {name: np.asarray(values, np.int64) for name, values in by_row.items()}
        several = {name: values for name, values in numbers.items() if len(values) and np.ptp(values) > 0}
        names: dict[str, tuple[object, ...]] = {"step": tuple(range(1, horizon + 1)), "channel": channels}
        moments = {"hour": tuple(range(24)), "weekday": WEEKDAYS, "month": MONTHS}
        return cls(several, names | {name: moments[name] for name in several})


@dataclass
class Breakdown:
    """Adds up errors by key, batch by batch."""

    keys: Keys
    reference: Reference
    _sums: dict[str, dict[str, np.ndarray]] = field(default_factory=dict, init=False)
    """Model -> dimension -> sums and counts, [2, terms, K]."""
    _windows: dict[str, list[np.ndarray]] = field(default_factory=dict, init=False)
    """Model -> sums and counts of the terms of each window, [2, terms, B] a batch."""

    def add(self, batch: ForecastBatch) -> None:
        """Add the errors of some windows."""
        horizon = batch.actual.shape[1]
        at_once = max(1, _POINTS_AT_ONCE // horizon)
        for begin in range(0, len(batch.channel), at_once):
            part = slice(begin, begin + at_once)
            rows_BH = batch.origin[part, None] + np.arange(horizon)
            key_BH = {name: by_row[rows_BH] for name, by_row in self.keys.by_row.items()}
            key_BH["step"] = np.broadcast_to(np.arange(horizon), rows_BH.shape)
            key_BH["channel"] = np.broadcast_to(batch.channel[part, None], rows_BH.shape)
            for model, forecast in batch.forecasts.items():
                errors = self._errors(batch.channel[part], batch.actual[part], forecast[part])
                self._add(model, errors, key_BH)

    def frames(self) -> dict[str, pd.DataFrame]:
        """Dimension -> rows with columns model, key, the metrics and points; keys without a point are left out."""
        return {name: self._frame(name, names) for name, names in self.keys.names.items()}

    def overall(self, model: str) -> dict[str, float]:
        """A model's metrics over all windows."""
        sums, counts = self._sums[model]["step"].sum(axis=-1)
        return {name: float(value) for name, value in _metrics(sums, counts).items()}

    def window_errors(self, model: str, metric: str) -> np.ndarray:
        """A model's error by a metric in each window, [W] in the order in which they were added."""
        sums, counts = np.concatenate(self._windows[model], axis=-1)
        of, over = METRICS[metric].term, METRICS[metric].over
        weight = sums[TERMS.index(over)] if over else counts[TERMS.index(of)]
        return np.asarray(metric_from(metric, sums[TERMS.index(of)], weight))

    def _errors(self, channel: np.ndarray, actual_BH: np.ndarray, forecast_BH: np.ndarray) -> dict[str, np.ndarray]:
        errors = point_errors(np.asarray(actual_BH, np.float64), np.asarray(forecast_BH, np.float64))
        errors["size"] = np.where(np.isnan(errors["absolute"]), np.nan, errors["size"])
        for term, (of, divisor) in DIVIDED.items():
            errors[term] = errors[of] / self.reference.divisor(divisor)[channel, None]
        return errors

    def _add(self, model: str, errors: Mapping[str, np.ndarray], key_BH: Mapping[str, np.ndarray]) -> None:
        totals = self._sums.setdefault(
            model, {name: np.zeros((2, len(TERMS), len(names))) for name, names in self.keys.names.items()}
        )
        windows = np.zeros((2, len(TERMS), len(key_BH["step"])))
        for number, term in enumerate(TERMS):
            if term not in POINT_TERMS and term not in DIVIDED:  # Naive2's
                continue
            defined_BH = ~np.isnan(errors[term])
            known_BH = np.where(defined_BH, errors[term], 0.0)
            windows[:, number] = known_BH.sum(axis=1), defined_BH.sum(axis=1)
            for name, total in totals.items():
                keys, count = key_BH[name].ravel(), total.shape[-1]
                total[0, number] += np.bincount(keys, known_BH.ravel(), count)
                total[1, number] += np.bincount(keys, defined_BH.ravel(), count)
        self._windows.setdefault(model, []).append(windows)

    def _frame(self, dimension: str, names: tuple[object, ...]) -> pd.DataFrame:
        parts = []
        for model, totals in self._sums.items():
            sums, counts = totals[dimension]
            frame = pd.DataFrame({"model": model, dimension: names} | _metrics(sums, counts) | {"points": counts[0]})
            parts.append(frame[frame["points"] > 0])
        if not parts:
            return pd.DataFrame(columns=["model", dimension, *BROKEN_DOWN, "points"])
        return pd.concat(parts, ignore_index=True).astype({"points": "int64"})


def _metrics(sums: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
    found = metrics_from(dict(zip(TERMS, sums, strict=True)), dict(zip(TERMS, counts, strict=True)))
    return {name: found[name] for name in BROKEN_DOWN}
