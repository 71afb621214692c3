"""The ridge: the closed form is that of the textbook, and forecasts know nothing of the future."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from timellm.config import RunConfig
from timellm.data.prepared import PreparedData
from timellm.data.table import load_table
from timellm.data.windows import WindowIndex
from timellm.errors import CheckpointError
from timellm.forecasters.protocol import FitJob
from timellm.forecasters.ridge import limits
from timellm.forecasters.ridge.forecaster import Ridge
from timellm.forecasters.ridge.solve import PENALTIES

CONTEXT, HORIZON = 24, 6


@pytest.fixture
def prepared(hourly_csv) -> PreparedData:
    return of_table(hourly_csv)


def of_table(path, **settings) -> PreparedData:
    config = RunConfig.create(path, kind="ridge", **({"context": CONTEXT, "horizon": HORIZON} | settings))
    return PreparedData.of(load_table(config.data), config)


def fitted(prepared, folder, **watch) -> Ridge:
    found, _ = Ridge.fit(prepared, FitJob(prepared.config, folder, **watch))
    return found


def scaled(prepared, part) -> tuple[np.ndarray, np.ndarray]:
    index, values = prepared.windows(part), prepared.scaler.transform(prepared.values)
    rows = index.origin[:, None] + np.arange(-CONTEXT, HORIZON)
    cut = values[rows, index.channel[:, None]]
    return cut[:, :CONTEXT], cut[:, CONTEXT:]


def textbook(context, target, penalty: float, cost_F: np.ndarray | float = 1.0) -> np.ndarray:
    """Weighted ridge on windows divided by their deviation, with a column of ones; `cost_F` multiplies the penalty."""
    mean, deviation = context.mean(axis=1, keepdims=True), context.std(axis=1, keepdims=True)
    x = np.hstack([(context - mean) / deviation, np.ones_like(mean)])
    y, weight = (target - mean) / deviation, np.square(deviation)  # of squared errors
    gram = x.T @ (weight * x)
    cost_F = np.broadcast_to(cost_F, len(gram))
    size = np.linalg.eigvalsh(gram / np.sqrt(np.outer(cost_F, cost_F)))[-1]
    return np.linalg.solve(gram + penalty * size * np.diag(cost_F), x.T @ (weight * y))


def test_map_is_the_weighted_ridge_of_the_textbook(prepared, tmp_path):
    found = fitted(prepared, tmp_path)
    expected = textbook(*scaled(prepared, "training"), found.penalty)
    np.testing.assert_allclose(found.weights_MFH[0], expected, rtol=1e-6, atol=1e-8)


def test_penalty_by_age_costs_older_rows_more(hourly_csv, tmp_path):
    prepared = of_table(hourly_csv, linear_penalty="by_age")
    found = fitted(prepared, tmp_path)
    cost_F = np.append(1 + np.arange(CONTEXT, 0, -1) / 24, 1.0)  # nothing more for the deviation
    expected = textbook(*scaled(prepared, "training"), found.penalty, cost_F)
    np.testing.assert_allclose(found.weights_MFH[0], expected, rtol=1e-6, atol=1e-8)


def test_penalty_is_the_best_on_the_validation_windows(prepared, tmp_path):
    found = fitted(prepared, tmp_path)
    context, target = scaled(prepared, "validation")
    mean = context.mean(axis=1, keepdims=True)
    x = np.hstack([context - mean, context.std(axis=1, keepdims=True)])
    losses = [
        np.mean(np.square(x @ textbook(*scaled(prepared, "training"), penalty) + mean - target))
        for penalty in PENALTIES
    ]
    assert found.penalty == PENALTIES[int(np.argmin(losses))]
    assert found.validation_loss == pytest.approx(min(losses), rel=1e-8)


def test_linear_recurrence_without_noise_is_forecast_without_error(tmp_path):
    rows = np.arange(400)
    waves = 40 + 3 * np.sin(rows / 4) + np.cos(rows / 7)
    pd.DataFrame({"date": pd.date_range("2024-01-01", periods=400, freq="h"), "load": waves}).to_csv(
        tmp_path / "waves.csv", index=False
    )
    prepared = of_table(tmp_path / "waves.csv")
    index = prepared.windows("test")
    actual = prepared.values[index.origin[:, None] + np.arange(HORIZON), index.channel[:, None]]
    np.testing.assert_allclose(fitted(prepared, tmp_path).predict(prepared, index), actual, atol=1e-3)


def test_forecast_reads_nothing_from_its_origin_on(prepared, tmp_path):
    found, origin = fitted(prepared, tmp_path), 360
    index = WindowIndex(np.array([0, 1]), np.array([origin, origin]), 0)
    expected = found.predict(prepared, index)
    scrambled = prepared.values.copy()
    scrambled[origin:] = 1e6
    np.testing.assert_array_equal(found.predict(replace(prepared, values=scrambled), index), expected)
    cut = replace(prepared, values=prepared.values[:origin])  # one past the last row
    np.testing.assert_array_equal(found.predict(cut, index), expected)


def test_forecasts_do_not_depend_on_how_windows_are_asked_for(prepared, tmp_path):
    found, index = fitted(prepared, tmp_path), prepared.windows("test")
    apart = [found.predict(prepared, index.part(begin, begin + 7)) for begin in range(0, len(index), 7)]
    np.testing.assert_allclose(np.concatenate(apart), found.predict(prepared, index), rtol=1e-12)


def test_map_does_not_depend_on_the_batches_it_is_summed_over(prepared, tmp_path, monkeypatch):
    whole = fitted(prepared, tmp_path)
    monkeypatch.setattr(limits, "BATCH_VALUES", 500)
    np.testing.assert_allclose(fitted(prepared, tmp_path).weights_MFH, whole.weights_MFH, rtol=1e-6, atol=1e-9)


def test_saved_map_loads_to_the_same_forecasts(prepared, tmp_path):
    found, index = fitted(prepared, tmp_path), prepared.windows("test")
    loaded = Ridge.load(tmp_path, prepared.config)
    assert (loaded.penalty, loaded.validation_loss) == (found.penalty, found.validation_loss)
    np.testing.assert_array_equal(loaded.predict(prepared, index), found.predict(prepared, index))


def test_missing_or_unfit_map_is_refused(prepared, tmp_path):
    with pytest.raises(CheckpointError, match=r"holds no ridge\.safetensors"):
        Ridge.load(tmp_path, prepared.config)
    fitted(prepared, tmp_path)
    with pytest.raises(CheckpointError, match=r"has weights \(1, 25, 6\) and not \(1, 25, 7\)"):
        Ridge.load(tmp_path, prepared.config.updated(horizon=7))


def test_stop_leaves_nothing(prepared, tmp_path):
    found, report = Ridge.fit(prepared, FitJob(prepared.config, tmp_path, should_stop=lambda: True))
    assert found is None and report.stopped and not list(tmp_path.iterdir())


def test_long_context_is_read_at_its_end_and_said(prepared, tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MOST_LAGS", 10)
    found, report = Ridge.fit(prepared, FitJob(prepared.config, tmp_path))
    assert len(found.weights_MFH[0]) == 11
    assert report.notes == ("The ridge reads the last 10 of 24 context rows.",)
    assert np.isfinite(found.predict(prepared, prepared.windows("test"))).all()


@pytest.mark.parametrize("missing", ["skip", "interpolate"])
def test_gaps_are_left_out_or_filled_from_the_past(hourly_csv, tmp_path, missing):
    frame = pd.read_csv(hourly_csv)
    frame.loc[340:344, "load"] = np.nan
    frame.to_csv(tmp_path / "gap.csv", index=False)
    prepared = of_table(tmp_path / "gap.csv", missing=missing)
    found = fitted(prepared, tmp_path)
    index = WindowIndex(np.array([0]), np.array([350]), 0)
    assert np.isnan(found.predict(prepared, index)).all() == (missing == "skip")


def test_constant_windows_are_forecast_as_they_are(tmp_path):
    pd.DataFrame({"date": pd.date_range("2024-01-01", periods=300, freq="h"), "load": 7.0}).to_csv(
        tmp_path / "flat.csv", index=False
    )
    prepared = of_table(tmp_path / "flat.csv")
    np.testing.assert_allclose(fitted(prepared, tmp_path).predict(prepared, prepared.windows("test")), 7.0)


def test_weights_by_lag_give_the_same_forecast(prepared, tmp_path):
    found, index = fitted(prepared, tmp_path), prepared.windows("test")
    context, _ = scaled(prepared, "test")
    by_hand = context @ found.by_lag() + context.std(axis=1, keepdims=True) * found.weights_MFH[0][-1]
    np.testing.assert_allclose(
        prepared.scaler.restore(by_hand, channel=index.channel), found.predict(prepared, index), rtol=1e-9
    )


def of_calendar(folder, **settings) -> PreparedData:
    """Two channels that are pure noise, but for a bump at one hour of the week which no context of 24 rows shows."""
    stamps = pd.date_range("2024-01-01", periods=1400, freq="h")
    noise = np.random.default_rng(5).normal(size=(1400, 2))
    bump = 20.0 * ((stamps.day_of_week == 5) & (stamps.hour == 15))
    frame = pd.DataFrame({"date": stamps, "load": noise[:, 0] + bump, "price": noise[:, 1] + bump})
    frame.to_csv(folder / "weekly.csv", index=False)
    return of_table(folder / "weekly.csv", **settings)


def test_calendar_tells_what_no_context_shows(tmp_path):
    errors = {}
    for asked in (False, True):
        features = "calendar" if asked else "plain"
        found = fitted(of_calendar(tmp_path, linear_features=features, split="50%/25%/25%"), tmp_path)
        errors[asked] = found.validation_loss
        assert found.weights_MFH.shape[1] == CONTEXT + 1 + (180 if asked else 0) and found.lags == CONTEXT
    assert errors[True] < 0.5 * errors[False]


def test_calendar_columns_are_intercepts_of_their_own_in_the_textbook(tmp_path):
    prepared = of_calendar(tmp_path, linear_features="calendar")
    found, index = fitted(prepared, tmp_path), prepared.windows("validation")
    context, _ = scaled(prepared, "validation")
    stamps = prepared.table.values.index[index.origin]
    hour, month = found.weights_MFH[0][CONTEXT : CONTEXT + 168], found.weights_MFH[0][CONTEXT + 168 : -1]
    intercept = found.weights_MFH[0][-1] + hour[stamps.day_of_week * 24 + stamps.hour] + month[stamps.month - 1]
    by_hand = context @ found.by_lag() + context.std(axis=1, keepdims=True) * intercept
    forecast = found.predict(prepared, index)
    np.testing.assert_allclose(prepared.scaler.restore(by_hand, channel=index.channel), forecast, rtol=1e-9)


def test_ridge_with_a_calendar_is_saved_and_forecasts_beyond_the_table(tmp_path):
    prepared = of_calendar(tmp_path, linear_features="calendar")
    found = fitted(prepared, tmp_path)
    loaded = Ridge.load(tmp_path, prepared.config)
    assert (loaded.features, loaded.lags) == (("calendar",), CONTEXT)
    end = len(prepared.values) - 50
    index = WindowIndex(np.array([0, 1]), np.array([end, end]), 0)
    expected = found.predict(prepared, index)
    cut = replace(prepared.table, values=prepared.table.values.iloc[:end])
    np.testing.assert_array_equal(loaded.predict(prepared.continued(cut), index), expected)
    scrambled = prepared.values.copy()
    scrambled[end:] = 1e6
    np.testing.assert_array_equal(loaded.predict(replace(prepared, values=scrambled), index), expected)


def test_yearly_rows_have_no_calendar_and_say_so(tmp_path):
    years = pd.date_range("1700-01-01", periods=300, freq="YS")
    frame = pd.DataFrame({"date": years, "spots": np.random.default_rng(0).normal(size=300).cumsum()})
    frame.to_csv(tmp_path / "years.csv", index=False)
    prepared = of_table(tmp_path / "years.csv", linear_features="calendar")
    found, report = Ridge.fit(prepared, FitJob(prepared.config, tmp_path))
    assert found.weights_MFH.shape[1] == CONTEXT + 1 and "the calendar: it tells nothing" in report.notes[0]
