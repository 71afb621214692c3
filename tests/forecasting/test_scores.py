"""Scores on the same points for every model, their JSON form, and an honest sentence."""

import json

import numpy as np
import pandas as pd
import pytest

from timellm.errors import CheckpointError, ConfigError
from timellm.forecasting.metrics import METRICS
from timellm.forecasting.scores import BASELINES, MODEL_NAME, Scores, WindowForecasts, score

MEAN, SCALE, NAIVE = np.array([1.0, 5.0]), np.array([2.0, 4.0]), np.array([0.5, 3.0])


def forecasts(model_error: float = 0.5, naive_error: float = 1.0, windows: int = 40, steps: int = 6) -> WindowForecasts:
    rng = np.random.default_rng(1)
    actual = rng.normal(size=(windows, steps)) + 4
    noise = rng.normal(size=(3, windows, steps))
    return WindowForecasts(
        ("load", "price"),
        np.arange(windows) % 2,
        np.arange(windows) + 100,
        actual,
        {
            MODEL_NAME: actual + model_error * noise[0],
            "Last value": actual + 2 * naive_error * noise[1],
            "Seasonal naive": actual + naive_error * noise[2],
        },
    )


def scored(windows: WindowForecasts, **changes) -> Scores:
    return score(windows, **{"scaler_scale": SCALE, "naive_error": NAIVE} | changes)


def constant(model: float, baseline: float) -> Scores:
    """Scores of a model that is always off by `model` where both baselines are off by `baseline`."""
    actual = np.full((4, 3), 10.0)
    offsets = {MODEL_NAME: model, **dict.fromkeys(BASELINES, baseline)}
    forecast = {name: actual + offset for name, offset in offsets.items()}
    return scored(WindowForecasts(("load", "price"), np.array([0, 0, 1, 1]), np.arange(4), actual, forecast))


def test_overall_errors_equal_their_formulas():
    given = forecasts()
    row = scored(given).overall.set_index("model").loc[MODEL_NAME]
    y, f, c = given.actual, given.forecast[MODEL_NAME], given.channel[:, None]
    expected = {
        "mae": np.mean(np.abs(y - f)),
        "mse": np.mean((y - f) ** 2),
        "rmse": np.sqrt(np.mean((y - f) ** 2)),
        "mape": np.mean(np.abs((y - f) / y)) * 100,
        "mspe": np.mean(((y - f) / y) ** 2) * 100,
        "smape": np.mean(2 * np.abs(y - f) / (np.abs(y) + np.abs(f))) * 100,
        "mase": np.mean(np.abs(y - f) / NAIVE[c]),
        "mse_scaled": np.mean(((y - MEAN[c]) / SCALE[c] - (f - MEAN[c]) / SCALE[c]) ** 2),
        "mae_scaled": np.mean(np.abs(y - f) / SCALE[c]),
        "windows": 40,
    }
    assert set(expected) == {*METRICS, "windows"}
    for name, value in expected.items():
        np.testing.assert_allclose(row[name], value, err_msg=name)


def test_by_channel_and_by_step_are_the_overall_scores_of_their_part():
    given = forecasts()
    scores = scored(given)
    for channel, name in enumerate(given.channels):
        rows = given.channel == channel
        part = WindowForecasts(
            given.channels, given.channel[rows], given.origin[rows], given.actual[rows],
            {model: values[rows] for model, values in given.forecast.items()},
        )  # fmt: skip
        found = scores.by_channel[scores.by_channel["channel"] == name].drop(columns="channel")
        pd.testing.assert_frame_equal(found.reset_index(drop=True), scored(part).overall)
    for step in range(6):
        part = WindowForecasts(
            given.channels, given.channel, given.origin, given.actual[:, [step]],
            {model: values[:, [step]] for model, values in given.forecast.items()},
        )  # fmt: skip
        found = scores.by_step[scores.by_step["step"] == step + 1].drop(columns="step")
        pd.testing.assert_frame_equal(found.reset_index(drop=True), scored(part).overall)


def test_every_model_is_scored_on_the_same_points():
    given = forecasts()
    holes = {name: values.copy() for name, values in given.forecast.items()}
    holes["Last value"][3] = np.nan
    actual = given.actual.copy()
    actual[0, 0] = np.nan
    scores = scored(WindowForecasts(given.channels, given.channel, given.origin, actual, holes))
    used = np.ones_like(actual, dtype=bool)
    used[3], used[0, 0] = False, False
    expected = np.mean(np.abs(given.actual - given.forecast[MODEL_NAME])[used])
    np.testing.assert_allclose(scores.overall.loc[0, "mae"], expected)
    assert scores.overall["windows"].tolist() == [39, 39, 39]
    assert scores.notes == (
        "0.42% of the test points have no actual value; they are left out.",
        "2.51% of the points are left out for every model, because one of them has no forecast.",
    )


