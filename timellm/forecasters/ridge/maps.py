"""The kinds of linear map, and how those of one set of windows are found together.

Shapes: F features, R features of the other channels, H horizon.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import product
from typing import NamedTuple

import numpy as np

from timellm.config import LinearFallback, LinearFeatures, LinearMaps
from timellm.forecasters.ridge.features import RidgeWindows
from timellm.forecasters.ridge.solve import Moments, Solved, Spectrum


class Option(NamedTuple):
    """A kind of map."""

    features: LinearFeatures
    maps: LinearMaps
    fallback: LinearFallback
    others: bool = False
    """Whether a channel's map reads how the other channels moved lately."""

    @property
    def name(self) -> str:
        """As a run's summary has it."""
        return f"{self.features} {self.maps}{' last' * (self.fallback == 'last')}{' others' * self.others}"

    @property
    def shared(self) -> Option:
        """The kind of the map of all channels that this one is, or is drawn to."""
        return self._replace(maps="shared", others=False)

    @property
    def alone(self) -> Option:
        """The same without the other channels."""
        return self._replace(others=False)

    @property
    def differs_by_channel(self) -> bool:
        """Whether each channel has weights of its own."""
        return self.maps == "by_channel" or self.others


def options_of(
    kinds: tuple[LinearFeatures, ...],
    maps: tuple[LinearMaps, ...],
    fallbacks: tuple[LinearFallback, ...],
    others: tuple[bool, ...],
) -> tuple[Option, ...]:
    """What is tried, the simplest first. Another fallback is tried with the simplest features alone."""
    first, *further = fallbacks
    return (
        *(Option(features, one, first, told) for told, features, one in product(others, kinds, maps)),
        *(Option(kinds[0], one, fallback, others[0]) for fallback, one in product(further, maps)),
    )


def shared_maps(
    windows: RidgeWindows, options: Iterable[Option], *, training: Moments, validation: Moments
) -> dict[Option, Solved]:
    """The maps of all channels that the options are, or are drawn to."""
    found: dict[Option, Solved] = {}
    for features, wanted in _by_features({option.shared for option in options}).items():
        columns = windows.columns(features)
        spectrum, judging = Spectrum.of(training.of(columns)), validation.of(columns)
        for option in wanted:
            toward_FH = windows.fallback(option.fallback)
            found[option] = spectrum.solve(judging, toward_FH=toward_FH if toward_FH is None else toward_FH[columns])
    return found


def own_maps(
    windows: RidgeWindows,
    options: Iterable[Option],
    shared: dict[Option, Solved],
    *,
    training: Moments,
    validation: Moments,
) -> dict[Option, np.ndarray]:
    """The maps [F, H] of one channel for those options that differ by channel."""
    options = [option for option in options if option.differs_by_channel]
    found: dict[Option, np.ndarray] = {}
    own = dict.fromkeys(option.alone for option in options if option.maps == "by_channel")
    for features, wanted in _by_features(own).items():
        columns = windows.columns(features)
        spectrum, judging = Spectrum.of(training.of(columns)), validation.of(columns)
        for option in wanted:
            found[option] = spectrum.solve_near(shared[option.shared].weights_FH, judging)
    told = [option for option in options if option.others]
    spectrum_of_others = Spectrum.of(training.of(windows.columns_of_others)) if told and training.points else None
    for option in told:
        alone_FH = found[option.alone] if option.maps == "by_channel" else shared[option.shared].weights_FH
        columns = windows.columns(option.features)
        others_RH = np.zeros((windows.recent, windows.horizon))
        if spectrum_of_others and validation.points:
            # What the lags leave is fitted by the other channels, with a penalty of its own: in one fit with the lags,
            # their many columns and these few would share a penalty that suits neither.
            fitted, judging = (
                side.left_by(alone_FH, columns, on=windows.columns_of_others) for side in (training, validation)
            )
            others_RH = replace(spectrum_of_others, training=fitted).solve(judging).weights_FH
        found[option] = np.concatenate([alone_FH[:-1], others_RH, alone_FH[-1:]])
    return {option: found[option] for option in options}


def _by_features(options: Iterable[Option]) -> dict[LinearFeatures, list[Option]]:
    """Sums of the same features are decomposed once, which takes most of the time."""
    found: dict[LinearFeatures, list[Option]] = {}
    for option in options:
        found.setdefault(option.features, []).append(option)
    return found
