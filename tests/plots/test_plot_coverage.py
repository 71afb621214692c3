"""Achieved coverage beside the promise, by step and by channel."""

import pandas as pd

from timellm.plots.coverage import MOST_CHANNELS, coverage_by_channel, coverage_by_step


def frame(keys, coverage):
    return pd.DataFrame({"key": keys, "coverage": coverage})


def test_steps_are_drawn_beside_the_promise_of_each_level():
    figure = coverage_by_step({80: frame(["1", "2"], [0.7, 0.8]), 95: frame(["1", "2"], [0.9, 1.0])})
    assert [trace.name for trace in figure.data] == ["80 % band", "95 % band"]
    assert list(figure.data[0].x) == [1, 2] and {one.y0 for one in figure.layout.shapes} == {0.8, 0.95}


def test_channels_farthest_from_the_promise_are_on_top():
    coverage = [0.8, 0.5, float("nan"), *[0.79] * 30]
    figure = coverage_by_channel(frame([f"c{number}" for number in range(33)], coverage), 80)
    assert len(figure.data[0].y) == MOST_CHANNELS
    assert figure.data[0].y[-1] == "c1" and "c2" not in figure.data[0].y
