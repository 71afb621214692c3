"""Bands from earlier errors: conformal quantiles, levels that adapt, and nothing that knows the future."""

from __future__ import annotations

import math

import numpy as np
import pytest

from timellm.errors import ConfigError
from timellm.evaluation.intervals import (
    GRID,
    Calibration,
    adapt,
    at_levels,
    band_columns,
    calibrate,
    check_levels,
    fewest_windows,
    step_groups,
    window_spread,
)

HORIZON = 6


def scores(windows=60, horizon=HORIZON, seed=0):
    return np.abs(np.random.default_rng(seed).normal(size=(windows, horizon)))


def calibration(score_WH, groups=HORIZON):
    first_S = step_groups(score_WH.shape[1], groups)
    windows, quantile_SG = calibrate(score_WH, first_S)
    return Calibration(np.array([windows]), first_S, quantile_SG[None])


@pytest.mark.parametrize("level", [50, 80, 95, 99])
def test_half_width_is_the_conformal_quantile_of_each_step(level):
    score_WH = scores(150)
    width_H = calibration(score_WH).half_width(np.array([0]), (level,), horizon=HORIZON)[0, :, 0]
    rank = math.ceil((150 + 1) * level / 100)
    np.testing.assert_allclose(width_H, np.sort(score_WH, axis=0)[rank - 1])


def test_band_that_needs_more_windows_is_undefined_with_a_reason():
    one = calibration(scores(18))
    width_HL = one.half_width(np.array([0]), (80, 94, 95), horizon=HORIZON)[0]
    assert np.isfinite(width_HL[:, :2]).all() and np.isnan(width_HL[:, 2]).all()
    assert (fewest_windows(80), fewest_windows(95), fewest_windows(99)) == (4, 19, 99)
    assert one.why_none(0, 94) is None
    assert one.why_none(0, 95) == (
        "A 95 % band needs 19 validation windows of the channel, and there are 18; choose a lower level, or enlarge the"
        " validation part with 'split'."
    )


def test_windows_without_a_forecast_do_not_count():
    score_WH = scores(40)
    with_gaps = np.concatenate([score_WH, np.full((30, HORIZON), np.nan)])
    windows, quantile_SG = calibrate(with_gaps, np.arange(HORIZON))
    assert windows == 40
    np.testing.assert_array_equal(quantile_SG, calibrate(score_WH, np.arange(HORIZON))[1])
    windows, quantile_SG = calibrate(np.full((5, HORIZON), np.nan), np.arange(HORIZON))
    assert windows == 0 and np.isnan(quantile_SG).all()


def test_levels_between_those_of_the_grid_are_interpolated_and_never_cross():
    levels = tuple(range(10, 100))
    width_HL = calibration(scores(200)).half_width(np.array([0]), levels, horizon=HORIZON)[0]
    assert (np.diff(width_HL, axis=1) >= 0).all()
    width_G = np.array(GRID, float) ** 2
    for level in GRID[:-1]:
        assert at_levels(width_G, (level,)) == level**2
    assert at_levels(width_G, (93,)) == (92**2 + 94**2) / 2


def test_neighbouring_steps_share_quantiles_where_there_would_be_too_many():
    first_S = step_groups(720, 8)
    assert first_S[0] == 0 and (np.diff(first_S) > 0).all() and len(first_S) <= 8
    assert np.diff(first_S)[0] < np.diff(first_S)[-1]
    np.testing.assert_array_equal(step_groups(5, 9), np.arange(5))
    score_WH = scores(100)
    shared = calibration(score_WH, groups=1).half_width(np.array([0]), (80,), horizon=HORIZON)[0, :, 0]
    assert len(set(shared)) == 1
    assert shared[0] == np.sort(score_WH, axis=None)[math.ceil(601 * 0.8) - 1]


def test_spread_of_a_constant_context_is_a_share_of_the_channels_scale():
    context_WT = np.stack([np.full(8, 3.0), np.arange(8.0)])
    spread_W = window_spread(context_WT, np.array([2.0, 2.0]))
    np.testing.assert_allclose(spread_W, [0.6, np.hypot(np.arange(8).std(), 0.6)])


@pytest.mark.parametrize("levels", [(9,), (100,), (80, 99.5), (True,), (-5,)])
def test_level_that_no_band_has_is_refused(levels):
    with pytest.raises(ConfigError, match=r"cannot be drawn; give whole numbers from 10 to 99"):
        check_levels(levels)


def test_levels_are_sorted_and_named_as_users_know_them():
    assert check_levels([95, 80, 95]) == (80, 95)
    assert band_columns(80) == ("yhat-lo-80", "yhat-hi-80")


def adapted(score_WK, origin_W, end, steps=HORIZON):
    quantile_KG = calibrate(scores(200, steps, seed=7), np.arange(steps))[1]
    step_K = np.arange(1, steps + 1)
    return np.stack(list(adapt(score_WK, origin_W=origin_W, step_K=step_K, quantile_KG=quantile_KG, end=end)))


@pytest.mark.parametrize("spacing", [1, 3, 10])
def test_scrambling_what_comes_after_an_origin_changes_no_band_there(spacing):
    origin_W = 100 + spacing * np.arange(30)
    score_WK, rng = 3 * scores(30, seed=1), np.random.default_rng(5)
    whole = adapted(score_WK, origin_W, end=1000)
    for at, origin in enumerate(origin_W):
        future = origin_W[:, None] + np.arange(HORIZON) >= origin  # rows of the outcomes
        drawn = np.where(rng.random(score_WK.shape) < 0.3, np.nan, rng.normal(0, 1e6, score_WK.shape))
        scrambled = np.where(future, np.abs(drawn), score_WK)
        np.testing.assert_array_equal(adapted(scrambled, origin_W, end=1000)[: at + 1], whole[: at + 1])
    assert (whole[-1] != whole[0]).any()


def test_outcome_counts_as_soon_as_its_row_is_known():
    origin_W = 50 + np.arange(20)
    score_WK = np.full((20, HORIZON), np.nan)
    score_WK[4, 2] = 1e9  # of step 3 of the window at row 54: its row is 56
    widths = adapted(score_WK, origin_W, end=99)
    changed = (widths != widths[0]).any(axis=2)
    assert not changed[:7].any() and not changed[:, [0, 1, 3, 4, 5]].any()
    assert changed[7:, 2].all(), "the first origin that knows row 56 is row 57"


@pytest.mark.parametrize("factor", [0.3, 1.0, 4.0])
def test_bands_adapt_to_errors_of_another_size_and_never_cross(factor):
    score_WK = factor * scores(3000, seed=3)
    widths = adapted(score_WK, np.arange(3000), end=3000)
    assert (np.diff(widths, axis=2) >= 0).all()
    for level in (50, 80, 95):
        width_WK = widths[:-1, :, GRID.index(level)]
        assert abs((score_WK <= width_WK).mean() - level / 100) < 0.03


def test_bands_grow_beyond_the_largest_error_and_stay_finite():
    score_WK = 100 * np.ones((2000, HORIZON))
    widths = adapted(score_WK, np.arange(2000), end=2000)
    assert np.isfinite(widths).all()
    assert (widths[-1, :, GRID.index(80)] > 50).all()
    assert (score_WK[-500:] <= widths[-501:-1, :, GRID.index(80)]).mean() > 0.7


def test_channel_without_quantiles_has_no_band():
    none = Calibration(np.array([0]), np.arange(HORIZON), np.full((1, HORIZON, len(GRID)), np.nan))
    assert np.isnan(none.half_width(np.array([0]), (80,), horizon=HORIZON)).all()
