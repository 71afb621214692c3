"""Missing values, empty, constant and nearly constant channels, row numbers."""

import numpy as np
import pandas as pd
import pytest

from timellm.config import TaskConfig
from timellm.data.table import read_table
from timellm.quality.checks import check, shown_first
from timellm.quality.words import said


def test_missing_cells_name_their_lines_in_a_wide_file(tmp_path, daily_wave):
    path = tmp_path / "wide.csv"
    frame = pd.DataFrame({"ds": pd.date_range("2024", periods=300, freq="h"), "load": daily_wave(300)})
    frame.loc[[10, 50, 51], "load"] = np.nan
    frame.to_csv(path, index=False)
    (found,) = check(read_table(path), TaskConfig(context=48, horizon=12)).of("missing_values")
    assert (found.channel, found.count) == ("load", 3)
    assert [(span.line, span.rows) for span in found.where] == [(52, 2), (12, 1)]  # the header is line 1


def test_missing_cells_name_their_lines_in_a_long_file(tmp_path):
    path = tmp_path / "long.csv"
    times = pd.date_range("2024", periods=120, freq="h")
    frame = pd.concat([pd.DataFrame({"unique_id": name, "ds": times, "y": np.arange(120) % 24}) for name in "ab"])
    frame.reset_index(drop=True).astype({"y": float}).assign(y=lambda f: f["y"].mask(f.index == 130)).to_csv(
        path, index=False
    )
    (found,) = check(read_table(path), TaskConfig(context=48, horizon=12)).of("missing_values")
    assert (found.channel, [span.line for span in found.where]) == ("b", [132])


def test_rows_that_are_missing_as_a_whole_are_not_counted_again_as_cells(look, daily_wave):
    load, heat = daily_wave(400), daily_wave(400) + 3
    load[100:110] = heat[100:110] = np.nan
    load[200] = np.nan
    found = look(load=load, heat=heat)
    assert [(one.channel, one.count) for one in found.of("missing_values")] == [("load", 1)]
    assert found.of("missing_rows")[0].count == 10


def test_gaps_that_cost_every_window_are_grave(look, daily_wave):
    load = daily_wave(400)
    load[::40] = np.nan
    (found,) = look(load=load, other=daily_wave(400)).of("missing_values")
    assert found.severity == "grave"
    assert found.values["windows_left_out"] == found.values["windows"] == 341


def test_empty_and_constant_channels_are_named_and_offered_to_be_dropped(look, daily_wave):
    found = look(load=daily_wave(200), nothing=np.full(200, np.nan), same=np.full(200, 5.0))
    (empty,), (constant,) = found.of("empty"), found.of("constant")
    assert (empty.channel, empty.severity) == ("nothing", "grave")
    assert (constant.channel, constant.values["value"]) == ("same", 5.0)
    assert constant.repair.arguments == {"channel": "same"}
    assert not found.of("missing_values")
    assert not found.of("nearly_constant")


def test_valve_that_is_open_2_percent_of_the_time_is_nearly_constant(look, daily_wave):
    valve = np.zeros(1000)
    valve[100:110] = valve[500:510] = 1
    (found,) = look(load=daily_wave(1000), valve=valve).of("nearly_constant")
    assert (found.channel, found.count, found.share) == ("valve", 20, pytest.approx(0.02))
    assert (found.values["value"], found.values["other_value"], found.values["times"]) == (0.0, 1.0, 2)
    assert found.where[0].first_row == 500, "the latest opening first"


def test_rain_on_every_tenth_day_is_not_nearly_constant(look, random):
    rain = np.where(random.random(2000) < 0.1, random.exponential(5, 2000), 0)
    assert not look(rain=rain).of("nearly_constant")


@pytest.mark.parametrize("step", [1, -3, 0.25])
def test_row_number_is_a_counter(look, daily_wave, step):
    numbers = 100 + step * np.arange(300.0)
    numbers[40] = np.nan
    (found,) = look(number=numbers, load=daily_wave(300)).of("counter")
    assert (found.channel, found.values["step"]) == ("number", pytest.approx(step))


def test_trend_with_noise_is_no_counter(look, random):
    assert not look(sales=np.arange(300) + random.normal(0, 0.01, 300)).of("counter")


def test_charts_offer_channels_with_something_to_see_first(table_of, daily_wave):
    table = table_of(number=np.arange(300), same=np.ones(300), load=daily_wave(300))
    quality = check(table, TaskConfig(context=48, horizon=12))
    assert shown_first(table, quality) == ("load", "number", "same")


def test_gaps_that_are_filled_cost_only_windows_that_miss_a_value_to_forecast(table_of, daily_wave):
    load = daily_wave(400)
    load[200] = np.nan
    table, task = table_of(load=load, other=daily_wave(400)), TaskConfig(context=48, horizon=12)
    (found,) = check(table, task, filled=True).of("missing_values")
    assert (found.values["windows_left_out"], found.repair) == (12, None)
    assert check(table, task).of("missing_values")[0].values["windows_left_out"] == 60


def test_a_series_that_begins_late_or_ends_early_is_no_gap(look, daily_wave):
    late, early, both = (daily_wave(400) for _ in range(3))
    late[:50] = np.nan
    early[-30:] = np.nan
    both[:10] = both[100:104] = both[-5:] = np.nan
    found = {
        one.channel: one for one in look(full=daily_wave(400), late=late, early=early, both=both).of("missing_values")
    }
    assert said(found["late"]).what == "'late' has no value in 50 rows (12.5 %): it begins 50 rows after the table."
    assert "it ends 30 rows before the table, and a forecast begins after the table." in said(found["early"]).what
    assert found["late"].repair is None and found["early"].repair is None
    assert "begins 10 rows after" in said(found["both"]).what
    assert "it has 1 gap in between, the longest of 4 rows" in said(found["both"]).what
    assert found["both"].repair is not None
