"""Metrics against their formulas written out in plain NumPy."""

import numpy as np
import pytest

from timellm.forecasting.metrics import mae, mape, mase, mse, mspe, rmse, smape

RNG = np.random.default_rng(7)
Y = RNG.normal(size=(50, 6)) + 3
YHAT = Y + RNG.normal(size=Y.shape)
SCALE = RNG.uniform(0.5, 2, size=(50, 1))
FORMULAS = {
    mae: lambda y, f: np.mean(np.abs(y - f)),
    mse: lambda y, f: np.mean((y - f) ** 2),
    rmse: lambda y, f: np.sqrt(np.mean((y - f) ** 2)),
    mape: lambda y, f: np.mean(np.abs((y - f) / y)) * 100,
    mspe: lambda y, f: np.mean(((y - f) / y) ** 2) * 100,
    smape: lambda y, f: np.mean(2 * np.abs(y - f) / (np.abs(y) + np.abs(f))) * 100,
}


@pytest.mark.parametrize(("metric", "formula"), FORMULAS.items(), ids=lambda item: item.__name__)
def test_metric_equals_its_formula(metric, formula):
    np.testing.assert_allclose(metric(Y, YHAT), formula(Y, YHAT))
    np.testing.assert_allclose(metric(Y, YHAT, 0), [formula(Y[:, h], YHAT[:, h]) for h in range(6)])
    np.testing.assert_allclose(metric(Y, YHAT, 1), [formula(Y[w], YHAT[w]) for w in range(50)])


def test_mase_equals_its_formula():
    np.testing.assert_allclose(mase(Y, YHAT, SCALE), np.mean(np.abs(Y - YHAT) / SCALE))
    np.testing.assert_allclose(mase(Y, YHAT, 2.0), np.mean(np.abs(Y - YHAT)) / 2)


@pytest.mark.parametrize("metric", FORMULAS, ids=lambda metric: metric.__name__)
def test_metric_is_zero_for_a_perfect_forecast(metric):
    assert metric(Y, Y) == 0


@pytest.mark.parametrize(("metric", "formula"), FORMULAS.items(), ids=lambda item: item.__name__)
def test_metric_leaves_missing_points_out(metric, formula):
    y = Y.copy()
    y[::3, 1] = np.nan
    known = ~np.isnan(y)
    np.testing.assert_allclose(metric(y, YHAT), formula(y[known], YHAT[known]))


@pytest.mark.parametrize("metric", FORMULAS, ids=lambda metric: metric.__name__)
def test_metric_is_nan_where_nothing_is_known(metric):
    y = Y.copy()
    y[:, 2] = np.nan
    assert np.isnan(metric(y, YHAT, 0)).tolist() == [False, False, True, False, False, False]
    assert np.isnan(metric(np.full((2, 2), np.nan), np.zeros((2, 2))))
    assert np.isnan(metric(np.zeros((0, 3)), np.zeros((0, 3))))


def test_percentages_leave_zeros_out():
    y, yhat = np.array([[0.0, 2.0, 4.0]]), np.array([[5.0, 1.0, 4.0]])
    assert mape(y, yhat) == 25
    assert mspe(y, yhat) == 12.5
    np.testing.assert_allclose(smape(y, yhat), (200 + 200 / 3 + 0) / 3)
    assert np.isnan(mape(np.zeros((1, 2)), np.ones((1, 2))))
    assert np.isnan(smape(np.zeros((1, 2)), np.zeros((1, 2))))


def test_mase_leaves_channels_without_naive_error_out():
    assert mase(np.array([[3.0], [3.0]]), np.array([[1.0], [1.0]]), np.array([[4.0], [0.0]])) == 0.5
    assert np.isnan(mase(np.array([[3.0]]), np.array([[1.0]]), np.array([[np.nan]])))
