"""Scores: how a model and its baselines did on the test part, overall, by channel and by step.

Inputs: `WindowForecasts`, actual values and forecasts of the same windows. Outputs: `Scores`, three tidy frames with a
row for each model, a JSON form for the run folder, and one honest sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from timellm.errors import CheckpointError, ConfigError
from timellm.forecasting.baselines import LAST_VALUE, SEASONAL_NAIVE
from timellm.forecasting.metrics import METRICS, mae, mape, mase, mse, mspe, rmse, smape

MODEL_NAME = "Time-LLM"
BASELINES = (LAST_VALUE, SEASONAL_NAIVE)
_EQUAL = 0.01  # closer than 1 % is called about as good


@dataclass(frozen=True)
class WindowForecasts:
    """Actual values and forecasts of W windows of H steps, in original units."""

    channels: tuple[str, ...]
    channel: np.ndarray  # [W] index into `channels`
    origin: np.ndarray  # [W] row of the first forecast step
    actual: np.ndarray  # [W, H], NaN where missing
    forecast: dict[str, np.ndarray]  # model name -> [W, H]


@dataclass(frozen=True)
class Scores:
    """A row for each model (and channel, or step): model, the nine metrics, windows.

    mse_scaled and mae_scaled are on z-scores by the training rows, as in the published benchmarks.
    """

    overall: pd.DataFrame
    by_channel: pd.DataFrame  # + channel
    by_step: pd.DataFrame  # + step, from 1
    notes: tuple[str, ...]

    def skill(self, baseline: str = SEASONAL_NAIVE, metric: str = "mae") -> float:
        """Share of the baseline's error that the model takes away: 1 - model / baseline; NaN if either is undefined.

        Raises:
            ConfigError: there is no such metric or baseline.
        """
        model, other = self._error(MODEL_NAME, metric), self._error(baseline, metric)
        return 1 - model / other if other > 0 else float("nan")

    def verdict(self) -> str:
        """One sentence: how the model's mean absolute error compares with the better baseline's."""
        names = [name for name in self.overall["model"] if name != MODEL_NAME]
        errors = {name: self._error(name, "mae") for name in names}
        errors = {name: error for name, error in errors.items() if not np.isnan(error)}
        model = self._error(MODEL_NAME, "mae")
        windows = int(self.overall.set_index("model").loc[MODEL_NAME, "windows"])
        if np.isnan(model) or not errors:
            return "There is no verdict: no test point has an actual value, a forecast and a baseline."
        best = min(errors, key=lambda name: errors[name])
        span = f"{model:.4g} against {errors[best]:.4g}, {windows:,} test windows"
        if errors[best] == 0:
            same = "as well as" if model == 0 else "worse than"
            return f"{MODEL_NAME} does {same} the best baseline, {best}, which makes no error here ({span})."
        change = model / errors[best] - 1
        if abs(change) < _EQUAL:
            return f"{MODEL_NAME} does about as well as the best baseline, {best}: mean absolute error {span}."
        word, direction = ("better", "lower") if change < 0 else ("worse", "higher")
        return (
            f"{MODEL_NAME} does {word} than the best baseline, {best}: its mean absolute error is {abs(change):.1%} "
            f"{direction} ({span})."
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe: lists of records, with None where a metric is undefined, and the notes."""
        frames = {name: getattr(self, name) for name in ("overall", "by_channel", "by_step")}
        records = {
            name: frame.astype(object).where(frame.notna(), None).to_dict(orient="records")
            for name, frame in frames.items()
        }
        return {**records, "notes": list(self.notes)}

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> Scores:
        """Inverse of `to_dict`.

        Raises:
            CheckpointError: a part is missing.
        """
        try:
            frames = {name: pd.DataFrame(tree[name]) for name in ("overall", "by_channel", "by_step")}
            notes = tuple(tree["notes"])
            frames = {name: frame.astype(dict.fromkeys(METRICS, "float64")) for name, frame in frames.items()}
            frames = {name: frame.astype({"model": str, "windows": "int64"}) for name, frame in frames.items()}
            frames["by_channel"] = frames["by_channel"].astype({"channel": str})
            frames["by_step"] = frames["by_step"].astype({"step": "int64"})
        except KeyError as error:
            raise CheckpointError(f"the scores lack {error}; evaluate the run again") from None
        if list(frames["overall"]["model"]).count(MODEL_NAME) != 1:
            raise CheckpointError(f"the scores lack {MODEL_NAME}; evaluate the run again")
        return cls(**frames, notes=notes)

    def _error(self, model: str, metric: str) -> float:
        if metric not in METRICS:
            raise ConfigError(f"there is no metric '{metric}'; choose one of {', '.join(METRICS)}")
        found = self.overall.loc[self.overall["model"] == model, metric]
        if found.empty:
            raise ConfigError(f"there are no scores of '{model}'; there are: {', '.join(self.overall['model'])}")
        return float(found.iloc[0])


