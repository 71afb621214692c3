"""What a prompt says of a window's place in time: for every step between rows, around holidays and notes."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from timellm.config import ModelConfig, RunConfig
from timellm.data.calendar import calendar_ones, grain_of, row_starts
from timellm.data.events import event_names
from timellm.data.table import Table
from timellm.data.told import MOST_AHEAD, MOST_PAST, Told, example_words
from timellm.errors import ConfigError

holidays_installed = pytest.mark.skipif(
    importlib.util.find_spec("holidays") is None, reason="the optional package holidays is not installed"
)


def table_of(start: str, frequency: str, rows: int = 60) -> Table:
    index = pd.date_range(start, periods=rows, freq=frequency, unit="us", name="ds")
    values = pd.DataFrame({"load": np.arange(rows, dtype=float)}, index=index)
    return Table(values, frequency, "ds", "wide", ())


def told(table: Table, *, context: int = 16, horizon: int = 24, **settings) -> Told:
    return Told(table, ModelConfig(context=context, horizon=horizon, patch_length=4, stride=2, **settings))


def calendar(start: str, frequency: str, origin: int) -> str:
    return told(table_of(start, frequency), prompt_calendar=True).words([origin])[0]


@pytest.mark.parametrize(
    ("start", "frequency", "origin", "expected"),
    [
        ("2016-12-24 00:00", "h", 57, "The forecast begins on Monday at 09:00 in December. "),
        ("2016-12-24 00:00", "15min", 5, "The forecast begins on Saturday at 01:15 in December. "),
        ("2016-12-24", "D", 20, "The forecast begins on Friday in January. "),
        ("2016-12-23", "B", 1, "The forecast begins on Monday in December. "),
        ("2016-12-24", "24h", 1, "The forecast begins on Sunday in December. "),
        ("2016-12-25", "W-SUN", 20, "The forecast begins in May. "),
        ("2016-12-25", "7D", 20, "The forecast begins in May. "),
        ("2016-01-01", "MS", 20, "The forecast begins in September. "),
        ("2016-01-31", "ME", 20, "The forecast begins in September. "),
        ("2016-01-01", "QS", 20, "The forecast begins with the quarter of January. "),
        ("2016-03-31", "QE", 21, "The forecast begins with the quarter of April. "),
        ("2016-01-01", "YS", 20, ""),
        ("2016-12-31", "YE", 20, ""),
    ],
)
def test_calendar_fits_the_step_between_rows(start, frequency, origin, expected):
    assert calendar(start, frequency, origin) == expected


@pytest.mark.parametrize("frequency", ["h", "D", "B", "W-SUN", "MS", "ME", "QE", "YE"])
def test_time_goes_on_after_the_end_of_the_table(frequency):
    """The words for the first row after a table's end are those of a longer table, where it is a row like others."""
    long = table_of("2016-01-01", frequency)
    short = replace(long, values=long.values.iloc[:40])
    settings = {"prompt_calendar": True, "dated_notes": f"{row_starts(long, 1)[41]:%Y-%m-%d} Fair", "horizon": 4}
    assert told(short, **settings).words(range(16, 41)) == told(long, **settings).words(range(16, 41))
    assert "Fair" in told(short, **settings).words([40])[0]


def test_words_are_the_same_whatever_the_values_are():
    table = table_of("2016-12-20", "h", 400)
    other = replace(table, values=table.values * np.nan)
    settings = {"prompt_calendar": True, "dated_notes": "2016-12-26 Boxing Day"}
    assert told(table, **settings).words(range(400)) == told(other, **settings).words(range(400))


def test_notes_fall_into_context_or_horizon_by_their_days():
    """Context 48 hours, horizon 24: every origin is compared with the days that its rows touch."""
    table = table_of("2016-12-20", "h", 300)
    teller = told(table, context=48, horizon=24, dated_notes="2016-12-26 Boxing Day")
    day, index = pd.Timestamp("2016-12-26"), row_starts(table, 24)
    for origin, words in zip(range(48, 301), teller.words(range(48, 301)), strict=True):
        ahead = index[origin : origin + 24].normalize() == day
        past = index[origin - 48 : origin].normalize() == day
        step = int(np.argmax(ahead)) + 1
        if ahead.any():
            assert words == f"Ahead: Boxing Day {'now' if past.any() else f'at step {step}'}. "
        elif past.any():
            assert words == f"Past: Boxing Day {int((index[origin] - day) / pd.Timedelta(hours=1))} steps ago. "
        else:
            assert words == ""


@pytest.mark.parametrize(
    ("start", "frequency", "row"), [("2016-01-01", "MS", 11), ("2016-01-31", "ME", 11), ("2016-03-31", "QE", 3)]
)
def test_a_day_within_a_month_or_quarter_belongs_to_its_row(start, frequency, row):
    teller = told(table_of(start, frequency), context=8, horizon=4, dated_notes="2016-12-26 Strike")
    assert teller.words([row - 3, row, row + 1]) == [
        "Ahead: Strike at step 4. ",
        "Ahead: Strike at step 1. ",
        "Past: Strike 1 steps ago. ",
    ]
    assert teller.words([row + 9]) == [""]


