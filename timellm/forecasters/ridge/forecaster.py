"""Ridge regression as a forecaster: one linear map from context to horizon, or one for each channel.

Inputs: a prepared table. What a map reads of a window says timellm.forecasters.ridge.features; how maps are found,
timellm.forecasters.ridge.maps and .solve; which of them a forecast is the weighted mean of,
timellm.forecasters.ridge.choice. A weighted mean of linear maps is a linear map, so that one is kept.

Shapes: B windows of a batch, W windows, L lags read, H horizon, F features, M maps.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self, TypeVar, get_args

import numpy as np
import torch

from timellm.config import LinearFallback, LinearFeatures, LinearMaps, RidgeConfig, RunConfig
from timellm.data.prepared import PreparedData
from timellm.data.windows import WindowIndex
from timellm.errors import CheckpointError
from timellm.files.tensorfile import read_tensors, write_tensors
from timellm.forecasters.protocol import (
    FitJob,
    FitReport,
    FitStoppedError,
    OnBatch,
    OneRow,
    ignore_batch,
    settings_of,
)
from timellm.forecasters.ridge import limits
from timellm.forecasters.ridge.choice import Choice, choose
from timellm.forecasters.ridge.features import RidgeWindows
from timellm.forecasters.ridge.maps import Option, options_of, own_maps, shared_maps
from timellm.forecasters.ridge.trials import moments_of, of_channel
from timellm.forecasters.saved import REMEDY, reading
from timellm.training.checkpoint import check_companions, companions
from timellm.training.progress import Progress

FILE = "ridge.safetensors"
NAME = "Ridge"
_ROWS = 32
"""Windows that are multiplied at once: in a product of another size a sum has another order, and rounds otherwise."""
_MAPS = {"shared": "one map for all channels", "by_channel": "a map for each channel"}
_TOLD = {
    "plain": "",
    "level": ", told how high the context lies",
    "calendar": ", told where in the calendar the forecast begins",
}
_FALLBACK = {"mean": "", "last": ", drawn to the last value"}
_MANY_MAPS = "Maps by channel were not tried, because that takes long with so many channels or so long a context;"


R = TypeVar("R", bound="Ridge")


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
        return "its linear map has a part for each channel of that table; train it with linear_maps=shared"

    @classmethod
    def fit(cls, prepared: PreparedData, job: FitJob, *, file: str = FILE) -> tuple[Self | None, FitReport]:
        """Choose what is left open, find the maps, and the penalty by the validation error; keep them in `file`.

        Raises:
            DataError: the table has no training or validation window.
        """
        started = time.monotonic()
        fit = _Fit(prepared, job)
        try:
            fitted = fit.maps(cls, fit.choice())
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
        return found | ({"tried_maps": dict(self.tried), "map_shares": dict(self.shares)} if self.tried else {})

    def on(self, prepared: PreparedData) -> Callable[[WindowIndex], np.ndarray]:
        """What forecasts windows [W] of one table, [W, H], z-scored by channel; NaN where a context misses values."""
        windows = RidgeWindows(prepared, self.features, lags=self.lags)
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
        write_tensors(folder / file, {"weights": torch.from_numpy(self.weights_MFH)}, facts=facts)

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
                {str(name): float(share) for name, share in chosen.get("tried", {}).items()},
                {str(name): float(share) for name, share in chosen.get("shares", {}).items()},
                tuple(map(str, chosen.get("notes", ()))),
            )
            if not set(fitted.features) <= set(get_args(LinearFeatures)):
                raise ValueError(f"its features are '{' + '.join(fitted.features)}'")
        lags = min(config.task.context, limits.MOST_LAGS)
        added = limits.LEVEL_COLUMNS if "level" in fitted.features else 0
        if "calendar" in fitted.features:  # its columns follow from the step between rows
            added = max(added, weights_MFH.shape[1] - lags - 1)
        expected = (1 + len(series), lags + added + 1, config.task.horizon)
        if weights_MFH.dtype != np.float64 or weights_MFH.shape != expected or fitted.lags != lags:
            raise CheckpointError(f"{path} has weights {weights_MFH.shape} and not {expected}; {REMEDY}")
        return fitted

    def by_lag(self, number: int = 0) -> np.ndarray:
        """The weight of each row of the context for each step ahead, [L, H], oldest row first, with the mean's share.

        A forecast of map `number` is the context times these, plus the deviation times the map's last row, and whatever
        the level or the calendar adds.
        """
        weights_LH = self.weights_MFH[number, : self.lags]
        return weights_LH + (1 - weights_LH.sum(axis=0)) / len(weights_LH)

    def corrected(self, added_FH: np.ndarray) -> Self:
        """Every map with this one added, which reads lags and deviation alone, [L + 1, H]."""
        weights_MFH = self.weights_MFH.copy()
        weights_MFH[:, : self.lags] += added_FH[:-1]
        weights_MFH[:, -1] += added_FH[-1]
        return replace(self, weights_MFH=weights_MFH)

    def weighted(self, share_H: np.ndarray) -> Self:
        """Every map with so much of it for each step of the horizon, [H]."""
        return replace(self, weights_MFH=self.weights_MFH * share_H)


class _Fit:
    """One fit, and what its reader should know."""

    def __init__(self, prepared: PreparedData, job: FitJob) -> None:
        self._prepared, self._job = prepared, job
        self._training, self._validation = prepared.windows("training"), prepared.windows("validation")
        asked = settings_of(job.config, RidgeConfig)
        self.notes: list[str] = []
        self._kinds: tuple[LinearFeatures, ...] = (
            get_args(LinearFeatures) if asked.linear_features == "auto" else (asked.linear_features,)
        )
        self._penalty = asked.linear_penalty
        self._windows = windows = RidgeWindows(prepared, self._kinds, penalty=self._penalty)
        if windows.lags < prepared.context:
            self.notes.append(f"The ridge reads the last {windows.lags:,} of {prepared.context:,} context rows.")
        if "calendar" in self._kinds and not windows.calendar:
            if asked.linear_features == "calendar":
                self.notes.append(
                    f"Rows of {prepared.table.frequency} all begin at one place of the calendar: it tells nothing."
                )
            self._kinds = tuple(kind for kind in self._kinds if kind != "calendar") or ("plain",)
        maps: tuple[LinearMaps, ...]
        if asked.linear_maps != "auto":
            maps = (asked.linear_maps,)
        elif limits.may_have_own_maps(len(prepared.table.channels), features=windows.count, horizon=prepared.horizon):
            maps = get_args(LinearMaps)
        else:
            maps = ("shared",)
            if len(prepared.table.channels) > 1:
                self.notes.append(f"{_MANY_MAPS} linear_maps=by_channel asks for them.")
        fallbacks: tuple[LinearFallback, ...] = (
            get_args(LinearFallback) if asked.linear_fallback == "auto" else (asked.linear_fallback,)
        )
        self._options = options_of(self._kinds, maps, fallbacks)
        self._done = self._total = 0

    def choice(self) -> Choice:
        """What the maps should know.

        Raises:
            FitStoppedError: the user stopped it.
        """
        if len(self._options) == 1:
            return Choice({self._options[0]: 1.0}, self._options[0])
        # A thinned look at all windows, once for all channels and once for each.
        passes = len({option.maps for option in self._options})
        self._begin(min(len(self._training) + len(self._validation), limits.MOST_TRIED_WINDOWS) * passes)
        found = choose(self._windows, self._training, self._validation, options=self._options, on_windows=self._count)
        if found.is_short and len({option[:2] for option in self._options}) > 1:
            self.notes.append("The table is too short to choose what the linear map should know.")
        if set(found.shares) != {found.simplest}:
            gain = f"before the test part, that made its squared error {1 - found.error:.1%} smaller"
            parts = [f"{share:.0%} {_words(option)}" for option, share in found.shares.items()]
            mean = f"a weighted mean: {'; '.join(parts)}" if len(parts) > 1 else _words(next(iter(found.shares)))
            self.notes.append(f"The linear map is {mean}; {gain}.")
        return found

    def maps(self, cls: type[R], choice: Choice) -> R:
        """The maps of all windows.

        Raises:
            FitStoppedError: the user stopped it.
        """
        options = tuple(choice.shares)
        used = {option.features for option in options}
        features = tuple(kind for kind in get_args(LinearFeatures) if kind in used and kind != "plain")
        windows = RidgeWindows(self._prepared, features, penalty=self._penalty)
        by_channel = any(option.maps == "by_channel" for option in options)
        sides = (self._training, self._validation)
        self._begin(sum(map(len, sides)) * (2 if by_channel else 1))
        training, validation = (moments_of(windows, side, self._count) for side in sides)
        shared = shared_maps(windows, options, training=training, validation=validation)
        of_all = {option: shared[option.shared].weights_FH for option in options}
        found, squared = [_mean(windows, of_all, choice.shares)], 0.0
        for channel in range(len(self._prepared.table.channels)) if by_channel else ():
            fitted, judged = (moments_of(windows, of_channel(side, channel), self._count) for side in sides)
            own = own_maps(windows, options, shared, training=fitted, validation=judged)
            found.append(_mean(windows, of_all | own, choice.shares))
            squared += judged.squared(found[-1])
        loss = (squared if by_channel else validation.squared(found[0])) / validation.points
        weights_MFH = np.stack(found) * windows.scale_F[:, None]  # they were fitted to scaled features
        series = self._prepared.table.channels if by_channel else ()
        return cls(
            weights_MFH,
            shared[options[0].shared].penalty,
            loss,
            windows.lags,
            features,
            series,
            tried={option.name: share for option, share in choice.to_simplest.items()},
            shares={option.name: share for option, share in choice.shares.items()} if choice.to_simplest else {},
            notes=tuple(self.notes),
        )

    def _begin(self, total: int) -> None:
        self._done, self._total = 0, total

    def _count(self, windows: int) -> None:
        """Report so many windows more, unless the user has stopped the fit."""
        if self._job.should_stop():
            raise FitStoppedError
        self._done = min(self._done + windows, self._total)
        message = f"Fitting, {self._done:,} of {self._total:,} windows"
        self._job.on_progress(Progress("loading", fraction=self._done / self._total, message=message))


def _words(option: Option) -> str:
    return f"{_MAPS[option.maps]}{_TOLD[option.features]}{_FALLBACK[option.fallback]}"


def _mean(windows: RidgeWindows, maps: dict[Option, np.ndarray], shares: dict[Option, float]) -> np.ndarray:
    """The weighted mean of maps, [F, H] of all features."""
    mean_FH = np.zeros((windows.count, windows.horizon))
    for option, weights_FH in maps.items():
        mean_FH[windows.columns(option.features)] += shares[option] * weights_FH
    return mean_FH


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
