"""Scores that are added up batch by batch: the numbers of the plain formulas, however the windows are divided."""

import json

import numpy as np
import pandas as pd
import pytest

from tests.evaluation.windows import LAST, OWN, REFERENCE, WEEKLY, batch, part, score, scored_windows
from timellm.errors import CheckpointError, ConfigError
from timellm.evaluation.accumulator import ForecastBatch, ScoreAccumulator
from timellm.evaluation.judge import judge
from timellm.evaluation.metrics import METRICS, seasonal_naive_error
from timellm.evaluation.scores import Scores
from timellm.evaluation.windows import Reference

FRAMES = ("overall", "by_channel", "by_step")
SCALE, NAIVE, SQUARED = REFERENCE.scale, REFERENCE.naive_error, REFERENCE.naive_squared_error


def same(one: Scores, other: Scores, rtol: float = 1e-12) -> None:
    for name in FRAMES:
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name), rtol=rtol, atol=0, check_exact=False)
    assert one.notes == other.notes


def smape(y: np.ndarray, f: np.ndarray) -> float:
    return np.mean(2 * np.abs(y - f) / (np.abs(y) + np.abs(f))) * 100


def formulas(y: np.ndarray, f: np.ndarray, c: np.ndarray, n: np.ndarray) -> dict[str, float]:
    """Each metric written out, over the points that both arrays have; `n` are the forecasts of Naive2."""
    both = ~np.isnan(y - f)
    y, f, n, scale, naive, squared = (x[both] for x in (y, f, n, SCALE[c], NAIVE[c], SQUARED[c]))
    has = ~np.isnan(n)
    mase, of_naive2 = np.mean(np.abs(y - f) / naive), np.mean((np.abs(y - n) / naive)[has])
    return {
        "mae": np.mean(np.abs(y - f)),
        "mse": np.mean((y - f) ** 2),
        "rmse": np.sqrt(np.mean((y - f) ** 2)),
        "mape": np.mean(np.abs((y - f) / y)) * 100,
        "mspe": np.mean(((y - f) / y) ** 2) * 100,
        "smape": smape(y, f),
        "wape": np.sum(np.abs(y - f)) / np.sum(np.abs(y)) * 100,
        "mase": mase,
        "rmsse": np.sqrt(np.mean((y - f) ** 2 / squared)),
        "owa": (smape(y, f) / smape(y[has], n[has]) + mase / of_naive2) / 2,
        "bias": np.mean(f) - np.mean(y),
        "mse_scaled": np.mean(((y - f) / scale) ** 2),
        "mae_scaled": np.mean(np.abs(y - f) / scale),
        "points": both.sum(),
    }


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_errors_equal_their_formulas_on_each_models_own_points(missing):
    given = batch(missing=missing)
    scores = score(given)
    channel, naive2 = np.broadcast_to(given.channel[:, None], given.actual.shape), given.naive2
    for model, forecast in given.forecasts.items():
        found = scores.overall.set_index("model").loc[model]
        expected = formulas(given.actual, forecast, channel, naive2)
        assert set(expected) == {*METRICS, "points"}
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-11, err_msg=name)
        for number, label in enumerate(REFERENCE.channels):
            rows = given.channel == number
            found = scores.by_channel.set_index(["model", "channel"]).loc[(model, label)]
            for name, value in formulas(given.actual[rows], forecast[rows], channel[rows], naive2[rows]).items():
                np.testing.assert_allclose(found[name], value, rtol=1e-11, err_msg=name)
        for step in range(given.actual.shape[1]):
            found = scores.by_step.set_index(["model", "step"]).loc[(model, step + 1)]
            expected = formulas(given.actual[:, step], forecast[:, step], channel[:, step], naive2[:, step])
            for name, value in expected.items():
                np.testing.assert_allclose(found[name], value, rtol=1e-11, err_msg=name)


