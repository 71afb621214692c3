"""Defaults that follow from the step between rows."""

import numpy as np
import pandas as pd
import pytest

from timellm.config import TaskConfig
from timellm.data.season import explained_lengths, season_length, step_name, suggest_description, suggest_lengths
from timellm.data.table import Table
from timellm.errors import ConfigError, DataError

TASK = TaskConfig()


def table(rows: int, step: str = "h", channels: int = 2) -> Table:
    index = pd.date_range("2021-01-01", periods=rows, freq=step, name="ds")
    values = pd.DataFrame(np.ones((rows, channels)), index=index, columns=[f"c{n}" for n in range(channels)])
    return Table(values, step, "ds", "wide", ())


@pytest.mark.parametrize(
    ("step", "season"),
    [
        ("h", 24), ("30min", 48), ("15min", 96), ("2h", 12), ("5h", 1), ("min", 1440), ("s", 3600), ("D", 7), ("B", 5),
        ("W-SUN", 52), ("W-MON", 52), ("MS", 12), ("ME", 12), ("2MS", 6), ("QS", 4), ("QE-FEB", 4), ("YS", 1),
        ("YE-JUN", 1),
    ],
)  # fmt: skip
def test_season_length_follows_the_calendar(step, season):
    assert season_length(step) == season


def test_season_of_an_unknown_step_is_refused():
    with pytest.raises(ConfigError, match="'fortnight' is no pandas offset alias"):
        season_length("fortnight")


@pytest.mark.parametrize(
    ("step", "rows", "context", "horizon"),
    [
        ("h", 17_420, 336, 96),
        ("30min", 20_000, 336, 96),
        ("D", 1461, 336, 30),
        ("W-MON", 500, 168, 10),
        ("MS", 144, 40, 12),
        ("15min", 20_000, 336, 192),
        ("5min", 20_000, 336, 288),
        ("min", 20_000, 336, 288),
        ("h", 400, 120, 40),
    ],
)
def test_suggested_lengths_suit_step_and_size(step, rows, context, horizon):
    assert suggest_lengths(table(rows, step), TASK) == (context, horizon)


@pytest.mark.parametrize("rows", [40, 55, 100, 333, 1000])
@pytest.mark.parametrize("step", ["h", "D", "MS", "YS"])
def test_suggested_lengths_leave_windows_in_every_part(step, rows):
    context, horizon = suggest_lengths(table(rows, step), TASK)
    train, validation, test = TASK.split_rows(rows)
    assert context >= 8
    assert context % 8 == 0
    assert train >= context + horizon
    assert min(validation, test) >= horizon >= 1


@pytest.mark.parametrize("rows", [2, 10, 12])
def test_suggested_lengths_refuse_a_table_that_is_too_short(rows):
    with pytest.raises(DataError, match=f"the table has {rows} rows, of which .* too short to learn from"):
        suggest_lengths(table(rows), TASK)


def test_description_names_channels_step_and_span():
    assert suggest_description(table(100), "Sales") == (
        "Sales holds 2 channels (c0, c1), with one row every hour, from 2021-01-01 00:00 to 2021-01-05 03:00. "
        "Expect a pattern that repeats every 24 rows."
    )
    assert suggest_description(table(30, "YS", channels=1), " ") == (
        "The table holds 1 channel (c0), with one row every year, from 2021-01-01 to 2050-01-01."
    )
    assert "(c0, c1, c2, c3, c4, c5, c6, c7 and 4 more)" in suggest_description(table(30, channels=12), "Load")


@pytest.mark.parametrize(
    ("step", "name"), [("h", "hour"), ("15min", "15 minutes"), ("W-MON", "week"), ("3MS", "3 months")]
)
def test_step_name_is_plain(step, name):
    assert step_name(step) == name


def test_suggested_lengths_have_reasons():
    usual = explained_lengths(table(2000, "h"), TASK)
    assert usual.why_horizon == "96 rows are usual for one row every hour"
    assert usual.why_context.endswith("It holds 14 seasons of a day")
    short = explained_lengths(table(120, "MS"), TASK)
    assert "about half of the" in short.why_context and "seasons of a year" in short.why_context
    tiny = explained_lengths(table(40, "h"), TASK)
    assert "part is too short for them" in tiny.why_horizon
    assert "It is less than a season of 24 rows (a day)" in tiny.why_context
