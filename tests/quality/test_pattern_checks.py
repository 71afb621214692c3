"""Length, seasons, predictability, and columns that give away another."""

import numpy as np
import pandas as pd
import pytest

from timellm.config import TaskConfig
from timellm.data.known import Known
from timellm.data.table import Table
from timellm.quality.checks import check


def test_thirty_rows_are_few_and_too_short_for_the_usual_lengths(look, daily_wave):
    found = look(context=336, horizon=96, load=daily_wave(30))
    (few,), (short,) = found.of("few_rows"), found.of("too_short")
    assert (few.count, few.values["test"]) == (30, 6)
    assert short.severity == "grave"
    # 21 rows to train on, 3 to validate, 6 to test; no horizon fits beside 336, and no context beside 96.
    assert (short.values["largest_context"], short.values["largest_horizon"]) == (0, 0)
    assert (short.values["suggested_context"], short.values["suggested_horizon"]) == (16, 3)


def test_largest_lengths_that_fit_beside_the_other_do_fit_and_no_larger_ones(look, daily_wave):
    (short,) = look(context=300, horizon=30, load=daily_wave(400)).of("too_short")  # 280, 40, 80
    context, horizon = short.values["largest_context"], short.values["largest_horizon"]
    assert (context, horizon) == (250, 0)
    assert not look(context=context, horizon=30, load=daily_wave(400)).of("too_short")
    assert look(context=context + 1, horizon=30, load=daily_wave(400)).of("too_short")
    (short,) = look(context=200, horizon=60, load=daily_wave(400)).of("too_short")
    assert short.values["largest_horizon"] == 40
    assert not look(context=200, horizon=40, load=daily_wave(400)).of("too_short")


def test_split_in_rows_beyond_the_table_is_said(table_of, daily_wave):
    task = TaskConfig(context=48, horizon=12, split="800/100/100")
    (short,) = check(table_of(load=daily_wave(400)), task).of("too_short")
    assert "the table has 400" in short.values["why"]


def test_seasons_are_those_of_the_values(look, daily_wave, random):
    (found,) = look(load=daily_wave(1000) + random.normal(0, 1, 1000)).of("seasons")
    assert [one["rows"] for one in found.values["seasons"]] == [24]
    assert found.values["seasons"][0]["correlation"] > 0.9
    (none,) = look(noise=random.normal(0, 1, 1000)).of("seasons")
    assert none.values["seasons"] == []


def test_wave_is_predictable_and_noise_is_not(look, daily_wave, random):
    wave = daily_wave(2000) + random.normal(0, 0.5, 2000)
    (found,) = look(wave=wave, noise=random.normal(0, 1, 2000)).of("predictability")
    by_channel = {one["channel"]: one for one in found.values["channels"]}
    assert by_channel["wave"]["skill"] > 0.8
    assert "a day" in by_channel["wave"]["rule"] or "a week" in by_channel["wave"]["rule"]
    assert by_channel["noise"]["skill"] < 0.05
    assert found.values["without_skill"] == ["noise"]


def test_column_that_is_another_shifted_into_the_future_is_a_leak(look, random):
    load = np.cumsum(random.normal(size=3000))
    (found,) = look(load=load[:-50], next_load=2 * load[3:-47] + 1, other=random.normal(size=2950)).of("leak")
    assert (found.channel, found.values["of"], found.values["rows_ahead"]) == ("next_load", "load", 3)
    assert found.severity == "warning"


def test_same_measurement_in_another_unit_is_a_copy(look, daily_wave, random):
    celsius = daily_wave(1000) + random.normal(0, 1, 1000)
    (found,) = look(celsius=celsius, fahrenheit=1.8 * celsius + 32).of("copy")
    assert (found.channel, found.values["of"]) == ("fahrenheit", "celsius")


def test_channels_with_one_strict_season_or_one_trend_are_no_copies(look, daily_wave, random):
    rows = np.arange(1500)
    found = look(
        load=daily_wave(1500),
        price=20 + 3 * np.cos(rows * 2 * np.pi / 24) + rows / 100,
        one=rows * 0.1 + random.normal(0, 1, 1500),
        two=rows * 0.2 + random.normal(0, 1, 1500),
    )
    assert not found.of("leak") and not found.of("copy")


@pytest.mark.parametrize(("lag", "leaks"), [(0, True), (5, True), (12, False)])
def test_column_known_ahead_may_hold_values_from_before_the_horizon_only(table_of, random, lag, leaks):
    load = np.cumsum(random.normal(size=1000))
    table = table_of(load=load)
    held = np.full(1012, np.nan)
    held[lag:1000] = load[: 1000 - lag]
    index = pd.date_range("2024-01-01", periods=1012, freq="h", name="ds", unit="us")
    known = Known(index, ("held",), held.reshape(-1, 1, 1), {})
    found = check(Table(table.values, "h", "ds", "wide", (), known=known), TaskConfig(context=48, horizon=12)).of(
        "leak"
    )
    assert [(one.channel, one.severity) for one in found] == [("held", "grave")] * leaks
