"""Errors of quantiles and bands equal their plain formulas, and those of utilsforecast."""

import numpy as np
import pandas as pd
import pytest

from timellm.errors import ConfigError
from timellm.evaluation import probabilistic
from timellm.evaluation.probabilistic import (
    covered,
    mean_known,
    pinball,
    scaled_crps,
    weighted_quantile_loss,
    width,
    winkler,
)

LEVELS = np.array([0.1, 0.25, 0.5, 0.9])


@pytest.fixture(params=[0, 1, 2])
def windows(request):
    """Actual values [12, 5] and quantiles [12, 5, 4] of three channels; some of both are missing."""
    rng = np.random.default_rng(request.param)
    actual = 10 + 3 * rng.normal(size=(12, 5))
    quantiles = np.sort(actual[..., None] + rng.normal(size=(12, 5, 4)), axis=-1)
    actual[rng.random(actual.shape) < 0.1] = np.nan
    quantiles[rng.random(actual.shape) < 0.1] = np.nan
    return actual, quantiles, np.arange(12) % 3


def known(actual, quantiles):
    return [
        (y, f)
        for y, f in zip(actual.ravel(), quantiles.reshape(-1, quantiles.shape[-1]), strict=True)
        if not np.isnan(y) and not np.isnan(f).any()
    ]


def loss(y, f):
    return sum(q * (y - one) if y >= one else (1 - q) * (one - y) for q, one in zip(LEVELS, f, strict=True)) / 4


def test_pinball_equals_its_formula_point_by_point(windows):
    actual, quantiles, _ = windows
    found = pinball(actual, quantiles, levels_Q=LEVELS)
    assert found.shape == quantiles.shape
    expected = [loss(y, f) for y, f in known(actual, quantiles)]
    means = found.mean(axis=-1).ravel()
    np.testing.assert_allclose(means[~np.isnan(means)], expected, rtol=1e-12)


def test_pinball_of_the_median_is_half_the_absolute_error(windows):
    actual, quantiles, _ = windows
    median = quantiles[..., 2:3]
    found = pinball(actual, median, levels_Q=np.array([0.5]))
    np.testing.assert_allclose(found[..., 0], np.abs(actual - median[..., 0]) / 2, rtol=1e-12)


def test_weighted_quantile_loss_is_twice_the_losses_over_the_values(windows):
    actual, quantiles, _ = windows
    points = known(actual, quantiles)
    expected = 2 * sum(loss(y, f) for y, f in points) / sum(abs(y) for y, _ in points)
    np.testing.assert_allclose(weighted_quantile_loss(actual, quantiles, levels_Q=LEVELS), expected, rtol=1e-12)


def test_scaled_crps_is_the_mean_over_channels(windows):
    actual, quantiles, channel = windows
    parts = [
        weighted_quantile_loss(actual[channel == one], quantiles[channel == one], levels_Q=LEVELS) for one in range(3)
    ]
    found = scaled_crps(actual, quantiles, levels_Q=LEVELS, channel_B=channel)
    np.testing.assert_allclose(found, np.mean(parts), rtol=1e-12)


def test_scaled_crps_and_bands_agree_with_utilsforecast():
    losses = pytest.importorskip("utilsforecast.losses")
    rng = np.random.default_rng(3)
    actual = 10 + 3 * rng.normal(size=(6, 5))
    quantiles = np.sort(actual[..., None] + rng.normal(size=(6, 5, 4)), axis=-1)
    channel = np.arange(6) % 3
    frame = pd.DataFrame(quantiles.reshape(-1, 4), columns=["a", "b", "c", "d"])
    frame = frame.assign(y=actual.ravel(), unique_id=np.repeat(channel, 5))
    theirs = losses.scaled_crps(frame, {"m": list("abcd")}, LEVELS)["m"].mean()
    ours = scaled_crps(actual, quantiles, levels_Q=LEVELS, channel_B=channel)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    band = frame.rename(columns={"a": "m-lo-80", "d": "m-hi-80"})
    low, high = quantiles[..., 0], quantiles[..., 3]
    theirs = losses.coverage(band, ["m"], 80)["m"].mean()
    np.testing.assert_allclose(mean_known(covered(actual, low, high)), theirs, rtol=1e-12)
    theirs = losses.winkler_score(band, ["m"], 80)["m"].mean()
    np.testing.assert_allclose(mean_known(winkler(actual, low, high, level=0.8)), theirs, rtol=1e-12)


def test_bands_equal_their_formulas(windows):
    actual, quantiles, _ = windows
    low, high = quantiles[..., 0], quantiles[..., 3]
    points = known(actual, quantiles[..., [0, 3]])
    inside = [float(f[0] <= y <= f[1]) for y, f in points]
    score = [f[1] - f[0] + 10 * max(f[0] - y, 0) + 10 * max(y - f[1], 0) for y, f in points]
    np.testing.assert_allclose(mean_known(covered(actual, low, high)), np.mean(inside), rtol=1e-12)
    np.testing.assert_allclose(mean_known(winkler(actual, low, high, level=0.8)), np.mean(score), rtol=1e-12)
    np.testing.assert_allclose(mean_known(width(low, high)), np.nanmean(high - low), rtol=1e-12)


def test_band_ends_count_as_inside():
    assert covered(np.array([[1.0, 2.0]]), np.array([[1.0, 1.0]]), np.array([[3.0, 2.0]])).tolist() == [[1.0, 1.0]]


def test_measures_are_undefined_rather_than_0_or_infinite():
    zero, quantiles = np.zeros((2, 3)), np.ones((2, 3, 1))
    half = np.array([0.5])
    assert np.isnan(weighted_quantile_loss(zero, quantiles, levels_Q=half))
    assert np.isnan(scaled_crps(zero, quantiles, levels_Q=half, channel_B=np.array([0, 1])))
    missing = np.full((2, 3), np.nan)
    assert np.isnan(weighted_quantile_loss(missing, quantiles, levels_Q=half))
    assert np.isnan(mean_known(covered(missing, zero, zero)))
    assert np.isnan(mean_known(winkler(missing, zero, zero, level=0.9)))


@pytest.mark.parametrize(
    ("levels", "error"),
    [([0.0], "between 0 and 1"), ([0.9, 0.1], "ascending"), ([0.1, 0.1], "each once"), ([0.5], "2 quantiles do not")],
)
def test_levels_that_cannot_be_are_refused(levels, error):
    with pytest.raises(ConfigError, match=error):
        pinball(np.zeros((1, 1)), np.zeros((1, 1, 2)), levels_Q=np.array(levels))


@pytest.mark.parametrize("level", [0, 1, 80, float("nan")])
def test_a_level_of_a_band_is_a_share(level):
    with pytest.raises(ConfigError, match="share between 0 and 1"):
        winkler(np.zeros((1, 1)), np.zeros((1, 1)), np.zeros((1, 1)), level=level)


def test_every_measure_has_a_definition_and_a_source():
    for measure in probabilistic.MEASURES.values():
        assert measure.explanation.endswith(".") and measure.source and measure.short
