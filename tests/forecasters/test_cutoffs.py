"""The part of the test windows that a slow forecaster forecasts."""

from __future__ import annotations

import numpy as np
import pytest

from timellm.data.windows import Split, WindowIndex
from timellm.forecasters.cutoffs import Cutoffs

SPLIT = Split(60, 80, 120)
HORIZON, ROWS = 5, 130


def windows(channels: int) -> WindowIndex:
    origins = np.arange(80, 116)
    return WindowIndex(np.repeat(np.arange(channels), len(origins)), np.tile(origins, channels), 0)


def chosen(cutoffs: Cutoffs, index: WindowIndex) -> np.ndarray:
    return cutoffs.holds(index, horizon=HORIZON, rows=ROWS)


def test_every_channel_has_as_many_windows_evenly_spaced():
    index = windows(3)
    held = chosen(Cutoffs.choose(index, SPLIT, count=13), index)
    for channel in range(3):
        mine = index.origin[held & (index.channel == channel)]
        assert len(mine) == 4 and mine[0] == 80 and mine[-1] == 115
        assert np.ptp(np.diff(mine)) <= 1


@pytest.mark.parametrize("count", [1, 2, 5, 35, 36, 37, 107, 108, 500])
def test_never_more_than_asked_for(count):
    index = windows(3)
    held = chosen(Cutoffs.choose(index, SPLIT, count=count), index)
    assert 1 <= held.sum() <= count
    assert held.all() == (count >= len(index))


def test_windows_outside_the_test_part_are_always_held():
    cutoffs = Cutoffs.choose(windows(2), SPLIT, count=2)
    outside = WindowIndex(np.array([0, 1, 0, 1, 5]), np.array([40, 79, 116, ROWS, ROWS - 2]), 0)
    assert chosen(cutoffs, outside).all()
    inside = WindowIndex(np.array([0, 0, 5]), np.array([80, 81, 81]), 0)
    assert chosen(cutoffs, inside).tolist() == [True, False, False]


def test_end_of_a_shorter_table_is_held():
    cutoffs = Cutoffs.choose(windows(1), SPLIT, count=2)
    index = WindowIndex(np.array([0]), np.array([90]), 0)
    assert not cutoffs.holds(index, horizon=HORIZON, rows=95).any()
    assert cutoffs.holds(index, horizon=HORIZON, rows=90).all()


@pytest.mark.parametrize("count", [2, 10, 500])
def test_written_and_read_it_is_the_same(count):
    cutoffs = Cutoffs.choose(windows(3), SPLIT, count=count)
    assert Cutoffs.from_dict(cutoffs.to_dict()) == cutoffs
