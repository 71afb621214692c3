"""SMAPE, MASE and OWA of the M4 competition, by series, against plain NumPy and the competition's own numbers."""

import os
from pathlib import Path

import numpy as np
import pytest

from timellm.data.gaps import Past
from timellm.data.panel import read_panel
from timellm.evaluation.by_series import SeriesErrors
from timellm.evaluation.metrics import seasonal_naive_error
from timellm.forecasters.naive2 import Naive2
from timellm.forecasters.simple_rules import Windows


def some(seed: int, *, series: int = 5, horizon: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.uniform(1, 9, (series, horizon)), rng.uniform(1, 9, (series, horizon))


def test_errors_by_series_are_those_of_the_competition():
    actual, forecast = some(0)
    training = [np.random.default_rng(n).uniform(1, 9, 20 + n) for n in range(5)]
    grid = np.full((24, 5), np.nan)
    for n, one in enumerate(training):
        grid[-len(one) :, n] = one
    found = SeriesErrors.of(actual, forecast, naive_error_N=seasonal_naive_error(grid, 3))
    for n in range(5):
        smape = np.mean(2 * np.abs(actual[n] - forecast[n]) / (np.abs(actual[n]) + np.abs(forecast[n])) * 100)
        mase = np.mean(np.abs(actual[n] - forecast[n])) / np.mean(np.abs(training[n][3:] - training[n][:-3]))
        np.testing.assert_allclose([found.smape_N[n], found.mase_N[n]], [smape, mase], rtol=1e-12)
    np.testing.assert_allclose([found.smape, found.mase], [found.smape_N.mean(), found.mase_N.mean()], rtol=1e-12)


def test_owa_is_the_mean_of_two_ratios_of_means():
    actual, forecast = some(1)
    scale = np.full(5, 2.0)
    own = SeriesErrors.of(actual, forecast, naive_error_N=scale)
    other = SeriesErrors.of(actual, forecast[::-1], naive_error_N=scale)
    assert own.owa(own) == 1.0
    assert own.owa(other) == pytest.approx((own.smape / other.smape + own.mase / other.mase) / 2, rel=1e-12)


def test_series_without_an_error_is_left_out_of_both_sides_of_owa():
    actual, forecast = some(2)
    forecast[3, 1] = np.nan
    scale = np.array([1.0, 0.0, 2.0, 1.0, 1.0])  # the second one never moved
    own = SeriesErrors.of(actual, forecast, naive_error_N=scale)
    other = SeriesErrors.of(actual, forecast[::-1], naive_error_N=np.ones(5))
    assert np.isnan(own.smape_N[3]) and np.isnan(own.mase_N[[1, 3]]).all()
    assert own.defined_N.tolist() == [True, False, True, False, True]
    kept = [0, 2, 4]
    ratios = [own.smape_N[kept].sum() / other.smape_N[kept].sum(), own.mase_N[kept].sum() / other.mase_N[kept].sum()]
    assert own.owa(other) == pytest.approx(sum(ratios) / 2, rel=1e-12)
    assert other.owa(own) == pytest.approx((1 / ratios[0] + 1 / ratios[1]) / 2, rel=1e-12)


def test_owa_is_undefined_without_an_error_of_naive2():
    actual, forecast = some(3)
    own = SeriesErrors.of(actual, forecast, naive_error_N=np.ones(5))
    assert np.isnan(own.owa(SeriesErrors.of(actual, actual, naive_error_N=np.ones(5))))
    assert np.isnan(SeriesErrors.of(actual, actual * np.nan, naive_error_N=np.ones(5)).smape)


@pytest.mark.parametrize(
    ("name", "season", "smape", "mase"), [("Hourly", 24, 18.383, 2.395), ("Weekly", 1, 9.161, 2.777)]
)
def test_the_naive2_of_the_competition_has_its_published_errors_and_ours_equals_it(name, season, smape, mase):
    folder = os.environ.get("TIMELLM_M4")
    if not folder:
        pytest.skip("TIMELLM_M4 names no folder with the files of the M4 competition")
    training, test, official = (
        read_panel(Path(folder) / file) for file in (f"{name}-train.csv", f"{name}-test.csv", f"Naive2-{name[0]}.csv")
    )
    assert training.names == test.names == official.names
    values, actual, forecast = training.ended_together(), np.stack(test.series), np.stack(official.series)
    found = SeriesErrors.of(actual, forecast, naive_error_N=seasonal_naive_error(values, season))
    assert (round(found.smape, 3), round(found.mase, 3)) == (smape, mase)
    ahead = Windows(Past.of(values, "skip"), np.arange(len(test)), np.full(len(test), len(values)), actual.shape[1])
    ours = Naive2.fit(values, season=season).forecast(ahead)
    np.testing.assert_allclose(ours, forecast, rtol=1e-8)
