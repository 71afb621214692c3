"""Ridge regression as a forecaster: one linear map from context to horizon, or one for each channel.

Inputs: a prepared table. What a map reads of a window says timellm.forecasters.ridge.features; how a fit goes,
timellm.forecasters.ridge.fit.

Shapes: B windows of a batch, W windows, L lags read, H horizon, F features, M maps.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self, get_args

import numpy as np
import torch

from timellm.config import LinearFeatures, RunConfig
from timellm.data.prepared import PreparedData
from timellm.data.windows import WindowIndex
from timellm.errors import CheckpointError, DataError
from timellm.files.tensorfile import read_tensors, write_tensors
from timellm.forecasters.protocol import FitJob, FitReport, FitStoppedError, OnBatch, OneRow, ignore_batch
from timellm.forecasters.ridge import limits
from timellm.forecasters.ridge.features import RidgeWindows
from timellm.forecasters.ridge.fit import Fit
from timellm.forecasters.ridge.recent import Recent
from timellm.forecasters.saved import REMEDY, reading
from timellm.training.checkpoint import check_companions, companions

FILE = "ridge.safetensors"
NAME = "Ridge"
_ROWS = 32
"""Windows that are multiplied at once: in a product of another size a sum has another order, and rounds otherwise."""


@dataclass(frozen=True)
class Ridge(OneRow):
    """Fitted maps."""

    weights_MFH: np.ndarray
    """Float64. The first map is that of all channels; with `series`, one follows for each of these."""
    penalty: float
    """Of the first map, as a share of the largest eigenvalue; of a weighted mean, that of its largest part."""
    validation_loss: float
    """MSE on z-scored validation windows."""
    lags: int
    """Rows of the context that are read."""
    features: tuple[LinearFeatures, ...] = ()
    """What a map reads of a window beside its shape and deviation."""
    series: tuple[str, ...] = ()
    """Channels with maps of their own; any other series is forecast by the first map."""
    recent: Recent | None = None
    """What a usual movement of these channels is, if maps are told how the others moved lately."""
    tried: Mapping[str, float] = field(default_factory=dict)
    """Squared error of each kind of map as a share of the simplest one's, where there was a choice."""
    shares: Mapping[str, float] = field(default_factory=dict)
    """Of each kind of map in the weighted mean, where there was a choice."""
    notes: tuple[str, ...] = ()
    """What the reader of the results should know."""

    @property
    def name(self) -> str:
        """As a leaderboard shows it."""
        return NAME

    @property
    def reads_time(self) -> bool:
        """Whether a forecast depends on when it begins."""
        return "calendar" in self.features

    @property
    def tied_to_table(self) -> str:
        """Maps by channel belong to the channels of one table."""
        if not self.series:
            return ""
        asked = "linear_maps=shared" + (" and linear_others=none" if self.recent else "")
        return f"its linear map has a part for each channel of that table; train it with {asked}"

    @classmethod
    def fit(cls, prepared: PreparedData, job: FitJob, *, file: str = FILE) -> tuple[Self | None, FitReport]:
        """Choose what is left open, find the maps, and the penalty by the validation error; keep them in `file`.

        Raises:
            DataError: the table has no training or validation window.
        """
        started = time.monotonic()
        fit = Fit(prepared, job)
        try:
            fitted = fit.maps(fit.choice(), make=cls)
        except FitStoppedError:
            return None, FitReport(time.monotonic() - started, stopped=True)
        seconds = time.monotonic() - started
        fitted.save(job.folder, file=file)
        facts = {"best_validation_loss": fitted.validation_loss, "penalty": fitted.penalty} | fitted.facts
        return fitted, FitReport(seconds, validation_loss=fitted.validation_loss, facts=facts, notes=fitted.notes)

    @property
    def facts(self) -> dict[str, Any]:
        """What a run's summary says of the maps, by name."""
        features = " + ".join(self.features) or "plain"
        found = {"linear_features": features, "linear_maps": "by_channel" if self.series else "shared"}
        if self.recent:
            found["linear_others"] = "recent"
        judged = {"tried_maps": dict(self.tried), "map_shares": dict(self.shares)}
        return found | {name: value for name, value in judged.items() if value}

    def on(self, prepared: PreparedData) -> Callable[[WindowIndex], np.ndarray]:
        """What forecasts windows [W] of one table, [W, H], z-scored by channel; NaN where a context misses values.

        Raises:
            DataError: the maps read other channels than the table has.
        """
        if self.recent and prepared.table.channels != self.series:
            raise DataError(
                f"the linear map reads the channels {', '.join(self.series)}, and the table has"
                f" {', '.join(prepared.table.channels)}; give it the same ones"
            )
        windows = RidgeWindows(prepared, self.features, lags=self.lags, recent=self.recent)
        numbers = {name: number for number, name in enumerate(self.series, start=1)}
        map_N = np.array([numbers.get(name, 0) for name in prepared.table.channels], np.int64)

        def forecast(index: WindowIndex) -> np.ndarray:
            forecast_WH = np.empty((len(index), self.weights_MFH.shape[2]))
            done = 0
            for batch in windows.batches(index):
                features_BF, mean_B1 = windows.features(batch)
                forecast_BH = forecast_WH[done : done + len(batch)]
                of_B = map_N[batch.channel]
                for number in np.unique(of_B):
                    mine = np.flatnonzero(of_B == number)
                    forecast_BH[mine] = _multiply(features_BF[mine], self.weights_MFH[number])
                forecast_BH += mean_B1
                done += len(batch)
            return forecast_WH

        return forecast

    def predict(self, prepared: PreparedData, index: WindowIndex, *, on_batch: OnBatch = ignore_batch) -> np.ndarray:
        """Forecasts [W, H] of the windows in `index`, in original units; NaN where a context misses values."""
        forecast = self.on(prepared)
        size = max(1, limits.BATCH_VALUES // sum(self.weights_MFH.shape[1:]))
        forecast_WH = np.empty((len(index), self.weights_MFH.shape[2]))
        for begin in range(0, len(index), size):
            batch = index.part(begin, begin + size)
            forecast_WH[begin : begin + size] = prepared.restore(forecast(batch), batch)
            on_batch(begin + len(batch))
        return forecast_WH

    def save(self, folder: Path, *, file: str = FILE) -> None:
        """Write the maps, with the settings and the table that they belong to."""
        chosen = {
            "penalty": self.penalty,
            "validation_loss": self.validation_loss,
            "lags": self.lags,
            "features": self.features,
            "series": self.series,
            "tried": dict(self.tried),
            "shares": dict(self.shares),
            "notes": self.notes,
        }
        facts = companions(folder) | {"chosen": json.dumps(chosen)}
        tensors = {"weights": torch.from_numpy(self.weights_MFH)}
        if self.recent:
            tensors["usual"] = torch.from_numpy(self.recent.usual_R)
        write_tensors(folder / file, tensors, facts=facts)

    @classmethod
    def load(cls, folder: Path, config: RunConfig, *, file: str = FILE) -> Self:
        """Inverse of `save`.

        Raises:
            CheckpointError: the file is missing or damaged, or belongs to another table or horizon.
        """
        path = folder / file
        with reading(path):
            tensors, facts = read_tensors(path, remedy=REMEDY)
        check_companions(folder, facts)
        with reading(path):
            chosen, weights_MFH = json.loads(facts["chosen"]), tensors["weights"].numpy()
            if weights_MFH.ndim == 2:  # earlier versions had one plain map
                weights_MFH, chosen = weights_MFH[None], {"lags": len(weights_MFH) - 1} | chosen
            series = tuple(map(str, chosen.get("series", ())))
            features = chosen.get("features", ())
            if isinstance(features, str):  # earlier versions had one kind of map
                features = () if features == "plain" else (features,)
            fitted = cls(
                weights_MFH,
                float(chosen["penalty"]),
                float(chosen["validation_loss"]),
                int(chosen["lags"]),
                tuple(features),
                series,
                Recent(tensors["usual"].numpy()) if "usual" in tensors else None,
                {str(name): float(share) for name, share in chosen.get("tried", {}).items()},
                {str(name): float(share) for name, share in chosen.get("shares", {}).items()},
                tuple(map(str, chosen.get("notes", ()))),
            )
            if not set(fitted.features) <= set(get_args(LinearFeatures)):
                raise ValueError(f"its features are '{' + '.join(fitted.features)}'")
        lags = min(config.task.context, limits.MOST_LAGS)
        usual = () if fitted.recent is None else fitted.recent.usual_R.shape
        of_others = limits.RECENT_COLUMNS * len(series) if usual else 0
        added = limits.LEVEL_COLUMNS if "level" in fitted.features else 0
        if "calendar" in fitted.features:  # its columns follow from the step between rows
            added = max(added, weights_MFH.shape[1] - lags - of_others - 1)
        expected = (1 + len(series), lags + added + of_others + 1, config.task.horizon)
        if weights_MFH.dtype != np.float64 or weights_MFH.shape != expected or fitted.lags != lags:
            raise CheckpointError(f"{path} has weights {weights_MFH.shape} and not {expected}; {REMEDY}")
        if usual and usual != (of_others,):
            raise CheckpointError(f"{path} has {usual} usual movements and not {of_others}; {REMEDY}")
        return fitted

    def by_lag(self, number: int = 0) -> np.ndarray:
        """The weight of each row of the context for each step ahead, [L, H], oldest row first, with the mean's share.

        A forecast of map `number` is the context times these, plus the deviation times the map's last row, and whatever
        the level or the calendar adds.
        """
        weights_LH = self.weights_MFH[number, : self.lags]
        return weights_LH + (1 - weights_LH.sum(axis=0)) / len(weights_LH)

    def from_others(self, number: int) -> dict[str, float]:
        """The share that each channel's movements have in what map `number` adds for them; empty if it adds nothing.

        The columns are in units of what is usual, so that their weights can be compared: a share is one of the sum of
        squares.
        """
        if self.recent is None:
            return {}
        columns = len(self.recent.usual_R)
        squared_R = np.square(self.weights_MFH[number, -1 - columns : -1]).sum(axis=1)
        squared_N = squared_R.reshape(limits.RECENT_COLUMNS, -1).sum(axis=0)
        total = float(squared_N.sum())
        return dict(zip(self.series, (squared_N / total).tolist(), strict=True)) if total else {}

    def corrected(self, added_FH: np.ndarray) -> Self:
        """Every map with this one added, which reads lags and deviation alone, [L + 1, H]."""
        weights_MFH = self.weights_MFH.copy()
        weights_MFH[:, : self.lags] += added_FH[:-1]
        weights_MFH[:, -1] += added_FH[-1]
        return replace(self, weights_MFH=weights_MFH)

    def weighted(self, share_H: np.ndarray) -> Self:
        """Every map with so much of it for each step of the horizon, [H]."""
        return replace(self, weights_MFH=self.weights_MFH * share_H)


def _multiply(features_BF: np.ndarray, weights_FH: np.ndarray) -> np.ndarray:
    """The product in parts of one size."""
    count = len(features_BF)
    out_BH = np.empty((count, weights_FH.shape[1]))
    padded_RF = np.zeros((_ROWS, features_BF.shape[1]))
    for begin in range(0, count, _ROWS):
        part_BF = features_BF[begin : begin + _ROWS]
        padded_RF[: len(part_BF)] = part_BF
        out_BH[begin : begin + _ROWS] = (padded_RF @ weights_FH)[: len(part_BF)]
    return out_BH
