"""The kinds of linear map, and how those of one set of windows are found together.

Shapes: F features, H horizon.
"""

from __future__ import annotations

from collections.abc import Iterable
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

    @property
    def name(self) -> str:
        """As a run's summary has it."""
        return f"{self.features} {self.maps}" + (" last" if self.fallback == "last" else "")

    @property
    def shared(self) -> Option:
        """The kind of the map of all channels that this one is, or is drawn to."""
        return self._replace(maps="shared")


def options_of(
    kinds: tuple[LinearFeatures, ...], maps: tuple[LinearMaps, ...], fallbacks: tuple[LinearFallback, ...]
) -> tuple[Option, ...]:
    """What is tried, the simplest first. Another fallback is tried with the simplest features alone."""
    first, *others = fallbacks
    return (
        *(Option(features, one, first) for features, one in product(kinds, maps)),
        *(Option(kinds[0], one, fallback) for fallback, one in product(others, maps)),
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
    """The maps [F, H] of one channel for those options that have maps by channel."""
    found: dict[Option, np.ndarray] = {}
    for features, wanted in _by_features(option for option in options if option.maps == "by_channel").items():
        columns = windows.columns(features)
        spectrum, judging = Spectrum.of(training.of(columns)), validation.of(columns)
        for option in wanted:
            found[option] = spectrum.solve_near(shared[option.shared].weights_FH, judging)
    return found


def _by_features(options: Iterable[Option]) -> dict[LinearFeatures, list[Option]]:
    """Sums of the same features are decomposed once, which takes most of the time."""
    found: dict[LinearFeatures, list[Option]] = {}
    for option in options:
        found.setdefault(option.features, []).append(option)
    return found
