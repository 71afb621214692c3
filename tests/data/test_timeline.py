"""Steps found between timestamps, and grids laid under them."""

import numpy as np
import pandas as pd
import pytest

from timellm.data.timeline import fill_share, infer_frequency, parse_frequency, regular_grid
from timellm.errors import ConfigError, DataError

STEPS = [
    "ms",
    "s",
    "min",
    "15min",
    "30min",
    "h",
    "6h",
    "D",
    "3D",
    "14D",
    "W-MON",
    "W-SUN",
    "B",
    "MS",
    "ME",
    "2MS",
    "QS",
]
STEPS += ["QE", "QS-FEB", "YS", "YE", "YS-APR", "YE-JUN"]


def times(step: str, rows: int = 50) -> pd.DatetimeIndex:
    return pd.date_range("2003-01-01", periods=rows, freq=step, unit="us")


@pytest.mark.parametrize("step", STEPS)
def test_step_is_found_and_its_grid_is_the_timestamps(step):
    index = times(step)
    found = infer_frequency(index)
    assert found == step
    assert regular_grid(index, found).equals(index)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("seed", range(3))
def test_step_survives_gaps(step, seed):
    index = times(step)
    inner = np.random.default_rng(seed).choice(np.arange(1, 49), size=10, replace=False)
    present = index.delete(inner)
    assert infer_frequency(present) == step
    assert regular_grid(present, step).equals(index)


def test_stray_first_timestamp_does_not_move_the_grid():
    index = times("h")
    stray = index.insert(0, index[0] - pd.Timedelta(minutes=50))
    assert infer_frequency(stray) == "h"
    assert regular_grid(stray, "h").equals(index)


def test_five_working_days_in_one_week_are_plain_days():
    assert infer_frequency(pd.date_range("2020-01-06", periods=5)) == "D"


def test_far_timestamp_is_refused_with_its_place():
    index = times("h").append(pd.DatetimeIndex(["2043-01-01"]))
    with pytest.raises(
        DataError, match=r"would need 350,\d+ rows, but only 51 .* the widest gap follows 2003-01-03 01:00:00"
    ):
        regular_grid(index, "h")


@pytest.mark.parametrize(
    ("given", "step", "expected"),
    [
        ("W", "W-TUE", "W-TUE"),
        ("QS", "QS-FEB", "QS-FEB"),
        ("h", "h", "h"),
        ("QS", "QS", "QS-JAN"),
        ("60min", "h", "60min"),
    ],
)
def test_given_frequency_takes_its_anchor_from_the_rows(given, step, expected):
    assert parse_frequency(given, times(step)) == expected


@pytest.mark.parametrize(
    ("given", "message"), [("H", "no pandas offset alias"), ("0h", "must go forward"), ("x", "no pandas")]
)
def test_given_frequency_without_meaning_is_refused(given, message):
    with pytest.raises(ConfigError, match=message):
        parse_frequency(given, times("h"))


def test_fill_share_is_one_for_a_full_grid_and_low_for_a_scattered_one():
    assert fill_share(pd.Series(times("D"))) == 1
    assert fill_share(pd.Series(pd.to_datetime(["2020-01-01", "2020-01-02", "2020-06-11", "2020-11-20"]))) < 0.1
    assert fill_share(pd.Series(times("D")[:1])) == 0