@pytest.mark.parametrize("seed", range(5))
def test_scores_do_not_depend_on_how_windows_are_divided(seed):
    rng = np.random.default_rng(seed)
    given = batch(windows=90, horizon=int(rng.integers(1, 9)), seed=seed, missing=0.1)
    whole = score(given)
    bounds = np.unique(rng.integers(0, 90, 6))
    same(score(*(part(given, rows) for rows in np.split(np.arange(90), bounds))), whole)
    same(score(*(part(given, slice(i, i + 1)) for i in range(90))), whole)


def test_scores_do_not_depend_on_how_many_points_are_worked_on_at_once(monkeypatch):
    given = batch(windows=90, missing=0.1)
    whole = score(given)
    monkeypatch.setattr("timellm.evaluation.accumulator._POINTS_AT_ONCE", 20)
    same(score(given), whole)


@pytest.mark.parametrize("seed", range(5))
def test_scores_do_not_depend_on_the_order_of_windows(seed):
    given = batch(windows=60, seed=seed, missing=0.1)
    same(score(part(given, np.random.default_rng(seed).permutation(60))), score(given))


@pytest.mark.parametrize("added", [np.nan, np.inf, 3.0])
def test_adding_a_model_changes_no_other(added):
    given = batch(missing=0.1)
    more = ForecastBatch(given.channel, given.origin, given.actual,
                         given.forecasts | {"Ridge": np.full(given.actual.shape, added)}, given.naive2)  # fmt: skip
    before, after = score(given), score(more)
    for name in FRAMES:
        kept = getattr(after, name).query("model != 'Ridge'")
        pd.testing.assert_frame_equal(kept, getattr(before, name), check_exact=True)


@pytest.mark.parametrize("seed", range(3))
def test_errors_scale_with_the_data(seed):
    given, factor = batch(seed=seed, missing=0.1), 1000.0
    larger = ForecastBatch(given.channel, given.origin, factor * given.actual,
                           {name: factor * values for name, values in given.forecasts.items()},
                           factor * given.naive2)  # fmt: skip
    reference = Reference(REFERENCE.channels, factor * SCALE, factor * NAIVE, factor**2 * SQUARED)
    powers = {"mae": 1, "rmse": 1, "mse": 2, "bias": 1}
    small, large = score(given).overall, score(larger, reference=reference).overall
    for metric in METRICS:
        np.testing.assert_allclose(large[metric], small[metric] * factor ** powers.get(metric, 0), rtol=1e-11)


def test_windows_are_counted_where_a_model_has_a_point():
    given = batch()
    given.forecasts[WEEKLY][:7] = np.nan
    given.forecasts[WEEKLY][7, 1:] = np.nan
    overall = score(given).overall.set_index("model")
    assert overall["windows"].to_dict() == {OWN: 40, LAST: 40, WEEKLY: 33}
    assert overall["points"].to_dict() == {OWN: 240, LAST: 240, WEEKLY: 193}


def test_notes_say_which_points_a_model_lacks():
    given = batch()
    given.actual[0, 0] = np.nan
    given.actual[:, 5] = 0
    given.forecasts[WEEKLY][3] = np.nan
    given.forecasts[LAST][:] = np.nan
    scores = score(given)
    assert scores.notes == (
        "Last value has no forecast here: its source rows are missing or lie before the table.",
        "0.42% of the test points have no actual value; they are left out.",
        "Seasonal naive (week) has forecasts for 97.49% of the points, and is scored on these alone.",
        "MAPE and MSPE leave out 16.74% of the points, because the actual value is 0.",
    )
    assert scores.overall.set_index("model").loc[LAST, list(METRICS)].isna().all()


def test_notes_name_unequal_channels_and_missing_naive_errors():
    reference = Reference(REFERENCE.channels, np.array([1.0, 50.0]), *(np.array([0.0, np.nan]),) * 2)
    scores = score(batch(), reference=reference)
    assert scores.notes == (
        "MASE leaves out 'load', 'price': on the training rows, the seasonal naive (season: week) makes no error to "
        "compare with.",
        "Channels differ in size more than tenfold: overall MAE, MSE and RMSE mostly show 'price'. MASE and the scaled "
        "metrics weigh channels alike.",
    )
    assert scores.overall["mase"].isna().all()


