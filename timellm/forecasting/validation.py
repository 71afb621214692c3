"""Baselines for a run's validations, and the forecasts of its pinned windows at every validation.

Inputs: the prepared table, before training begins; afterwards the run's folder. Outputs: two small files, and
`PinnedForecasts` for the page. Reading needs neither torch nor the table, so that it can be done every other
second beside a training.

validation_baselines.json  the baselines' MSE on the z-scored windows of every validation
pinned_windows.parquet     one row a pinned window: unique_id, origin, ds and y [T + H], reference [H] and its name

Shapes: K validations, P pinned windows, T context, H horizon, R rows of the table, N channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

from timellm.data.windows import WindowIndex
from timellm.errors import CheckpointError
from timellm.files.parquetfile import read_parquet, write_parquet
from timellm.files.sealed import read_sealed_json, write_sealed_json
from timellm.training.pinned import PINNED

if TYPE_CHECKING:
    from timellm.data.prepared import PreparedData
    from timellm.forecasters.protocol import Forecaster

BASELINES = "validation_baselines.json"
WINDOWS = "pinned_windows.parquet"
MOST_PINNED = 16  # as the setting pinned_windows allows


@dataclass(frozen=True)
class PinnedWindow:
    """One window, and the forecasts of it at every validation, in original units."""

    channel: str
    measured: pd.Series
    """Context and what came, [T + H]; NaN where nothing was measured."""
    reference: np.ndarray
    """The forecast [H] of the quick forecaster that did best on the validation windows."""
    reference_name: str
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

    def reference_error(self) -> float:
        """Mean absolute error of the reference."""
        return float(_mean_absolute(self.reference - self.ahead.to_numpy()))


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


def write_references(
    folder: Path,
    prepared: PreparedData,
    quick: Mapping[str, Forecaster],
    *,
    validated: WindowIndex,
    pinned: np.ndarray,
) -> None:
    """Write the errors of the quick forecasters on the windows `validated`, and the windows at `pinned` among them.

    Raises:
        OSError: the disk is full.
    """
    errors = {name: _error(prepared, one, validated) for name, one in quick.items()}
    errors = {name: error for name, error in errors.items() if not np.isnan(error)}
    write_sealed_json(folder / BASELINES, errors)
    if not len(pinned):
        return
    channel, origin = validated.channel[pinned], validated.origin[pinned]
    best = min(errors, key=errors.__getitem__, default=None)
    index = WindowIndex(channel, origin, 0)
    reference_PH = np.full((len(pinned), prepared.horizon), np.nan)
    if best is not None:
        reference_PH = quick[best].predict(prepared, index)
    spans = [slice(start - prepared.context, start + prepared.horizon) for start in origin]
    table = prepared.table.values
    rows = pa.table(
        {
            "unique_id": pa.array([prepared.table.channels[number] for number in channel], pa.string()),
            "origin": pa.array(origin, pa.int64()),
            "ds": pa.array([table.index[span].to_pydatetime() for span in spans], pa.list_(pa.timestamp("us"))),
            "y": [table.iloc[span, number].to_numpy(np.float64) for span, number in zip(spans, channel, strict=True)],
            "reference": list(reference_PH),
            "reference_name": pa.array([best or "no simple forecast"] * len(pinned), pa.string()),
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


def _error(prepared: PreparedData, forecaster: Forecaster, index: WindowIndex) -> float:
    """MSE on the z-scored windows in `index`; NaN where there is no forecast at all."""
    actual_WH = prepared.values[index.origin[:, None] + np.arange(prepared.horizon), index.channel[:, None]]
    error_WH = (forecaster.predict(prepared, index) - actual_WH) / prepared.scaler.scale[index.channel, None]
    return float("nan") if np.isnan(error_WH).all() else float(np.nanmean(error_WH**2))


def _window(row: dict, forecast_KH: np.ndarray) -> PinnedWindow:
    measured = pd.Series(row["y"], index=pd.DatetimeIndex(row["ds"]), name=row["unique_id"], dtype=np.float64)
    # Earlier versions had the seasonal naive of the frequency's own season, and no name beside it.
    reference = np.array(row.get("reference", row.get("seasonal_naive")), np.float64)
    if not len(reference) == forecast_KH.shape[1] < len(measured):
        raise ValueError(f"a window of {len(measured)} rows does not fit forecasts of {forecast_KH.shape[1]}")
    name = row.get("reference_name", "Seasonal naive")
    return PinnedWindow(row["unique_id"], measured, reference, name, forecast_KH.astype(np.float64))


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
