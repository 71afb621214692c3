"""The Diebold-Mariano test: against its formula, right on overlapping windows, honest where it cannot be made."""

import json
import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.tsa.stattools import diebold_mariano_test

from tests.evaluation.test_window_errors import written
from tests.evaluation.windows import OWN
from timellm.errors import ConfigError
from timellm.evaluation.accumulator import ForecastBatch
from timellm.evaluation.metrics import COMPARED
from timellm.evaluation.significance import Comparison, compare, diebold_mariano
from timellm.evaluation.window_errors import read_window_errors

RIDGE = "Ridge"


def formula(difference: np.ndarray, blocks: int) -> float:
    """Newey-West variance of the block means, the correction of Harvey, Leybourne and Newbold, Student's t."""
    means = np.array([block.mean() for block in np.array_split(difference, blocks)])
    count, centred = len(means), means - means.mean()
    lags = max(2, math.ceil(count ** (1 / 3)))
    variance = centred @ centred / count
    for lag in range(1, lags + 1):
        variance += 2 * (1 - lag / (lags + 1)) * (centred[lag:] @ centred[:-lag]) / count
    steps = 3
    correction = math.sqrt((count + 1 - 2 * steps + steps * (steps - 1) / count) / count)
    return 2 * stats.t.sf(abs(correction * means.mean() / math.sqrt(variance / count)), count - 1)


def overlapping(cutoffs: int, horizon: int, seed: int) -> np.ndarray:
    """Loss differences that are luck: means over the horizon of white noise, as errors of overlapping windows are."""
    noise = np.random.default_rng(seed).normal(size=cutoffs + horizon - 1)
    return np.convolve(noise, np.full(horizon, 1 / horizon), "valid")


@pytest.mark.parametrize("blocks", [7, 8, 20, 61])
def test_p_value_equals_its_formula(blocks):
    difference = overlapping(20 * blocks + 3, 20, seed=blocks) + 0.1
    assert diebold_mariano(difference, blocks) == pytest.approx(formula(difference, blocks), rel=1e-9)


def test_p_value_does_not_depend_on_sign_or_unit():
    difference = overlapping(300, 20, seed=1) + 0.1
    expected = diebold_mariano(difference, 14)
    for factor in (-1, 1e-30, 1e30, -1e180):
        assert diebold_mariano(factor * difference, 14) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("horizon", "windows"), [(24, 8), (24, 20), (48, 40)])
