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
from timellm.forecasters.ridge.fallback import fallback_map
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
        return f"{self.features} {self.maps}{f' {self.fallback}' * (self.fallback != 'mean')}{' others' * self.others}"

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
            toward_FH = fallback_map(windows, option.fallback, columns, training=spectrum.training, validation=judging)
            found[option] = spectrum.solve(judging, toward_FH=toward_FH)
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
    if told := [option for option in options if option.others]:
        alone = {option: found.get(option.alone, shared[option.shared].weights_FH) for option in told}
        found |= _with_others(windows, alone, training=training, validation=validation)
    return {option: found[option] for option in options}


def _with_others(
    windows: RidgeWindows, maps: dict[Option, np.ndarray], *, training: Moments, validation: Moments
) -> dict[Option, np.ndarray]:
    """The maps [F, H] of one channel with weights for the other channels; zeros where the channel has no window.

    These weights are fitted to what a map leaves, with a penalty of their own. In one fit the many lags and the few
    columns of the others would share a penalty that suits neither (docs/recipe.md).
    """
    others = windows.columns_of_others
    spectrum = Spectrum.of(training.of(others))
    found: dict[Option, np.ndarray] = {}
    for option, alone_FH in maps.items():
        weights_RH = np.zeros((windows.recent, windows.horizon))
        if training.points and validation.points:
            columns = windows.columns(option.features)
            left, judging = (side.left_by(alone_FH, columns, on=others) for side in (training, validation))
            weights_RH = replace(spectrum, training=left).solve(judging).weights_FH
        found[option] = np.concatenate([alone_FH[:-1], weights_RH, alone_FH[-1:]])
    return found


def _by_features(options: Iterable[Option]) -> dict[LinearFeatures, list[Option]]:
    """Sums of the same features are decomposed once, which takes most of the time."""
    found: dict[LinearFeatures, list[Option]] = {}
    for option in options:
        found.setdefault(option.features, []).append(option)
    return found
