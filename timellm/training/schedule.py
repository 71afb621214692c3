"""Learning-rate schedules as functions of the run's progress, 0 to 1, which steps or the clock can drive."""

from __future__ import annotations

import math
from typing import Literal

_RISE = 0.3  # share of a one-cycle run in which the rate rises (Smith & Topin 2018)
_START = 1 / 25  # first rate of a one-cycle run, as a share of its peak
_END = 1e-3  # last rate, as a share of the peak


def rate(progress: float, *, peak: float, schedule: Literal["one-cycle", "cosine", "constant"]) -> float:
    """Learning rate at `progress` (0 at the first step, 1 at the last) of a run that peaks at `peak`."""
    if schedule == "constant":
        return peak
    if schedule == "one-cycle":
        if progress < _RISE:
            return peak * (_START + (1 - _START) * _half_wave(progress / _RISE))
        progress = (progress - _RISE) / (1 - _RISE)
    return peak * (_END + (1 - _END) * (1 - _half_wave(min(progress, 1.0))))


def _half_wave(share: float) -> float:
    """0 to 1 along half a cosine."""
    return (1 - math.cos(math.pi * share)) / 2
