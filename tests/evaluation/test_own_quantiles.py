"""Bands of a model's own quantiles: they never cross, and hold their promise after calibration."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from timellm.evaluation.intervals import GRID, Calibration, calibrate
from timellm.evaluation.own_quantiles import LEAST_SLOPE, Predicted

LEVELS = (0.05, 0.1, 0.5, 0.8, 0.9)
NORMAL = NormalDist()


def predicted(quantiles_WHQ, levels=LEVELS, spread=1.0) -> Predicted:
    middle_WH = quantiles_WHQ.mean(axis=-1)
    return Predicted(middle_WH, np.full(len(quantiles_WHQ), spread), quantiles_WHQ, levels)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("levels", [LEVELS, (0.4, 0.99), (0.01, 0.02, 0.03, 0.6)])
def test_bands_of_any_quantiles_are_nested_also_of_crossing_and_equal_ones(seed, levels):
    generator = np.random.default_rng(seed)
    quantiles_WHQ = generator.normal(size=(6, 4, len(levels))) * generator.choice([0, 1e-9, 1, 1e6], (6, 4, 1))
    width_L = np.array([0, 0.3, 1.0, 2.5, 9.0])
    lower_WHL, upper_WHL = predicted(quantiles_WHQ, levels).ends(np.broadcast_to(width_L, (6, 4, 5)))
    assert (np.diff(lower_WHL) < 0).all() and (np.diff(upper_WHL) > 0).all()
    np.testing.assert_allclose(lower_WHL[..., 0], upper_WHL[..., 0])


@pytest.mark.parametrize("seed", range(3))
def test_an_end_lies_as_far_from_the_middle_as_the_band_is_wide(seed):
    quantiles_WHQ = np.random.default_rng(seed).normal(size=(5, 3, len(LEVELS)))
    said, width_WHL = predicted(quantiles_WHQ), np.abs(np.random.default_rng(seed + 9).normal(size=(5, 3, 1))) * 3
    for end_WHL in said.ends(width_WHL):
        np.testing.assert_allclose(said.distances(end_WHL[..., 0]), width_WHL[..., 0], rtol=1e-9)


def test_quantiles_that_are_right_make_bands_of_their_own_width():
    quantiles_WHQ = np.broadcast_to([10 + 2 * NORMAL.inv_cdf(level) for level in LEVELS], (3, 2, len(LEVELS)))
    lower_WHL, upper_WHL = predicted(quantiles_WHQ, spread=1e-9).own_ends((50, 80, 99))
    for place, level in enumerate((0.5, 0.8, 0.99)):
        half = 2 * NORMAL.inv_cdf(0.5 + level / 2)
        np.testing.assert_allclose(lower_WHL[..., place], 10 - half, rtol=1e-6)
        np.testing.assert_allclose(upper_WHL[..., place], 10 + half, rtol=1e-6)


def test_two_quantiles_and_a_median_are_scaled_as_in_the_paper():
    low, middle, high = 1.0, 2.0, 5.0
    said = predicted(np.array([[[low, middle, high]]]), (0.1, 0.5, 0.9), spread=1e-12)
    reach = NORMAL.inv_cdf(0.9)
    for actual in (-3.0, 1.0, 1.4, 2.0, 3.5, 5.0, 11.0):
        expected = max((low - actual) / (middle - low), (actual - high) / (high - middle)) + 1  # Kivaranovic et al.
        assert said.distances(np.array([[actual]]))[0, 0] / reach == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("wrong", [0.3, 1.0, 3.0])
def test_calibrated_quantiles_hold_their_promise_though_the_model_was_wrong(wrong):
    generator = np.random.default_rng(1)
    size_W = generator.uniform(0.5, 4, 4000)
    actual_WH = (size_W * generator.gamma(2.0, 1.0, 4000))[:, None]
    shape_Q = wrong * np.quantile(generator.gamma(2.0, 1.0, 20_000), LEVELS)
    said = Predicted(actual_WH * 0, np.ones(4000), (size_W[:, None] * shape_Q)[:, None], LEVELS)
    half = np.arange(4000) < 2000
    windows, quantile_SG = calibrate(said.at(half).distances(actual_WH[half]), np.array([0]))
    calibration = Calibration(np.array([windows]), np.array([0]), quantile_SG[None])
    width_1HL = calibration.half_width(np.array([0]), (80, 95), horizon=1)
    lower_WHL, upper_WHL = said.at(~half).ends(np.broadcast_to(width_1HL, (2000, 1, 2)))
    inside_WHL = (lower_WHL <= actual_WH[~half][..., None]) & (actual_WH[~half][..., None] <= upper_WHL)
    np.testing.assert_allclose(inside_WHL.mean(axis=(0, 1)), [0.8, 0.95], atol=0.025)
    assert np.corrcoef((upper_WHL - lower_WHL)[:, 0, 0], size_W[~half])[0, 1] > 0.99, "wide where the model says so"


def test_without_quantiles_a_band_is_the_forecast_plus_and_minus_its_width():
    generator = np.random.default_rng(2)
    forecast_WH, spread_W = generator.normal(size=(4, 3)), np.array([1.0, 2.0, 0.5, 3.0])
    said, width_WHL = Predicted(forecast_WH, spread_W), np.abs(generator.normal(size=(4, 3, 2)))
    lower_WHL, upper_WHL = said.ends(width_WHL)
    half_WHL = width_WHL * spread_W[:, None, None]
    np.testing.assert_array_equal(lower_WHL, forecast_WH[..., None] - half_WHL)
    np.testing.assert_array_equal(upper_WHL, forecast_WH[..., None] + half_WHL)
    np.testing.assert_array_equal(
        said.distances(forecast_WH + 1), np.abs(forecast_WH - (forecast_WH + 1)) / spread_W[:, None]
    )


def test_missing_values_and_missing_bands_stay_missing():
    said = predicted(np.array([[[1.0, 2.0]], [[np.nan, np.nan]]]), (0.1, 0.9))
    assert np.isnan(said.distances(np.array([[np.nan], [1.0]]))).all()
    lower_WHL, _ = said.ends(np.array([[[np.nan, 1.0]], [[1.0, 1.0]]]))
    assert np.isnan(lower_WHL).ravel().tolist() == [True, False, True, True]


def test_some_windows_and_steps_are_those_of_the_whole():
    said = predicted(np.random.default_rng(3).normal(size=(5, 4, len(LEVELS))))
    actual_WH = np.random.default_rng(4).normal(size=(5, 4))
    whole_WH, rows, steps = said.distances(actual_WH), np.array([0, 3]), np.array([1, 2])
    np.testing.assert_array_equal(said.at(rows).distances(actual_WH[rows]), whole_WH[rows])
    np.testing.assert_array_equal(said.steps(steps).distances(actual_WH[:, steps]), whole_WH[:, steps])
    assert 0 < LEAST_SLOPE < 0.1 and GRID[-1] == 100