def test_days_in_a_row_are_one_event_and_the_nearest_are_told():
    notes = "\n".join(
        [*(f"2016-02-{day:02} Fair" for day in (10, 11, 12)), *(f"2016-01-{d:02} n{d}" for d in range(1, 32))]
    )
    teller = told(table_of("2016-01-01", "D"), context=16, horizon=30, dated_notes=notes)
    (words,) = teller.words([16])
    assert words == "Past: n15 2 steps ago, n16 1 steps ago. Ahead: n17 at step 1, n18 at step 2, n19 at step 3. "
    assert teller.words([41]) == ["Past: n30 12 steps ago, n31 11 steps ago. Ahead: Fair now. "]
    assert (MOST_PAST, MOST_AHEAD) == (2, 3)


def test_calendar_comes_before_events():
    teller = told(table_of("2016-12-24", "h"), prompt_calendar=True, dated_notes="2016-12-25 Snow")
    assert teller.words([20]) == ["The forecast begins on Saturday at 20:00 in December. Ahead: Snow at step 5. "]


@pytest.mark.parametrize(
    ("notes", "message"),
    [
        (
            "2016-12-26 Fair\n\n26.12.2016 Snow",
            r"'dated_notes', line 3 begins with '26\.12\.2016', which is no date; write",
        ),
        ("Fair", "line 1 begins with 'Fair', which is no date; write the date, a space and the note, as in 2016-12-26"),
        ("2016-W12-6 Fair", "line 1 begins with '2016-W12-6', which is no date"),
        ("20161226 Fair", "line 1 begins with '20161226', which is no date"),
        ("2016-02-30 Fair", r"'dated_notes', line 1: there is no day 2016-02-30 \(day"),
        ("2016-12-26", "line 1 has a date and no note; write the date"),
        ("2016-12-26 " + "long " * 20, "line 1: the note has 99 characters; write at most 80"),
    ],
)
def test_bad_note_is_refused_with_its_line(notes, message):
    with pytest.raises(ConfigError, match=message) as refused:
        RunConfig.create("a.csv", dated_notes=notes)
    assert "\n" not in str(refused.value)


def test_what_is_no_code_of_a_country_is_refused():
    with pytest.raises(
        ConfigError, match="'holiday_country' is 'Australia': it is no code of a country; use for example AU"
    ):
        RunConfig.create("a.csv", holiday_country="Australia")
    assert RunConfig.create("a.csv", holiday_country=" au-vic ").model.holiday_country == "AU-VIC"


def test_missing_package_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "holidays", None)
    with pytest.raises(
        ConfigError,
        match=r"^Setting 'holiday_country' needs the package holidays, .*; install it with: pip install holidays==",
    ):
        told(table_of("2016-12-24", "h"), holiday_country="AU")
    assert told(table_of("2016-12-24", "h"), dated_notes="2016-12-25 Snow").words([20])


@holidays_installed
def test_holidays_of_a_country_and_of_a_part_of_it_are_named_in_english():
    table = table_of("2016-10-20", "D")
    assert told(table, context=8, horizon=20, holiday_country="AU-VIC").words([8]) == [
        "Ahead: Melbourne Cup Day at step 5. "
    ]
    assert told(table, context=8, horizon=20, holiday_country="AU").words([8]) == [""]
    assert told(table, context=8, horizon=20, holiday_country="DE-BY").words([15]) == [
        "Past: All Saints' Day 3 steps ago. "
    ]


@holidays_installed
@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("XX", "'XX', but the package holidays has no country XX; correct it"),
        ("AU-X", "has no part X of AU; it has ACT,"),
    ],
)
def test_unknown_country_is_refused(code, message):
    with pytest.raises(ConfigError, match=message):
        told(table_of("2016-12-24", "h"), holiday_country=code)


@holidays_installed
def test_every_event_has_a_name_that_the_examples_know():
    config = ModelConfig(context=16, horizon=24, holiday_country="AU-VIC", dated_notes="2016-12-24 Snow")
    names = event_names(config)
    assert {"Christmas Day", "Melbourne Cup Day", "Snow"} <= set(names)
    table = table_of("1990-01-01", "D", 15_000)
    longest = max(map(len, example_words(config, sorted(names, key=len, reverse=True))))
    assert max(map(len, Told(table, config).words(range(16, 15_000)))) <= longest


def test_examples_hold_every_beginning_and_the_longest_words():
    config = ModelConfig(context=16, horizon=24, prompt_calendar=True, dated_notes="2016-12-26 Boxing Day")
    examples = example_words(config, ["Boxing Day"])
    assert "" in examples and len({words[:6] for words in examples if words}) == 3  # "The fo", "Past: ", "Ahead:"
    words = Told(table_of("2016-12-01", "h", 1000), config).words(range(1001))
    assert max(map(len, words)) <= max(map(len, examples))
    assert example_words(ModelConfig(), []) == [""]


@pytest.mark.parametrize(
    ("start", "frequency", "columns"),
    [("2016-12-24", "h", 180), ("2016-12-24", "D", 19), ("2016-01-31", "ME", 12), ("2016-12-31", "YE", 0)],
)
def test_one_hot_columns_name_one_moment_each(start, frequency, columns):
    table = table_of(start, frequency, 400)
    starts, grain = row_starts(table, 3), grain_of(table.offset)
    ones = calendar_ones(starts, grain)
    assert ones.shape == (404, columns)
    if columns:
        assert (ones.sum(axis=1) == (1 if grain == "month" else 2)).all()
        assert (ones[:, -12:].argmax(axis=1) == starts.month - 1).all()
    if grain == "hour":
        assert (ones[:, :168].argmax(axis=1) == starts.day_of_week * 24 + starts.hour).all()
