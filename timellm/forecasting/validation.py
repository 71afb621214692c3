"""Baselines for a run's validations, and the forecasts of its pinned windows at every validation.

Inputs: the prepared table, before training begins; afterwards the run's folder. Outputs: two small files, and
`PinnedForecasts` for the page. Reading needs neither torch nor the table, so that it can be done every other
second beside a training.

validation_baselines.json  the baselines' MSE on the z-scored windows of every validation
pinned_windows.parquet     one row a pinned window: unique_id, origin, ds and y [T + H], seasonal_naive [H]

Shapes: K validations, P pinned windows, T context, H horizon, R rows of the table, N channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from timellm.data.gaps import Past
from timellm.data.season import season_length
from timellm.errors import CheckpointError
from timellm.forecasting.baselines import LAST_VALUE, SEASONAL_NAIVE, last_value, seasonal_naive
from timellm.training.parquetfile import read_parquet, write_parquet
from timellm.training.pinned import PINNED
from timellm.training.sealed import read_sealed_json, write_sealed_json

if TYPE_CHECKING:
    from timellm.data.prepared import PreparedData
    from timellm.data.windows import WindowIndex

BASELINES = "validation_baselines.json"
WINDOWS = "pinned_windows.parquet"
MOST_PINNED = 16  # as the setting pinned_windows allows


@dataclass(frozen=True)
class PinnedWindow:
    """One window, and the forecasts of it at every validation, in original units."""

    channel: str
    measured: pd.Series
    """Context and what came, [T + H]; NaN where nothing was measured."""
    naive: np.ndarray
    """The seasonal naive's forecast [H]."""
    forecast_KH: np.ndarray

    @property
    def ahead(self) -> pd.Series:
        """What came, [H]."""
        return self.measured.iloc[-self.forecast_KH.shape[1] :]

    @property
    def cutoff(self) -> pd.Timestamp:
        """The last moment that the model sees."""
        return self.measured.index[-self.forecast_KH.shape[1] - 1]

    def errors(self) -> np.ndarray:
        """Mean absolute error at each validation, [K]."""
        return _mean_absolute(self.forecast_KH - self.ahead.to_numpy())

    def naive_error(self) -> float:
        """Mean absolute error of the seasonal naive."""
        return float(_mean_absolute(self.naive - self.ahead.to_numpy()))


@dataclass(frozen=True)
class PinnedForecasts:
    """The pinned windows of a run with their forecasts up to now."""

    step: np.ndarray
    """[K] optimiser steps at which the run was validated."""
    epoch: np.ndarray
    """[K] times that the training windows had been gone through by then."""
    windows: tuple[PinnedWindow, ...]

    @classmethod
    def read(cls, folder: Path) -> PinnedForecasts | None:
        """Those of a run's folder; None while it has not been validated, or if it keeps none.

        Raises:
            CheckpointError: a file is damaged, or one of the two is missing.
        """
        if not (folder / PINNED).is_file():
            return None
        try:
            windows, rows = _columns(folder / WINDOWS, most_rows=MOST_PINNED), _columns(folder / PINNED)
            pinned = len(windows)
            step, epoch = (rows[name].to_numpy().reshape(-1, pinned)[:, 0] for name in ("step", "epoch"))
            forecast_KPH = rows["yhat"].combine_chunks().flatten().to_numpy().reshape(len(step), pinned, -1)
            for name in ("unique_id", "origin"):
                if rows[name].to_pylist() != windows[name].to_pylist() * len(step):
                    raise ValueError(f"the windows of {PINNED} and {WINDOWS} are not the same")
            found = tuple(_window(row, forecast_KPH[:, i]) for i, row in enumerate(windows.to_pylist()))
        except (OSError, ValueError, LookupError, TypeError, AttributeError, pa.ArrowException) as error:
            raise CheckpointError(
                f"the pinned windows of the run in {folder.name} cannot be read ({error}); start the run again"
            ) from error
        return cls(step, epoch, found)


