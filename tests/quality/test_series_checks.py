"""Outliers, level shifts, growing variance: found where they are, and not where data does so by itself."""

import numpy as np
import pandas as pd
import pytest

KINDS = ("outliers", "level_shift", "growing_variance")


def alarms(quality):
    return [(one.kind, one.channel) for kind in KINDS for one in quality.of(kind)]


def test_decimal_slips_are_outliers_at_their_rows(look, daily_wave, random):
    load = daily_wave(2000) + random.normal(0, 1, 2000)
    load[[300, 1500]] *= 10
    (found,) = look(load=load).of("outliers")
    assert sorted(span.first_row for span in found.where) == [300, 1500]
    assert found.count == 2
    assert found.repair.kind == "clip"
    assert found.repair.arguments["upper"] == pytest.approx(np.delete(load, [300, 1500]).max(), abs=0.01)
    assert found.repair.arguments["upper"] >= np.delete(load, [300, 1500]).max()


def test_spike_inside_the_usual_range_is_found_by_its_neighbours(look, random):
    slow = 100 * np.sin(np.arange(3000) * 2 * np.pi / 1000) + random.normal(0, 0.1, 3000)
    slow[1250] = -90  # at the crest
    (found,) = look(slow=slow).of("outliers")
    assert [(span.first_row, span.last_row) for span in found.where] == [(1250, 1250)]
    assert found.values["inside_usual_range"]
    assert found.repair is None


def test_level_shift_is_found_where_it_is_with_its_size(look, daily_wave, random):
    load = daily_wave(24 * 200) + random.normal(0, 3, 24 * 200)
    load[24 * 150 + 11 :] += 30
    (found,) = look(load=load).of("level_shift")
    assert found.count == 1
    assert abs(found.where[0].first_row - (24 * 150 + 11)) <= 1
    assert found.values["shifts"][0]["by"] == pytest.approx(30, abs=3)


def test_two_level_shifts_of_daily_values_are_both_found(look, random):
    sales = 100 + random.normal(0, 5, 1000)
    sales[400:] += 50
    sales[700:] -= 80
    (found,) = look(sales=sales, frequency="D").of("level_shift")
    assert sorted(span.first_row for span in found.where) == pytest.approx([400, 700], abs=3)


def test_growing_variance_is_found_with_its_ratio(look, random):
    noise = random.normal(0, 1, 4000) * np.linspace(1, 4, 4000)
    (found,) = look(noise=noise).of("growing_variance")
    assert found.values["ratio"] == pytest.approx(3.625 / 1.375, rel=0.15)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda r: r.normal(size=4000), id="noise"),
        pytest.param(lambda r: np.cumsum(r.normal(size=4000)), id="random walk"),
        pytest.param(lambda r: np.where(r.random(4000) < 0.2, r.exponential(5, 4000), 0), id="rain"),
        pytest.param(lambda r: np.exp(r.normal(size=4000)), id="heavy tail"),
        pytest.param(lambda r: 50 + 0.01 * np.arange(4000) + r.normal(size=4000), id="trend"),
        pytest.param(lambda r: r.poisson(3, 4000), id="counts"),
        pytest.param(lambda r: np.cumsum(r.random(4000) < 0.01) % 2, id="on and off"),
        pytest.param(lambda r: 10 * np.sin(np.arange(4000) / 600) + r.normal(size=4000), id="slow wave"),
        pytest.param(lambda r: r.standard_t(4, 4000), id="t of 4"),
    ],
)
def test_what_data_does_by_itself_is_not_found(look, make):
    found = [alarm for seed in range(5) for alarm in alarms(look(x=make(np.random.default_rng(seed))))]
    assert found == []


def test_yearly_wave_with_a_week_is_no_shift(look, random):
    days = np.arange(1500)
    load = 100 + 30 * np.cos(days * 2 * np.pi / 365) + 8 * (days % 7 < 5) + random.normal(0, 3, 1500)
    assert alarms(look(load=load, frequency="D")) == []


def test_missing_values_hide_nothing_and_are_no_outliers(look, daily_wave, random):
    load = daily_wave(2000) + random.normal(0, 1, 2000)
    load[random.random(2000) < 0.1] = np.nan
    load[777] = 5000
    (found,) = look(load=load).of("outliers")
    assert [span.first_row for span in found.where] == [777]
    assert pd.notna(found.values["usual_high"])


def test_fall_over_many_weeks_is_no_shift_and_the_same_fall_in_a_day_is_one(look, random):
    noise = random.normal(0, 1, 1500)
    days = np.arange(1500)
    assert alarms(look(price=100 + noise - 0.5 * np.clip(days - 700, 0, 60), frequency="D")) == []
    assert alarms(look(price=100 + noise - 30 * (days >= 700), frequency="D")) == [("level_shift", "price")]


def test_outlier_beyond_the_usual_range_is_offered_a_limit_also_when_its_neighbours_gave_it_away(look, random):
    level = np.repeat([100.0, 120.0], 500) + random.normal(0, 0.1, 1000)
    level[700] = 90
    (found,) = look(level=level).of("outliers")
    assert not found.values["inside_usual_range"]
    assert found.repair.arguments["lower"] > 99
