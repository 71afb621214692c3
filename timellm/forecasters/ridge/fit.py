"""One fit of the linear maps: what is left open is chosen, then the maps of all windows are found.

Inputs: a prepared table and its settings. How maps are found says timellm.forecasters.ridge.maps and .solve; which of
them a forecast is the weighted mean of, timellm.forecasters.ridge.choice. A weighted mean of linear maps is a linear
map, so that one is kept.

Shapes: F features, H horizon.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, get_args

import numpy as np

from timellm.config import LinearFallback, LinearFeatures, LinearMaps, RidgeConfig
from timellm.data.prepared import PreparedData
from timellm.forecasters.protocol import FitJob, FitStoppedError, settings_of
from timellm.forecasters.ridge import limits
from timellm.forecasters.ridge.choice import Choice, choose
from timellm.forecasters.ridge.features import RidgeWindows
from timellm.forecasters.ridge.maps import Option, options_of, own_maps, shared_maps
from timellm.forecasters.ridge.recent import Recent
from timellm.forecasters.ridge.trials import moments_of, of_channel
from timellm.training.progress import Progress

_MAPS = {"shared": "one map for all channels", "by_channel": "a map for each channel"}
_TOLD = {
    "plain": "",
    "level": "how high the context lies",
    "calendar": "where in the calendar the forecast begins",
}
_OTHERS = "how the other channels moved lately"
_FALLBACK = {"mean": "", "last": ", drawn to the last value", "rule": ", drawn to the best simple rule"}
_MANY_MAPS = "Maps by channel were not tried, because that takes long with so many channels or so long a context;"

R = TypeVar("R")


class Fit:
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
        self._recent = None if asked.linear_others == "none" else Recent.of(prepared)
        windows = RidgeWindows(prepared, self._kinds, penalty=self._penalty)
        if windows.lags < prepared.context:
            self.notes.append(f"The ridge reads the last {windows.lags:,} of {prepared.context:,} context rows.")
        if "calendar" in self._kinds and not windows.calendar:
            if asked.linear_features == "calendar":
                self.notes.append(
                    f"Rows of {prepared.table.frequency} all begin at one place of the calendar: it tells nothing."
                )
            self._kinds = tuple(kind for kind in self._kinds if kind != "calendar") or ("plain",)
        maps: tuple[LinearMaps, ...]
        channels = len(prepared.table.channels)
        if asked.linear_maps != "auto":
            maps = (asked.linear_maps,)
        elif limits.may_have_own_maps(channels, features=windows.count, horizon=prepared.horizon):
            maps = get_args(LinearMaps)
        else:
            maps = ("shared",)
            if channels > 1:
                self.notes.append(f"{_MANY_MAPS} linear_maps=by_channel asks for them.")
        fallbacks: tuple[LinearFallback, ...] = (
            get_args(LinearFallback) if asked.linear_fallback == "auto" else (asked.linear_fallback,)
        )
        self._options = options_of(self._kinds, maps, fallbacks, self._others(asked, maps))
        # Sums over columns that no map reads would take time for nothing.
        told = any(option.others for option in self._options)
        self._windows = (
            RidgeWindows(prepared, self._kinds, penalty=self._penalty, recent=self._recent) if told else windows
        )
        self._done = self._total = 0

    def _others(self, asked: RidgeConfig, maps: tuple[LinearMaps, ...]) -> tuple[bool, ...]:
        """Whether maps are told of the other channels; both where that is to be tried."""
        channels = len(self._prepared.table.channels)
        if self._recent is None:
            if asked.linear_others != "none" and channels > 1:
                self.notes.append(f"The linear map is told nothing of other channels, because there are {channels:,}.")
            return (False,)
        if asked.linear_others == "recent":
            return (True,)
        return (False, True) if "by_channel" in maps else (False,)

    def choice(self) -> Choice:
        """What the maps should know.

        Raises:
            FitStoppedError: the user stopped it.
        """
        if len(self._options) == 1:
            return Choice({self._options[0]: 1.0}, self._options[0])
        # A thinned look at all windows, once for all channels and once for each.
        passes = 1 + any(option.differs_by_channel for option in self._options)
        self._begin(min(len(self._training) + len(self._validation), limits.MOST_TRIED_WINDOWS) * passes)
        found = choose(self._windows, self._training, self._validation, options=self._options, on_windows=self._count)
        if found.is_short and len({option._replace(fallback="mean") for option in self._options}) > 1:
            self.notes.append("The table is too short to choose what the linear map should know.")
        if set(found.shares) != {found.simplest}:
            self.notes.append(f"The linear map is {_mean_in_words(found)}.")
        return found

    def maps(self, choice: Choice, *, make: Callable[..., R]) -> R:
        """The maps of all windows, put together by `make` (timellm.forecasters.ridge.forecaster.Ridge).

        Raises:
            FitStoppedError: the user stopped it.
        """
        options = tuple(choice.shares)
        used = {option.features for option in options}
        features = tuple(kind for kind in get_args(LinearFeatures) if kind in used and kind != "plain")
        recent = self._recent if any(option.others for option in options) else None
        windows = RidgeWindows(self._prepared, features, penalty=self._penalty, recent=recent)
        by_channel = any(option.differs_by_channel for option in options)
        sides = (self._training, self._validation)
        self._begin(sum(map(len, sides)) * (2 if by_channel else 1))
        training, validation = (moments_of(windows, side, self._count) for side in sides)
        shared = shared_maps(windows, options, training=training, validation=validation)
        of_all = {option: shared[option.shared].weights_FH for option in options}
        # The first map serves any series: it is told nothing of others.
        found = [_mean(windows, [(option.alone, of_all[option], share) for option, share in choice.shares.items()])]
        squared = 0.0
        for channel in range(len(self._prepared.table.channels)) if by_channel else ():
            fitted, judged = (moments_of(windows, of_channel(side, channel), self._count) for side in sides)
            own = own_maps(windows, options, shared, training=fitted, validation=judged)
            both = of_all | own
            found.append(_mean(windows, [(option, both[option], share) for option, share in choice.shares.items()]))
            squared += judged.squared(found[-1])
        loss = (squared if by_channel else validation.squared(found[0])) / validation.points
        weights_MFH = np.stack(found) * windows.scale_F[:, None]  # they were fitted to scaled features
        series = self._prepared.table.channels if by_channel else ()
        had_choice = bool(choice.to_simplest) or len(choice.shares) > 1
        return make(
            weights_MFH,
            shared[options[0].shared].penalty,
            loss,
            windows.lags,
            features,
            series,
            recent,
            tried={option.name: share for option, share in choice.to_simplest.items()},
            shares={option.name: share for option, share in choice.shares.items()} if had_choice else {},
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


def _mean_in_words(found: Choice) -> str:
    parts = [f"{share:.0%} {_words(option)}" for option, share in found.shares.items()]
    mean = f"a weighted mean: {'; '.join(parts)}" if len(parts) > 1 else _words(next(iter(found.shares)))
    if not found.to_simplest:
        return f"{mean}; there was nothing to judge them by, so each counts alike"
    return f"{mean}; before the test part, that made its squared error {1 - found.error:.1%} smaller"


def _words(option: Option) -> str:
    told = " and ".join(one for one in (_TOLD[option.features], _OTHERS * option.others) if one)
    return f"{_MAPS[option.maps]}{f', told {told}' if told else ''}{_FALLBACK[option.fallback]}"


def _mean(windows: RidgeWindows, maps: list[tuple[Option, np.ndarray, float]]) -> np.ndarray:
    """The weighted mean of maps, [F, H] of all features."""
    mean_FH = np.zeros((windows.count, windows.horizon))
    for option, weights_FH, share in maps:
        mean_FH[windows.columns(option.features, others=option.others)] += share * weights_FH
    return mean_FH