@pytest.mark.filterwarnings("error")
def test_errors_too_large_for_a_number_are_undefined_and_named():
    given = batch()
    given.actual[0, 0] = 1e-200  # the relative error squared is 1e400
    scores = score(given)
    assert scores.notes == ("Not everywhere defined: MSPE. An error is too large for a 64-bit number there.",)
    assert scores.overall["mspe"].isna().all() and scores.overall["mape"].notna().all()
    assert scores.by_step["mspe"].isna().sum() == 3 and scores.by_channel["mspe"].isna().sum() == 3


def test_scores_can_be_asked_for_before_any_window_was_added():
    scores = ScoreAccumulator(REFERENCE, scored_windows(), OWN).scores()
    assert scores.overall.empty and scores.by_step.empty and scores.notes == ()


@pytest.mark.parametrize("broken", [False, True])
def test_scores_survive_json(broken):
    given = batch()
    if broken:
        given.actual[:, 2] = np.nan
        given.actual[given.channel == 1] = np.nan
    scores = score(given)
    again = Scores.from_dict(json.loads(json.dumps(scores.to_dict(), allow_nan=False)))
    for name in FRAMES:
        pd.testing.assert_frame_equal(getattr(again, name), getattr(scores, name))
    assert (again.notes, again.own, again.scored) == (scores.notes, scores.own, scores.scored)
    assert again.known_points == scores.known_points == (100 if broken else 240)


def test_long_rows_have_one_value_for_each_model_and_metric():
    long = score(batch()).long()
    assert not long.duplicated(["window_set", "fold", "model", "metric"]).any()
    assert len(long) == 3 * len(METRICS)
    assert set(long["fold"]) == {"test"}


def test_scores_without_a_metric_that_came_later_still_open():
    tree = score(batch()).to_dict()
    tree["rows"] = [row for row in tree["rows"] if row["metric"] != "mspe"]
    tree["by_step"] = [{name: value for name, value in row.items() if name != "mspe"} for row in tree["by_step"]]
    again = Scores.from_dict(tree)
    assert again.overall["mspe"].isna().all() and again.by_step["mspe"].isna().all()
    assert again.overall["mae"].notna().all()


def test_metrics_of_a_later_version_are_said_to_be_not_measured():
    later = {"wape", "rmsse", "owa", "bias"}
    tree = score(batch()).to_dict()
    tree["rows"] = [row for row in tree["rows"] if row["metric"] not in later]
    for frame in ("by_channel", "by_step"):
        tree[frame] = [{name: value for name, value in row.items() if name not in later} for row in tree[frame]]
    opened = Scores.from_dict(tree)
    assert opened.not_measured == later
    assert opened.why_undefined("wape") == (
        "WAPE was not measured by the version that made this run; evaluate it again."
    )
    assert (
        judge(opened, "owa")
        .sentence()
        .startswith(
            "There is no verdict: Time-LLM has no overall weighted average here. OWA was not measured by the version"
        )
    )
    assert opened.to_dict() == tree  # written again, it says the same


def test_metrics_are_undefined_rather_than_0_or_infinite():
    given = batch()
    given.actual[:] = 0
    nothing = ForecastBatch(given.channel, given.origin, given.actual, {OWN: given.actual + 1.0}, given.actual)
    scores = score(nothing)
    assert np.isnan(scores.error(OWN, "wape")) and np.isnan(scores.error(OWN, "owa"))
    assert scores.error(OWN, "bias") == 1.0
    assert "Naive2 has no forecast here" in scores.why_undefined("owa")
    unknown = Reference(REFERENCE.channels, SCALE, NAIVE, np.array([0.0, np.nan]))
    assert score(batch(), reference=unknown).overall["rmsse"].isna().all()