def score(forecasts: WindowForecasts, *, scaler_scale: np.ndarray, naive_error: np.ndarray) -> Scores:
    """Score every model of `forecasts` on the same points.

    A point counts if the actual value and every model's forecast are there; a model without any forecast is left out
    of that rule and has NaN for its metrics. A metric that overflows is NaN; the notes say which.

    Args:
        forecasts: windows in original units.
        scaler_scale: [N], of the training rows.
        naive_error: [N], see `in_sample_naive_error`.
    """
    known = ~np.isnan(forecasts.actual)
    empty = [name for name, values in forecasts.forecast.items() if np.isnan(values).all()]
    shared = known.copy()
    for name, values in forecasts.forecast.items():
        if name not in empty:
            shared &= ~np.isnan(values)
    # Arrays of all windows are what an evaluation takes most memory for: none is copied without need.
    actual = forecasts.actual if (shared == known).all() else np.where(shared, forecasts.actual, np.nan)
    channel = forecasts.channel
    reference = _Reference(np.asarray(scaler_scale)[channel, None], np.asarray(naive_error)[channel, None])
    overall, by_channel, by_step = [], [], []
    steps = np.arange(1, actual.shape[1] + 1)
    order = np.argsort(channel, kind="stable")
    present, starts = np.unique(channel[order], return_index=True)
    for name, values in forecasts.forecast.items():
        overall.append({"model": name} | _errors(actual, values, reference))
        by_step.append(pd.DataFrame({"model": name, "step": steps} | _errors(actual, values, reference, axis=0)))
        for index, listed in zip(present, np.split(order, starts[1:]), strict=True):
            in_a_row = listed[-1] - listed[0] == len(listed) - 1  # as an index lists them: then a slice copies nothing
            rows = slice(listed[0], listed[-1] + 1) if in_a_row else listed
            errors = _errors(actual[rows], values[rows], reference.of(rows))
            by_channel.append({"model": name, "channel": forecasts.channels[index]} | errors)
    frames = [pd.DataFrame(overall), pd.DataFrame(by_channel), pd.concat(by_step, ignore_index=True)]
    notes = _point_notes(forecasts, known, shared, empty) + _channel_notes(forecasts, scaler_scale, naive_error)
    notes += _overflow_notes(frames)
    whole, channels, by_steps = (frame.replace([np.inf, -np.inf], np.nan) for frame in frames)
    return Scores(whole, channels, by_steps, tuple(notes))


@dataclass(frozen=True)
class _Reference:
    """What a window's channel is measured against, each [W, 1]."""

    scale: np.ndarray
    naive: np.ndarray

    def of(self, rows: np.ndarray | slice) -> _Reference:
        return _Reference(self.scale[rows], self.naive[rows])


def _errors(y: np.ndarray, yhat: np.ndarray, reference: _Reference, axis: int | None = None) -> dict[str, Any]:
    points = ~np.isnan(y - yhat)
    with np.errstate(over="ignore"):  # what overflows is named in the notes
        errors = {
            "mae": mae(y, yhat, axis),
            "mse": mse(y, yhat, axis),
            "rmse": rmse(y, yhat, axis),
            "mape": mape(y, yhat, axis),
            "mspe": mspe(y, yhat, axis),
            "smape": smape(y, yhat, axis),
            "mase": mase(y, yhat, reference.naive, axis),
        }
    scaled = y - yhat  # the mean of the z-scores cancels out
    scaled /= reference.scale
    zero = np.zeros(1)
    return errors | {
        "mse_scaled": mse(scaled, zero, axis),
        "mae_scaled": mae(scaled, zero, axis),
        "windows": points.sum(axis=0) if axis == 0 else int(points.any(axis=1).sum()),
    }


def _point_notes(forecasts: WindowForecasts, known: np.ndarray, shared: np.ndarray, empty: list[str]) -> list[str]:
    notes = [f"{name} has no forecast here: its source rows are missing or lie before the table." for name in empty]
    lacking = 1 - known.mean()
    if lacking > 0:
        notes.append(f"{lacking:.2%} of the test points have no actual value; they are left out.")
    unequal = (known & ~shared).sum() / max(known.sum(), 1)
    if unequal > 0:
        notes.append(f"{unequal:.2%} of the points are left out for every model, because one of them has no forecast.")
    zeros = (forecasts.actual[shared] == 0).mean() if shared.any() else 0
    if zeros > 0:
        notes.append(f"MAPE and MSPE leave out {zeros:.2%} of the points, because the actual value is 0.")
    return notes


def _overflow_notes(frames: list[pd.DataFrame]) -> list[str]:
    names = [name for name in METRICS if any(np.isinf(frame[name]).any() for frame in frames)]
    if not names:
        return []
    shown = ", ".join(name.upper() for name in names)
    return [f"Not everywhere defined: {shown}. An error is too large for a 64-bit number there."]


def _channel_notes(forecasts: WindowForecasts, scaler_scale: np.ndarray, naive_error: np.ndarray) -> list[str]:
    notes = []
    present = np.unique(forecasts.channel)
    without = [forecasts.channels[index] for index in present if not naive_error[index] > 0]
    if without:
        shown = ", ".join(f"'{name}'" for name in without[:5]) + (" ..." if len(without) > 5 else "")
        notes.append(
            f"MASE leaves out {shown}: on the training rows the seasonal naive makes no error to compare with."
        )
    scales = np.asarray(scaler_scale)[present]
    if len(scales) > 1 and scales.max() > 10 * scales.min():
        largest = forecasts.channels[present[scales.argmax()]]
        notes.append(
            f"Channels differ in size more than tenfold: overall MAE, MSE and RMSE mostly show '{largest}'. "
            "MASE and the scaled metrics weigh channels alike."
        )
    return notes
