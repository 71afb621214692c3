"""Naive forecasts against a plain loop, and never from the future."""

import numpy as np
import pytest

from timellm.data.gaps import Past
from timellm.forecasting.baselines import in_sample_naive_error, last_value, seasonal_naive

RNG = np.random.default_rng(3)
VALUES = RNG.normal(size=(60, 3))
CHANNEL = np.array([0, 0, 1, 2, 2])
ORIGIN = np.array([10, 25, 25, 40, 50])


def test_last_value_repeats_the_row_before_the_origin():
    forecast = last_value(Past.of(VALUES, "skip"), channel=CHANNEL, origin=ORIGIN, horizon=4)
    expected = [[VALUES[origin - 1, channel]] * 4 for channel, origin in zip(CHANNEL, ORIGIN, strict=True)]
    np.testing.assert_array_equal(forecast, expected)


@pytest.mark.parametrize("horizon", [1, 6, 7, 20])
def test_seasonal_naive_repeats_the_last_season(horizon):
    forecast = seasonal_naive(Past.of(VALUES, "skip"), channel=CHANNEL, origin=ORIGIN, horizon=horizon, season=7)
    for window, (channel, origin) in enumerate(zip(CHANNEL, ORIGIN, strict=True)):
        history = list(VALUES[:origin, channel])
        for step in range(horizon):
            history.append(history[-7])
            assert forecast[window, step] == history[-1]


@pytest.mark.parametrize("season", [1, 7])
def test_baselines_do_not_look_at_the_origin_or_after(season):
    changed = VALUES.copy()
    changed[25:] = 1e9
    arguments = {"channel": np.array([0, 1]), "origin": np.array([25, 25]), "horizon": 12, "season": season}
    np.testing.assert_array_equal(
        seasonal_naive(Past.of(VALUES, "skip"), **arguments), seasonal_naive(Past.of(changed, "skip"), **arguments)
    )


def test_rows_before_the_table_give_nan_not_the_future():
    forecast = seasonal_naive(
        Past.of(VALUES, "skip"), channel=np.array([0, 0]), origin=np.array([0, 3]), horizon=5, season=5
    )
    assert np.isnan(forecast[0]).all()
    assert np.isnan(forecast[1]).tolist() == [True, True, False, False, False]


def test_missing_source_values_give_nan():
    values = VALUES.copy()
    values[24, 0] = np.nan
    forecast = last_value(Past.of(values, "skip"), channel=CHANNEL, origin=ORIGIN, horizon=2)
    assert np.isnan(forecast).all(axis=1).tolist() == [False, True, False, False, False]


def test_missing_source_values_are_filled_from_what_was_known_at_the_origin():
    values = np.arange(60.0)[:, None].repeat(3, axis=1)
    values[20:25, 0] = values[20:25, 1] = np.nan
    past = Past.of(values, "interpolate")
    at_25 = {"channel": np.array([0, 1]), "origin": np.array([25, 27])}
    assert last_value(past, **at_25, horizon=1).tolist() == [[19], [26]]
    assert seasonal_naive(past, **at_25, horizon=7, season=7).tolist() == [
        [18, 19, 19, 19, 19, 19, 19],  # rows 20 to 24 are a gap without an end yet
        [20, 21, 22, 23, 24, 25, 26],  # which ended before row 27
    ]


@pytest.mark.parametrize("season", [1, 7])
def test_filled_baselines_do_not_look_at_the_origin_or_after(season):
    values = VALUES.copy()
    values[np.random.default_rng(1).random(values.shape) < 0.4] = np.nan
    for origin in range(1, 60):
        changed = values.copy()
        changed[origin:] = np.random.default_rng(2).normal(size=(60 - origin, 3)) * 1000
        place = {"channel": np.arange(3), "origin": np.full(3, origin), "horizon": 12, "season": season}
        found = (seasonal_naive(Past.of(rows, "interpolate"), **place) for rows in (values, changed))
        np.testing.assert_array_equal(*found)


def test_in_sample_naive_error_equals_its_formula():
    values = VALUES.copy()
    values[5, 1] = np.nan
    expected = [np.nanmean([abs(values[row, n] - values[row - 7, n]) for row in range(7, 60)]) for n in range(3)]
    np.testing.assert_allclose(in_sample_naive_error(values, 7), expected)


def test_in_sample_naive_error_is_nan_without_two_seasons():
    assert np.isnan(in_sample_naive_error(VALUES, 60)).all()
    assert in_sample_naive_error(np.ones((20, 1)), 7).tolist() == [0]
