"""Which windows intervals are calibrated on: evenly spaced validation windows of every channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from timellm.data.windows import WindowIndex

if TYPE_CHECKING:
    from timellm.data.prepared import PreparedData

MOST_CALIBRATED = 256
"""Validation windows of a channel that quantiles rest on at most: more of them overlap."""
_MOST_CUTOFFS, _FEWEST_CUTOFFS = 400, 20
"""Test windows of a channel that bands adapt to, and that coverage is measured on."""
_MOST_WINDOWS, _MOST_POINTS = 20_000, 50_000_000
"""Of these windows in all, unless a fifth of the test windows are more; and of their points."""
_FEWEST = 64
FEWEST_OF_SLOW = 20
"""Of a forecaster that had no time for all test windows: of all channels together, which then share quantiles."""
_SHARE = 5
"""One validation window is forecast for so many test windows, so that a slow network is not held up."""


def calibration_windows(prepared: PreparedData, *, share: float = 1.0) -> WindowIndex:
    """Validation windows of every channel; of all together where a forecaster had time for a share of the test alone.

    Raises:
        DataError: there is no validation or test window.
    """
    index = prepared.windows("validation")
    tested = len(prepared.windows("test")) * share
    if is_slow(share):
        return index.evenly(max(FEWEST_OF_SLOW, int(tested / _SHARE)))
    most = int(tested / _SHARE / len(prepared.table.channels))
    places = evenly_by_channel(index, most=min(MOST_CALIBRATED, max(_FEWEST, most)))
    return WindowIndex(index.channel[places], index.origin[places], 0)


def is_slow(share: float) -> bool:
    """Whether a forecaster left out test windows for want of time, having forecast a share of them."""
    return share < 0.99


def most_cutoffs(prepared: PreparedData) -> int:
    """Test windows of a channel that bands adapt to at most: fewer of each where there are many channels.

    Raises:
        DataError: there is no test window.
    """
    channels = len(prepared.table.channels)
    windows = max(_MOST_WINDOWS, len(prepared.windows("test")) // _SHARE)
    most = min(_MOST_CUTOFFS, windows // channels, _MOST_POINTS // (channels * prepared.horizon))
    return max(_FEWEST_CUTOFFS, most)


def evenly_by_channel(index: WindowIndex, *, most: int) -> np.ndarray:
    """Places of at most so many windows of each channel, evenly spaced in time, channel after channel."""
    found = []
    for channel in np.unique(index.channel):
        mine = np.flatnonzero(index.channel == channel)
        keep = np.linspace(0, len(mine) - 1, min(len(mine), most)).round().astype(np.int64)
        found.append(mine[keep])
    return np.concatenate(found)
