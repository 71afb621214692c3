"""Changes of the clocks in local timestamps: the hour that is skipped in spring, the one that comes twice in autumn.

Inputs: naive timestamps. Outputs: the time zone whose rules they follow, as an example of those with its rules:
timestamps do not tell Berlin from Paris.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from timellm.data.repair.clock import ZONES


def zone_of_springs(starts: pd.DatetimeIndex) -> tuple[str, np.ndarray]:
    """The zone in which most of these moments do not exist, and which of them; an empty name if there is none."""

    def skipped(zone: str) -> np.ndarray:
        # What comes twice is no matter here: False takes one of the two.
        none = np.zeros(len(starts), bool)
        return starts.tz_localize(zone, ambiguous=none, nonexistent="NaT").isna()

    return _best(skipped, len(starts))


def zone_of_autumns(twice: pd.DatetimeIndex) -> tuple[str, np.ndarray]:
    """The zone in which most of these moments come twice, and which of them; an empty name if there is none."""

    def repeated(zone: str) -> np.ndarray:
        return twice.tz_localize(zone, ambiguous="NaT", nonexistent="shift_forward").isna()

    return _best(repeated, len(twice))


def _best(of_zone: Callable[[str], np.ndarray], count: int) -> tuple[str, np.ndarray]:
    best, chosen = "", np.zeros(count, bool)
    if not count:
        return best, chosen
    for zone in ZONES:
        found = np.asarray(of_zone(zone))
        if found.sum() > chosen.sum():
            best, chosen = zone, found
    return best, chosen