def test_luck_is_rarely_taken_for_a_difference(horizon, windows):
    cutoffs = (windows - 1) * horizon + 1
    series = [overlapping(cutoffs, horizon, seed) for seed in range(400)]
    ours = np.mean([diebold_mariano(one, cutoffs // horizon) < 0.05 for one in series])
    none = np.zeros(cutoffs)
    naive = np.mean([
        diebold_mariano_test(none, one, none, criterion=lambda _, loss: loss, lags=horizon - 1, harvey_adj=True,
                             horizon=horizon).pvalue < 0.05
        for one in series[:200]
    ])  # fmt: skip
    assert ours < 0.095 < naive


def test_a_difference_is_found():
    difference = overlapping(1000, 24, seed=1) + 3 * overlapping(1000, 24, seed=1).std()
    assert diebold_mariano(difference, 40) < 1e-4


@pytest.fixture
def errors(tmp_path):
    """Makes the errors of windows of one channel, one after the other; `sizes` are the models' deviations."""

    def make(sizes, *, windows=200, horizon=5, metric="mae", seed=1, name="run", change=None, channels=1, **facts):
        rng = np.random.default_rng(seed)
        origins = np.arange(windows)
        noise = {model: rng.normal(size=windows + horizon) * size for model, size in sizes.items()}
        truth = 10 + rng.normal(size=windows + horizon)
        steps = origins[:, None] + np.arange(horizon)
        given = ForecastBatch(
            np.zeros(windows, np.int64), 100 + origins, truth[steps],
            {model: truth[steps] + values[steps] for model, values in noise.items()},
        )  # fmt: skip
        if change:
            change(given)
        span = windows + horizon - 1
        return read_window_errors(written(tmp_path / name, given, horizon=horizon, span=span, **facts), metric), given

    return make


@pytest.mark.parametrize("metric", COMPARED)
def test_difference_is_that_of_the_metrics(errors, metric):
    found, given = errors({OWN: 1.0, RIDGE: 2.0}, metric=metric)
    comparison = compare(OWN, RIDGE, found)
    assert comparison.relative < -0.4 and comparison.difference < 0
    assert comparison.p_value < 0.001 and comparison.reason == ""
    assert (comparison.windows, comparison.points, comparison.cutoffs) == (200, 1000, 200)
    assert comparison.independent == pytest.approx(204 / 5)
    if metric == "mae":
        own, ridge = (np.abs(given.actual - given.forecasts[model]) for model in (OWN, RIDGE))
        assert comparison.difference == pytest.approx(own.mean() - ridge.mean(), rel=1e-5)
        assert comparison.won == np.mean(own.mean(axis=1) < ridge.mean(axis=1))


def test_comparison_the_other_way_round_has_the_same_p_value(errors):
    found, _ = errors({OWN: 1.0, RIDGE: 1.05})
    one, other = compare(OWN, RIDGE, found), compare(RIDGE, OWN, found)
    assert one.p_value == pytest.approx(other.p_value, rel=1e-9)
    assert one.difference == -other.difference
    assert one.won + other.won == pytest.approx(1)


def test_models_are_compared_on_the_windows_that_both_cover(errors):
    def holes(given):
        given.actual[3, 1] = np.nan
        given.forecasts[RIDGE][:50] = np.nan
        given.forecasts[OWN][60, 2] = np.nan  # a window in part is none

    found, given = errors({OWN: 1.0, RIDGE: 2.0}, change=holes)
    comparison = compare(OWN, RIDGE, found)
    assert (comparison.windows, comparison.points) == (149, 745)
    both = np.r_[50:60, 61:200]
    own, ridge = (np.abs(given.actual - given.forecasts[model])[both].mean() for model in (OWN, RIDGE))
    assert comparison.difference == pytest.approx(own - ridge, rel=1e-5)


def test_models_of_two_runs_are_compared_if_their_windows_are_the_same(errors):
    first, _ = errors({OWN: 1.0}, name="a")
    second, _ = errors({RIDGE: 2.0}, name="b", first_origin=100)
    assert compare(OWN, RIDGE, first, other_errors=second).windows == 200
    elsewhere, _ = errors({RIDGE: 2.0}, name="c", window_set="other")
    with pytest.raises(ConfigError, match="Time-LLM and Ridge are scored on different windows or metrics"):
        compare(OWN, RIDGE, first, other_errors=elsewhere)


@pytest.mark.parametrize(
    ("sizes", "given", "reason"),
    [
        (
            {OWN: 1.0, RIDGE: 2.0},
            {"windows": 4, "horizon": 5},
            "the windows cover about 1.6 horizons, and fewer than 8",
        ),
        ({OWN: 1.0, RIDGE: 1e200}, {"metric": "mse"}, "an error is too large for a number"),
        ({OWN: 0.0, RIDGE: 0.0}, {}, "the errors are the same in every window"),
    ],
)
def test_a_test_that_cannot_be_made_says_why(errors, sizes, given, reason):
    comparison = compare(OWN, RIDGE, errors(sizes, **given)[0])
    assert comparison.p_value is None
    assert comparison.reason.startswith(reason)


def test_constant_differences_and_disjoint_windows_have_no_p_value(errors):
    def constant(given):
        given.forecasts[OWN][:], given.forecasts[RIDGE][:] = given.actual + 1, given.actual + 2

    comparison = compare(OWN, RIDGE, errors({OWN: 1.0, RIDGE: 1.0}, change=constant)[0])
    assert (comparison.p_value, comparison.reason) == (None, "the difference is the same everywhere")
    assert comparison.relative == -0.5 and comparison.won == 1

    def disjoint(given):
        given.forecasts[OWN][:100], given.forecasts[RIDGE][100:] = np.nan, np.nan

    comparison = compare(OWN, RIDGE, errors({OWN: 1.0, RIDGE: 1.0}, change=disjoint)[0])
    assert (comparison.p_value, comparison.reason) == (None, "no window is covered by both models")
    assert comparison.windows == comparison.points == 0 and math.isnan(comparison.difference)
    again = Comparison.from_dict(json.loads(json.dumps(comparison.to_dict(), allow_nan=False)))
    assert again.reason == comparison.reason and math.isnan(again.difference)


def test_comparison_survives_json(errors):
    comparison = compare(OWN, RIDGE, errors({OWN: 1.0, RIDGE: 2.0})[0])
    assert Comparison.from_dict(json.loads(json.dumps(comparison.to_dict(), allow_nan=False))) == comparison
