"""Naive forecasts against a plain loop, and never from the future."""

import numpy as np
import pytest

from timellm.forecasting.baselines import in_sample_naive_error, last_value, seasonal_naive

RNG = np.random.default_rng(3)
VALUES = RNG.normal(size=(60, 3))
CHANNEL = np.array([0, 0, 1, 2, 2])
ORIGIN = np.array([10, 25, 25, 40, 50])


def test_last_value_repeats_the_row_before_the_origin():
    forecast = last_value(VALUES, channel=CHANNEL, origin=ORIGIN, horizon=4)
    expected = [[VALUES[origin - 1, channel]] * 4 for channel, origin in zip(CHANNEL, ORIGIN, strict=True)]
    np.testing.assert_array_equal(forecast, expected)


@pytest.mark.parametrize("horizon", [1, 6, 7, 20])
def test_seasonal_naive_repeats_the_last_season(horizon):
    forecast = seasonal_naive(VALUES, channel=CHANNEL, origin=ORIGIN, horizon=horizon, season=7)
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
    np.testing.assert_array_equal(seasonal_naive(VALUES, **arguments), seasonal_naive(changed, **arguments))


def test_rows_before_the_table_give_nan_not_the_future():
    forecast = seasonal_naive(VALUES, channel=np.array([0, 0]), origin=np.array([0, 3]), horizon=5, season=5)
    assert np.isnan(forecast[0]).all()
    assert np.isnan(forecast[1]).tolist() == [True, True, False, False, False]


def test_missing_source_values_give_nan():
    values = VALUES.copy()
    values[24, 0] = np.nan
    assert np.isnan(last_value(values, channel=CHANNEL, origin=ORIGIN, horizon=2)).all(axis=1).tolist() == [
        False, True, False, False, False
    ]  # fmt: skip


def test_in_sample_naive_error_equals_its_formula():
    values = VALUES.copy()
    values[5, 1] = np.nan
    expected = [np.nanmean([abs(values[row, n] - values[row - 7, n]) for row in range(7, 60)]) for n in range(3)]
    np.testing.assert_allclose(in_sample_naive_error(values, 7), expected)


def test_in_sample_naive_error_is_nan_without_two_seasons():
    assert np.isnan(in_sample_naive_error(VALUES, 60)).all()
    assert in_sample_naive_error(np.ones((20, 1)), 7).tolist() == [0]