def test_metrics_agree_with_utilsforecast():
    losses = pytest.importorskip("utilsforecast.losses")
    given = batch(windows=1, horizon=30)
    scores = score(given, horizon=30).overall.set_index("model").loc[OWN]
    frame = pd.DataFrame({"unique_id": 0, "ds": np.arange(30), "y": given.actual[0], "m": given.forecasts[OWN][0]})
    train = pd.DataFrame({"unique_id": 0, "ds": np.arange(-50, 0), "y": np.random.default_rng(4).normal(size=50)})
    assert losses.nd(frame, ["m"])["m"].item() * 100 == pytest.approx(scores["wape"])
    assert losses.bias(frame, ["m"])["m"].item() == pytest.approx(scores["bias"])
    squared = seasonal_naive_error(train[["y"]].to_numpy(), 7, power=2)
    theirs = losses.rmsse(frame, ["m"], 7, train)["m"].item()
    reference = Reference(REFERENCE.channels, SCALE, NAIVE, np.repeat(squared, 2))
    assert score(given, reference=reference, horizon=30).overall["rmsse"][0] == pytest.approx(theirs)


def test_damaged_scores_are_refused():
    tree = score(batch()).to_dict()
    with pytest.raises(CheckpointError, match="the scores lack 'by_step'; evaluate the run again"):
        Scores.from_dict({name: value for name, value in tree.items() if name != "by_step"})
    with pytest.raises(CheckpointError, match="the scores lack Ridge; evaluate the run again"):
        Scores.from_dict(tree | {"own": "Ridge"})
    with pytest.raises(CheckpointError, match=r"scores are damaged .*duplicate"):
        Scores.from_dict(tree | {"rows": tree["rows"] * 2})
    with pytest.raises(CheckpointError, match="scores are of version 3, and this program reads up to 2"):
        Scores.from_dict(tree | {"version": 3})


def test_joined_scores_are_those_of_all_models_at_once():
    given = batch(missing=0.1)
    first, second = (
        ForecastBatch(given.channel, given.origin, given.actual,
                      {name: given.forecasts[name] for name in names}, given.naive2)
        for names in ((OWN, LAST), (WEEKLY,))
    )  # fmt: skip
    joined = score(first).joined(score(second))
    for name in FRAMES:
        pd.testing.assert_frame_equal(getattr(joined, name), getattr(score(given), name), check_exact=True)
    assert set(joined.notes) == set(score(given).notes)
    again = joined.joined(score(second))
    assert again.models == (OWN, LAST, WEEKLY) and len(again.notes) == len(set(again.notes))
    with pytest.raises(ConfigError, match="are of different windows; score both models on the same table and split"):
        joined.joined(score(second, window_set="other"))


def test_skill_is_the_share_of_error_taken_away():
    actual = np.full((4, 3), 10.0)
    forecasts = {OWN: actual + 1, LAST: actual + 4, WEEKLY: actual}
    scores = score(ForecastBatch(np.array([0, 0, 1, 1]), np.arange(4), actual, forecasts))
    assert scores.skill(LAST) == 0.75
    assert scores.skill(LAST, "mse") == 1 - 1 / 16
    assert np.isnan(scores.skill(WEEKLY))
    with pytest.raises(ConfigError, match="no metric 'r2'"):
        scores.skill(LAST, "r2")
    with pytest.raises(ConfigError, match="no scores of 'ARIMA'; there are: Time-LLM, Last value, Seasonal naive"):
        scores.skill("ARIMA")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"actual": np.zeros((2, 5))}, r"the actual values have shape \(2, 5\); 2 windows of 6 steps are scored"),
        ({"forecasts": {"Ridge": np.zeros((3, 6))}}, r"Ridge have shape \(3, 6\)"),
        ({"origin": np.arange(3)}, "3 origins do not name 2 windows"),
        ({"channel": np.array([0, 2])}, "there are 2 channels, and a window names another one"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change, words):
    whole = {"channel": np.zeros(2, int), "origin": np.arange(2), "actual": np.zeros((2, 6)), "forecasts": {}}
    with pytest.raises(ValueError, match=words):
        score(batch(), ForecastBatch(**whole | change))
