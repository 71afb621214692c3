"""Seasons are found in the values, quietly, and the calendar adds those that two cycles of noise would hide."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from timellm.config import RunConfig
from timellm.data.samples import find_sample
from timellm.data.seasonality import calendar_units, found_seasons, season_title
from timellm.data.table import load_table
from timellm.errors import ConfigError

pytestmark = pytest.mark.filterwarnings("error")


def repeating(season: int, *, rows: int, noise: float = 0.3, seed: int = 0) -> np.ndarray:
    """Two channels of one random pattern of `season` rows, with noise and a slope."""
    rng = np.random.default_rng(seed)
    pattern = rng.normal(size=season)
    row = np.arange(rows)
    return (pattern[row % season] + 0.01 * row)[:, None] + noise * rng.normal(size=(rows, 2))


@pytest.mark.parametrize("season", [5, 12, 37, 100])
def test_a_season_is_found_in_the_values_alone(season):
    assert found_seasons(repeating(season, rows=20 * season), frequency="YS") == (season,)


def test_a_longer_season_is_kept_only_where_it_tells_more():
    row = np.arange(24 * 7 * 10)
    day = np.sin(row * 2 * np.pi / 24)
    weekend = (row // 24 % 7 > 4) * 1.5
    noise = 0.2 * np.random.default_rng(0).normal(size=len(row))
    assert found_seasons((day + noise)[:, None], frequency="YS") == (24,)
    assert found_seasons((day * (1 - weekend) + noise)[:, None], frequency="YS") == (24, 168)


def test_the_bundled_hours_have_a_day_and_a_week():
    config = RunConfig.create(find_sample("melbourne-pedestrians").path)
    table = load_table(config.data)
    assert found_seasons(table.values.to_numpy(np.float64)[:6000], frequency="YS") == (24, 168)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_missing_values_are_left_out_of_the_search(share):
    values = repeating(24, rows=1200)
    values[np.random.default_rng(1).random(values.shape) < share] = np.nan
    values[300:400] = np.nan
    assert found_seasons(values, frequency="YS") == (24,)


def test_what_is_found_does_not_depend_on_scale_or_level():
    values = repeating(24, rows=600)
    for changed in (values * 1e12, values * 1e-12, values + 1e4, values * [1, 1e6]):
        assert found_seasons(changed, frequency="YS") == (24,)


@pytest.mark.parametrize(
    ("frequency", "rows", "expected"),
    [
        ("h", 1000, (24, 168)),
        ("h", 20_000, (24, 168, 8760)),
        ("15min", 2000, (4, 96, 672)),
        ("D", 800, (7, 365)),
        ("D", 729, (7,)),  # a year does not fit twice
        ("MS", 24, (12,)),
        ("W-SUN", 200, (52,)),
        ("QE", 8, (4,)),
        ("YS", 100, ()),
        ("7h", 1000, (24,)),  # a week; a day is no whole number of rows
    ],
)
def test_the_calendar_adds_seasons_of_which_two_cycles_fit(frequency, rows, expected):
    assert found_seasons(np.random.default_rng(0).normal(size=(rows, 3)), frequency=frequency) == expected


def test_a_found_season_close_to_the_calendar_takes_its_place():
    values = repeating(364, rows=4 * 364)
    assert found_seasons(values, frequency="D") == (7, 364)


def test_at_most_so_many_seasons_are_named_and_found_ones_first():
    values = repeating(37, rows=20_000)
    assert found_seasons(values, frequency="h", most=2) == (24, 37)
    assert found_seasons(values, frequency="h", most=1) == (37,)


@pytest.mark.parametrize(
    "values",
    [
        np.full((100, 2), 3.7),
        np.zeros((100, 1)),
        np.full((100, 2), np.nan),
        np.arange(100.0)[:, None] * 0.1,
        np.random.default_rng(0).normal(size=(10, 2)),
        np.empty((0, 2)),
        np.ones((1, 1)),
        np.ones((3, 1)),
        np.full((100, 1), 1e300),
    ],
    ids=["constant", "zero", "missing", "line", "ten rows", "no rows", "one row", "three rows", "huge"],
)
def test_nothing_is_found_quietly_where_nothing_repeats(values):
    assert found_seasons(values, frequency="YS") == ()


def test_a_channel_that_is_constant_or_missing_leaves_the_others_alone():
    values = repeating(24, rows=600)
    dull = np.column_stack([np.full(600, 5.0), values, np.full(600, np.nan)])
    assert found_seasons(dull, frequency="YS") == found_seasons(values, frequency="YS") == (24,)


def test_the_rows_given_are_not_changed():
    values = repeating(24, rows=600)
    before = values.copy()
    found_seasons(values, frequency="h")
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize(
    ("season", "frequency", "title"),
    [
        (24, "h", "24 rows (a day)"),
        (168, "h", "168 rows (a week)"),
        (48, "h", "48 rows (2 days)"),
        (364, "D", "364 rows (52 weeks)"),
        (8760, "h", "8,760 rows (a year)"),
        (4, "15min", "4 rows (an hour)"),
        (12, "MS", "12 rows (a year)"),
        (37, "h", "37 rows"),
        (1, "YS", "1 row"),
    ],
)
def test_seasons_are_named_as_a_reader_says_them(season, frequency, title):
    assert season_title(season, frequency) == title


def test_units_of_the_calendar_are_whole_rows():
    assert calendar_units("6h") == {"day": 4, "week": 28, "year": 1460}
    assert calendar_units("2MS") == {"year": 6}


def test_an_unknown_frequency_is_refused():
    with pytest.raises(ConfigError, match="'fortnight' is no pandas offset alias"):
        found_seasons(np.zeros((10, 1)), frequency="fortnight")


def test_pages_may_import_it_without_torch():
    code = "import sys, timellm.data.seasonality; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