def write_references(folder: Path, prepared: PreparedData, *, validated: WindowIndex, pinned: np.ndarray) -> None:
    """Write the baselines' errors on the windows `validated`, and the windows at `pinned` among them.

    Raises:
        OSError: the disk is full.
    """
    write_sealed_json(folder / BASELINES, _baseline_errors(prepared, validated))
    if not len(pinned):
        return
    channel, origin = validated.channel[pinned], validated.origin[pinned]
    naive_PH = seasonal_naive(prepared.past, channel=channel, origin=origin, **_steps(prepared))
    spans = [slice(start - prepared.context, start + prepared.horizon) for start in origin]
    table = prepared.table.values
    rows = pa.table(
        {
            "unique_id": pa.array([prepared.table.channels[number] for number in channel], pa.string()),
            "origin": pa.array(origin, pa.int64()),
            "ds": pa.array([table.index[span].to_pydatetime() for span in spans], pa.list_(pa.timestamp("us"))),
            "y": [table.iloc[span, number].to_numpy(np.float64) for span, number in zip(spans, channel, strict=True)],
            "seasonal_naive": list(naive_PH),
        }
    )
    write_parquet(folder / WINDOWS, rows)


def read_baselines(folder: Path) -> dict[str, float]:
    """MSE of each baseline on the z-scored validation windows; empty when training has not begun.

    Raises:
        CheckpointError: the file is damaged.
    """
    path = folder / BASELINES
    if not path.is_file():
        return {}
    try:
        return {str(name): float(error) for name, error in read_sealed_json(path).items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} is damaged ({error}); start the run again") from error


def _baseline_errors(prepared: PreparedData, validated: WindowIndex) -> dict[str, float]:
    scaled_RN = prepared.scaler.transform(prepared.values)
    past = Past.of(scaled_RN, prepared.config.task.missing)
    place: dict[str, Any] = {"channel": validated.channel, "origin": validated.origin, "horizon": prepared.horizon}
    rows = validated.origin[:, None] + np.arange(prepared.horizon)
    actual_WH = scaled_RN[rows, validated.channel[:, None]]
    forecasts = {
        LAST_VALUE: last_value(past, **place),
        SEASONAL_NAIVE: seasonal_naive(past, **place, season=season_length(prepared.table.frequency)),
    }
    squares = {name: (forecast_WH - actual_WH) ** 2 for name, forecast_WH in forecasts.items()}
    return {name: float(np.nanmean(square)) for name, square in squares.items() if not np.isnan(square).all()}


def _steps(prepared: PreparedData) -> dict[str, int]:
    return {"horizon": prepared.horizon, "season": season_length(prepared.table.frequency)}


def _window(row: dict, forecast_KH: np.ndarray) -> PinnedWindow:
    measured = pd.Series(row["y"], index=pd.DatetimeIndex(row["ds"]), name=row["unique_id"], dtype=np.float64)
    naive = np.array(row["seasonal_naive"], np.float64)
    if not len(naive) == forecast_KH.shape[1] < len(measured):
        raise ValueError(f"a window of {len(measured)} rows does not fit forecasts of {forecast_KH.shape[1]}")
    return PinnedWindow(row["unique_id"], measured, naive, forecast_KH.astype(np.float64))


def _columns(path: Path, *, most_rows: int | None = None) -> pa.Table:
    try:
        return read_parquet(path, most_rows=most_rows)
    except (ValueError, pa.ArrowException) as error:
        raise ValueError(f"{path.name}: {error}") from error


def _mean_absolute(errors: np.ndarray) -> np.ndarray:
    """Over the last axis, missing values left out; NaN if all are missing."""
    known = ~np.isnan(errors)
    count = known.sum(axis=-1)
    return np.divide(
        np.where(known, np.abs(errors), 0).sum(axis=-1), count, out=np.full(count.shape, np.nan), where=count > 0
    )