def test_baseline_without_any_forecast_does_not_empty_the_others():
    given = forecasts()
    empty = given.forecast | {"Seasonal naive": np.full_like(given.actual, np.nan)}
    scores = scored(WindowForecasts(given.channels, given.channel, given.origin, given.actual, empty))
    overall = scores.overall.set_index("model")
    assert overall.loc[MODEL_NAME, "windows"] == 40
    assert np.isnan(overall.loc["Seasonal naive", "mae"])
    assert np.isnan(scores.skill())
    assert scores.notes == (
        "Seasonal naive has no forecast here: its source rows are missing or lie before the table.",
    )
    assert "than the best baseline, Last value" in scores.verdict()


@pytest.mark.filterwarnings("error")
def test_errors_too_large_for_a_number_are_undefined_and_named():
    given = forecasts()
    actual = given.actual.copy()
    actual[0, 0] = 1e-200  # the relative error squared is 1e400
    scores = scored(WindowForecasts(given.channels, given.channel, given.origin, actual, given.forecast))
    assert scores.notes[-1] == "Not everywhere defined: MSPE. An error is too large for a 64-bit number there."
    assert scores.overall["mspe"].isna().all() and scores.overall["mape"].notna().all()
    assert scores.by_step["mspe"].isna().sum() == 3 and scores.by_channel["mspe"].isna().sum() == 3
    assert Scores.from_dict(json.loads(json.dumps(scores.to_dict(), allow_nan=False))).notes == scores.notes


def test_notes_name_zeros_unequal_channels_and_missing_naive_errors():
    given = forecasts()
    actual = given.actual.copy()
    actual[:, 0] = 0
    notes = scored(
        WindowForecasts(given.channels, given.channel, given.origin, actual, given.forecast),
        scaler_scale=np.array([1.0, 50.0]),
        naive_error=np.array([0.0, np.nan]),
    ).notes
    assert notes[0] == "MAPE and MSPE leave out 16.67% of the points, because the actual value is 0."
    assert notes[1].startswith("MASE leaves out 'load', 'price'")
    assert "mostly show 'price'" in notes[2]


@pytest.mark.parametrize("broken", [False, True])
def test_scores_survive_json(broken):
    given = forecasts()
    if broken:
        given.actual[:, 2] = np.nan
        given.actual[given.channel == 1] = np.nan
    scores = scored(given)
    again = Scores.from_dict(json.loads(json.dumps(scores.to_dict(), allow_nan=False)))
    for name in ("overall", "by_channel", "by_step"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(scores, name))
    assert again.notes == scores.notes


def test_scores_with_a_part_missing_are_refused():
    tree = scored(forecasts()).to_dict()
    del tree["by_step"]
    with pytest.raises(CheckpointError, match="the scores lack 'by_step'"):
        Scores.from_dict(tree)


def test_skill_is_the_share_of_error_taken_away():
    scores = constant(1, 4)
    assert scores.skill() == 0.75
    assert scores.skill("Last value", "mse") == 1 - 1 / 16
    assert constant(6, 4).skill() == -0.5
    assert np.isnan(constant(1, 0).skill())
    with pytest.raises(ConfigError, match="no metric 'r2'"):
        scores.skill(metric="r2")
    with pytest.raises(ConfigError, match="no scores of 'ARIMA'; there are: Time-LLM, Last value, Seasonal naive"):
        scores.skill("ARIMA")


@pytest.mark.parametrize(
    ("model", "baseline", "words"),
    [
        (3, 4, "Time-LLM does better than the best baseline, Last value: its mean absolute error is 25.0% lower "
               "(3 against 4, 4 test windows)."),
        (5, 4, "Time-LLM does worse than the best baseline, Last value: its mean absolute error is 25.0% higher "
               "(5 against 4, 4 test windows)."),
        (4.01, 4, "Time-LLM does about as well as the best baseline, Last value: mean absolute error 4.01 against 4, "
                  "4 test windows."),
        (1, 0, "Time-LLM does worse than the best baseline, Last value, which makes no error here "
               "(1 against 0, 4 test windows)."),
    ],
)  # fmt: skip
def test_verdict_says_better_or_worse_and_by_how_much(model, baseline, words):
    assert constant(model, baseline).verdict() == words


def test_verdict_compares_with_the_better_baseline():
    assert "worse than the best baseline, Seasonal naive" in scored(forecasts(model_error=1.5)).verdict()


def test_verdict_admits_that_nothing_can_be_said():
    assert constant(np.nan, 1).verdict().startswith("There is no verdict")
