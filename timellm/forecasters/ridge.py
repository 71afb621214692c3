"""Ridge regression: one linear map from context to horizon for all channels, found in closed form.

Inputs: windows, z-scored by channel. A window's mean is taken off context and target, and beside the context stands its
deviation, which serves as intercept: on windows divided by their deviation it is a column of ones. Windows are weighted
by their deviation, so that the z-scored error is made small; that undoes the division, so nothing is divided at all.
Without these weights the map is unstable on tables whose windows differ in size by orders of magnitude.

With `calendar`, the features of a window also say where in the calendar its forecast begins: one column for each hour
of the week, day of the week or month, whichever fits the step between rows (timellm.data.calendar). In each window one
column of a kind holds the deviation and the others 0, so that it is an intercept of its own.

The normal equations are summed over windows in one pass, for training and for validation, so that memory does not grow
with the rows. One eigendecomposition then gives the map of any penalty, and its validation error is a quadratic form
(Hoerl and Kennard 1970; Golub, Heath and Wahba 1979 for the shared decomposition).

Shapes: B windows of a batch, T context, L lags read (T at most), H horizon, C columns of the calendar,
F features (L + C + 1), R rows, N channels.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
import torch

from timellm.config import RidgeConfig, RunConfig
from timellm.data.calendar import Grain, calendar_ones, grain_of, row_starts
from timellm.data.gaps import Past
from timellm.data.prepared import PreparedData
from timellm.data.windows import WindowIndex
from timellm.errors import CheckpointError
from timellm.files.tensorfile import read_tensors, write_tensors
from timellm.forecasters.protocol import FitJob, FitReport, OnBatch, OneRow, ignore_batch
from timellm.forecasters.ridge_limits import BATCH_VALUES, MOST_LAGS
from timellm.forecasters.saved import REMEDY, reading
from timellm.training.checkpoint import check_companions, companions
from timellm.training.progress import Progress

FILE = "ridge.safetensors"
NAME = "Ridge"
PENALTIES = tuple(10.0**power for power in np.arange(-8, 1.01, 0.25))
"""As shares of the largest eigenvalue."""


@dataclass(frozen=True)
class Ridge(OneRow):
    """A fitted map."""

    weights_FH: np.ndarray
    """Float64; the last row is that of the deviation."""
    penalty: float
    """As a share of the largest eigenvalue."""
    validation_loss: float
    """MSE on z-scored validation windows."""
    calendar: int = 0
    """Features that are columns of the calendar, between the lags and the deviation."""

    @property
    def name(self) -> str:
        """As a leaderboard shows it."""
        return NAME

    @classmethod
    def fit(cls, prepared: PreparedData, job: FitJob) -> tuple[Self | None, FitReport]:
        """Find the map, and the penalty by the validation error.

        Raises:
            DataError: the table has no training or validation window.
        """
        started = time.monotonic()
        lags = min(prepared.context, MOST_LAGS)
        notes = []
        if lags < prepared.context:
            notes.append(f"The ridge reads the last {lags:,} of {prepared.context:,} context rows.")
        parts = [prepared.windows("training"), prepared.windows("validation")]
        windows = _Windows(prepared, lags, calendar=_asks_for_calendar(job.config))
        if _asks_for_calendar(job.config) and not windows.columns:
            notes.append(
                f"Rows of {prepared.table.frequency} all begin at one place of the calendar: it tells nothing."
            )
        total, done = sum(map(len, parts)), 0
        found = []
        for index in parts:
            moments = _Moments.zero(lags + windows.columns + 1, prepared.horizon)
            for batch in windows.batches(index):
                if job.should_stop():
                    return None, FitReport(time.monotonic() - started, stopped=True)
                moments.add(*windows.features_and_targets(batch))
                done += len(batch)
                message = f"Fitting, {done:,} of {total:,} windows"
                job.on_progress(Progress("loading", fraction=done / total, message=message))
            found.append(moments)
        fitted = cls(*_best(*found), calendar=windows.columns)
        fitted.save(job.folder)
        facts = {"best_validation_loss": fitted.validation_loss, "penalty": fitted.penalty}
        seconds = time.monotonic() - started
        report = FitReport(seconds, validation_loss=fitted.validation_loss, facts=facts, notes=tuple(notes))
        return fitted, report

    def predict(self, prepared: PreparedData, index: WindowIndex, *, on_batch: OnBatch = ignore_batch) -> np.ndarray:
        """Forecasts [W, H] of the windows in `index`, in original units; NaN where a context misses values."""
        windows = _Windows(prepared, self.lags, calendar=self.calendar > 0)
        forecast_WH = np.empty((len(index), self.weights_FH.shape[1]))
        done = 0
        for batch in windows.batches(index):
            features_BF, mean_B1 = windows.features(batch)
            scaled_BH = _multiply(features_BF, self.weights_FH) + mean_B1
            forecast_WH[done : done + len(batch)] = prepared.scaler.restore(scaled_BH, channel=batch.channel)
            done += len(batch)
            on_batch(done)
        return forecast_WH

    def save(self, folder: Path) -> None:
        """Write the map, with the settings and the table that it belongs to."""
        chosen = {"penalty": self.penalty, "validation_loss": self.validation_loss, "calendar": self.calendar}
        facts = companions(folder) | {"chosen": json.dumps(chosen)}
        write_tensors(folder / FILE, {"weights": torch.from_numpy(self.weights_FH)}, facts=facts)

    @classmethod
    def load(cls, folder: Path, config: RunConfig) -> Self:
        """Inverse of `save`.

        Raises:
            CheckpointError: the file is missing or damaged, or belongs to another table or horizon.
        """
        path = folder / FILE
        with reading(path):
            tensors, facts = read_tensors(path, remedy=REMEDY)
        check_companions(folder, facts)
        with reading(path):
            chosen, weights_FH = json.loads(facts["chosen"]), tensors["weights"].numpy()
            # Earlier versions had no calendar.
            columns = int(chosen.get("calendar", 0))
            fitted = cls(weights_FH, float(chosen["penalty"]), float(chosen["validation_loss"]), columns)
        expected = (min(config.task.context, MOST_LAGS) + columns + 1, config.task.horizon)
        if weights_FH.dtype != np.float64 or weights_FH.shape != expected:
            raise CheckpointError(f"{path} has weights {weights_FH.shape} and not {expected}; {REMEDY}")
        return fitted

    @property
    def lags(self) -> int:
        """Rows of the context that are read."""
        return len(self.weights_FH) - self.calendar - 1

    def by_lag(self) -> np.ndarray:
        """The weight of each row of the context for each step ahead, [L, H], oldest row first, with the mean's share.

        A forecast is the context times these, plus the deviation times the last row of `weights_FH`, and times those of
        the calendar that hold where it begins.
        """
        weights_LH = self.weights_FH[: self.lags]
        return weights_LH + (1 - weights_LH.sum(axis=0)) / len(weights_LH)


class _Windows:
    """Cuts windows out of a table, z-scored by channel, in float64."""

    def __init__(self, prepared: PreparedData, lags: int, *, calendar: bool) -> None:
        self._past: Past = prepared.scaled_past
        self._lags, self._horizon = lags, prepared.horizon
        self._grain: Grain = grain_of(prepared.table.offset) if calendar else "none"
        self._starts = row_starts(prepared.table, 1) if calendar else pd.DatetimeIndex([])
        self.columns = calendar_ones(self._starts[:1], self._grain).shape[1]

    def batches(self, index: WindowIndex) -> list[WindowIndex]:
        size = max(1, BATCH_VALUES // (self._lags + self.columns + self._horizon))
        return [index.part(begin, begin + size) for begin in range(0, len(index), size)]

    def features(self, index: WindowIndex) -> tuple[np.ndarray, np.ndarray]:
        """Features [B, F] and means [B, 1]."""
        rows_BL = index.origin[:, None] + np.arange(-self._lags, 0)
        context_BL = self._past.before(index.origin, channel=index.channel, rows_WK=rows_BL)
        mean_B1 = context_BL.mean(axis=1, keepdims=True)
        features_BF = np.empty((len(index), self._lags + self.columns + 1))
        centred_BL = np.subtract(context_BL, mean_B1, out=features_BF[:, : self._lags])
        deviation_B = np.sqrt(np.square(centred_BL).mean(axis=1))
        if self.columns:
            ones_BC = calendar_ones(self._starts[index.origin], self._grain)
            features_BF[:, self._lags : -1] = ones_BC * deviation_B[:, None]
        features_BF[:, -1] = deviation_B
        return features_BF, mean_B1

    def features_and_targets(self, index: WindowIndex) -> tuple[np.ndarray, np.ndarray]:
        """Features [B, F], and targets [B, H] without the mean of their context."""
        features_BF, mean_B1 = self.features(index)
        rows_BH = index.origin[:, None] + np.arange(self._horizon)
        return features_BF, self._past.values_NR[index.channel[:, None], rows_BH] - mean_B1


@dataclass
class _Moments:
    """Sums over windows: of the products of features, of features and targets, and of squared targets."""

    features_FF: np.ndarray
    both_FH: np.ndarray
    targets: float = 0.0
    points: int = 0

    @classmethod
    def zero(cls, features: int, horizon: int) -> _Moments:
        return cls(np.zeros((features, features)), np.zeros((features, horizon)))

    def add(self, features_BF: np.ndarray, target_BH: np.ndarray) -> None:
        self.features_FF += features_BF.T @ features_BF
        self.both_FH += features_BF.T @ target_BH
        self.targets += float(np.square(target_BH).sum())
        self.points += target_BH.size


def _best(training: _Moments, validation: _Moments) -> tuple[np.ndarray, float, float]:
    """The map [F, H] with the lowest validation error, its penalty, and that error."""
    sizes_F, vectors_FF = np.linalg.eigh(training.features_FF)
    sizes_F = sizes_F.clip(min=0.0)
    largest = float(sizes_F[-1]) or 1.0  # every window is constant: any penalty gives the map of zeros
    turned_FH = vectors_FF.T @ training.both_FH
    # In the turned space a map is a column of numbers divided by (size + penalty): its error on the validation windows
    # takes the products of these, once, and no second look at the windows.
    crossed_F = np.einsum("fh,fh->f", turned_FH, vectors_FF.T @ validation.both_FH)
    seen_FF = (vectors_FF.T @ validation.features_FF @ vectors_FF) * (turned_FH @ turned_FH.T)
    losses = []
    for penalty in PENALTIES:
        shrunk_F = 1 / (sizes_F + penalty * largest)
        squared = validation.targets - 2 * crossed_F @ shrunk_F + shrunk_F @ seen_FF @ shrunk_F
        losses.append(max(float(squared), 0.0) / validation.points)
    place = int(np.argmin(losses))
    penalty = float(PENALTIES[place])
    weights_FH = vectors_FF @ (turned_FH / (sizes_F + penalty * largest)[:, None])
    return np.ascontiguousarray(weights_FH), penalty, losses[place]


def _asks_for_calendar(config: RunConfig) -> bool:
    return isinstance(config.forecaster, RidgeConfig) and config.forecaster.calendar


def _multiply(features_BF: np.ndarray, weights_FH: np.ndarray) -> np.ndarray:
    """The product in batches of one size: one of another size is summed in another order, and differs by rounding."""
    size, count = 256, len(features_BF)
    out_BH = np.empty((count, weights_FH.shape[1]))
    padded_BF = np.zeros((size, features_BF.shape[1]))
    for begin in range(0, count, size):
        part = features_BF[begin : begin + size]
        padded_BF[: len(part)] = part
        out_BH[begin : begin + size] = (padded_BF @ weights_FH)[: len(part)]
    return out_BH
