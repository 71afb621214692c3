"""AutoETS and AutoTheta: a model a window, on an evenly spaced part of the test windows."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from timellm.config import RunConfig
from timellm.data.prepared import PreparedData
from timellm.data.table import load_table
from timellm.data.windows import WindowIndex
from timellm.errors import CheckpointError, ConfigError
from timellm.files.sealed import read_sealed_json, write_sealed_json
from timellm.forecasters.protocol import FitJob, missing_note
from timellm.forecasters.statistical import FILE, ETSForecaster, StatisticalForecaster, ThetaForecaster

CONTEXT, HORIZON = 72, 6

KINDS = pytest.mark.parametrize("kind", [ETSForecaster, ThetaForecaster])
installed = pytest.mark.skipif(
    importlib.util.find_spec("statsforecast") is None, reason="the optional package statsforecast is not installed"
)


@pytest.fixture
def prepared(hourly_csv) -> PreparedData:
    config = RunConfig.create(hourly_csv, context=CONTEXT, horizon=HORIZON)
    return PreparedData.of(load_table(config.data), config)


def job_of(kind: type[StatisticalForecaster], prepared: PreparedData, **settings) -> FitJob:
    """A fit whose test windows are eight, however fast this machine is."""
    section = kind.section(**{"most_windows": 8, "budget_s": 10_000, "window_budget_s": 10_000} | settings)
    return FitJob(
        prepared.config.model_copy(update={"forecaster": section, "training": None}),
        Path(prepared.config.data.path).parent,
    )


def fitted(kind: type[StatisticalForecaster], prepared: PreparedData, **settings) -> StatisticalForecaster:
    return kind.fit(prepared, job_of(kind, prepared, **settings))[0]


def with_values(prepared: PreparedData, values: np.ndarray, **settings) -> PreparedData:
    frame = pd.DataFrame(values, index=prepared.table.values.index, columns=prepared.table.channels)
    config = prepared.config.updated(**settings)
    return PreparedData.of(replace(prepared.table, values=frame), config, scaler=prepared.scaler)


def part_of(index: WindowIndex, windows: slice) -> WindowIndex:
    return WindowIndex(index.channel[windows], index.origin[windows], 0)


def actual(prepared: PreparedData, index: WindowIndex) -> np.ndarray:
    return prepared.values[index.origin[:, None] + np.arange(HORIZON), index.channel[:, None]]


@installed
@KINDS
def test_fit_says_how_many_windows_of_how_many(kind, prepared):
    forecaster, report = kind.fit(prepared, job_of(kind, prepared))
    index = prepared.windows("test")
    held = np.isfinite(forecaster.predict(prepared, index)).all(axis=1)
    assert held.sum() == 8
    assert report.notes == (f"{kind.title} forecasts 8 of {len(index)} test windows, evenly spaced: most_windows is 8",)
    over = f"{len(index) - 8} over the limit on test windows"
    assert missing_note(forecaster, len(index)) == (
        f"{kind.title} has no forecast for {len(index) - 8} of {len(index)} test windows: {over}.",
    )
    assert [held[index.channel == channel].sum() for channel in range(2)] == [4, 4]
    assert report.facts["season"] == 24 and report.facts["fitted_rows"] == CONTEXT
    assert forecaster.rows() == {kind.title: forecaster}


@installed
@KINDS
def test_small_budget_of_time_means_few_windows(kind, prepared):
    index = prepared.windows("test")
    forecaster, report = kind.fit(prepared, job_of(kind, prepared, most_windows=None, budget_s=1e-9))
    assert report.notes[0].startswith(f"{kind.title} forecasts 1 of {len(index)} test windows, evenly spaced: a window")
    assert np.isfinite(forecaster.predict(prepared, index)).all(axis=1).sum() == 1
    assert forecaster.missing == {"over the time budget": len(index) - 1}
    forecaster, report = kind.fit(prepared, job_of(kind, prepared, most_windows=None))
    some = part_of(index, slice(None, None, 9))
    assert np.isfinite(forecaster.predict(prepared, some)).all() and not report.notes
    assert missing_note(forecaster, len(some)) == ()


@installed
def test_small_budget_for_a_window_means_few_rows(hourly_csv):
    config = RunConfig.create(hourly_csv, context=200, horizon=HORIZON)
    prepared = PreparedData.of(load_table(config.data), config)
    forecaster, report = ThetaForecaster.fit(prepared, job_of(ThetaForecaster, prepared, window_budget_s=1e-9))
    assert report.facts["fitted_rows"] == 72 == forecaster.plan.rows  # three days
    assert report.notes[0] == "AutoTheta is fitted on the last 72 rows of each context of 200"


@installed
@KINDS
def test_forecasts_do_not_depend_on_how_windows_are_asked_for(kind, prepared):
    forecaster, index = fitted(kind, prepared), prepared.windows("test")
    heard: list[int] = []
    together = forecaster.predict(prepared, index, on_batch=heard.append)
    assert together.shape == (len(index), HORIZON) and together.dtype == np.float64 and heard[-1] == len(index)
    apart = [forecaster.predict(prepared, part_of(index, slice(at, at + 7))) for at in range(0, len(index), 7)]
    np.testing.assert_array_equal(np.concatenate(apart), together)
    backwards = part_of(index, slice(None, None, -1))
    np.testing.assert_array_equal(forecaster.predict(prepared, backwards)[::-1], together)


@installed
@KINDS
def test_forecast_reads_nothing_from_its_origin_on(kind, prepared):
    forecaster, origin = fitted(kind, prepared), 320
    index = WindowIndex(np.array([0, 1]), np.array([origin, origin]), 0)
    expected = forecaster.predict(prepared, index)
    assert np.isfinite(expected).all()
    values = prepared.values.copy()
    values[origin:] = np.random.default_rng(0).normal(0, 1e4, values[origin:].shape)
    values[origin + 2 :: 3] = np.nan
    np.testing.assert_array_equal(forecaster.predict(with_values(prepared, values), index), expected)
    values = prepared.values.copy()
    values[origin - 1] += 5
    assert (forecaster.predict(with_values(prepared, values), index) != expected).any()


@installed
@KINDS
def test_plan_reads_no_value_of_the_test_part(kind, prepared):
    values = prepared.values.copy()
    values[prepared.split.validation_end :] = np.random.default_rng(0).normal(0, 1e4, (80, 2))
    assert fitted(kind, with_values(prepared, values)).plan == fitted(kind, prepared).plan


@installed
@KINDS
def test_forecast_beyond_the_data_is_always_made(kind, prepared):
    forecaster, rows = fitted(kind, prepared, most_windows=1), len(prepared.values)
    beyond = WindowIndex(np.array([0, 1]), np.array([rows, rows]), 0)
    found = forecaster.predict(prepared, beyond)
    assert found.shape == (2, HORIZON) and np.isfinite(found).all()


@installed
@KINDS
def test_saved_forecaster_loads_to_the_same_forecasts(kind, prepared, tmp_path):
    forecaster, index = fitted(kind, prepared), prepared.windows("test")
    forecaster.save(tmp_path)
    loaded = kind.load(tmp_path, prepared.config)
    assert loaded.plan == forecaster.plan
    np.testing.assert_array_equal(loaded.predict(prepared, index), forecaster.predict(prepared, index))


@installed
@KINDS
def test_season_makes_it_better_than_the_last_value(kind, hourly_csv):
    config = RunConfig.create(hourly_csv, context=192, horizon=HORIZON)  # of three days AutoETS follows no season
    prepared = PreparedData.of(load_table(config.data), config)
    index = WindowIndex(np.array([0] * 5), np.arange(330, 355, 5), 0)
    last = prepared.values[index.origin - 1, 0][:, None]
    naive = np.abs(last - actual(prepared, index)).mean()
    with_season = np.abs(fitted(kind, prepared, most_windows=None).predict(prepared, index) - actual(prepared, index))
    assert with_season.mean() < 0.5 * naive
    without = fitted(kind, prepared, most_windows=None, season=1)
    assert without.plan.season == 1
    assert np.abs(without.predict(prepared, index) - actual(prepared, index)).mean() > 2 * with_season.mean()


@installed
@KINDS
def test_season_that_the_context_does_not_hold_twice_is_left_out(kind, prepared):
    forecaster, report = kind.fit(prepared, job_of(kind, prepared, season=40))
    assert forecaster.plan.season == 1
    assert report.notes[0] == "the season of 40 rows is left out: a context of 72 holds less than two"


@installed
@KINDS
def test_constant_series_is_forecast_by_its_value(kind, prepared):
    forecaster = fitted(kind, prepared, most_windows=None)
    constant = with_values(prepared, np.full_like(prepared.values, 3.0))
    found = forecaster.predict(constant, prepared.windows("test").evenly(4))
    np.testing.assert_allclose(found, 3.0, rtol=1e-6)


@installed
@KINDS
def test_gap_that_nothing_fills_is_counted_as_the_reason(kind, prepared):
    forecaster, origin = fitted(kind, prepared, most_windows=None), 350
    values = prepared.values.copy()
    values[origin - 5, 0] = np.nan
    index = WindowIndex(np.array([0, 1, 0]), np.array([origin, origin, origin - 5]), 0)
    found = forecaster.predict(with_values(prepared, values, missing="skip"), index)
    assert np.isnan(found[0]).all() and np.isfinite(found[1:]).all()
    (note,) = missing_note(forecaster, len(index))
    assert note == f"{kind.title} has no forecast for 1 of 3 test windows: 1 with values missing before the origin."
    filled = forecaster.predict(with_values(prepared, values, missing="interpolate"), index)
    assert np.isfinite(filled).all()


@installed
@KINDS
def test_context_that_reaches_before_the_table_has_no_forecast(kind, prepared):
    index = WindowIndex(np.array([0, 0]), np.array([CONTEXT - 1, CONTEXT]), 0)
    found = fitted(kind, prepared).predict(prepared, index)
    assert np.isnan(found[0]).all() and np.isfinite(found[1]).all()


@installed
def test_short_contexts_end_no_run(hourly_csv):
    config = RunConfig.create(hourly_csv, context=8, horizon=HORIZON, patch_length=8)
    prepared = PreparedData.of(load_table(config.data), config)
    index = prepared.windows("test").evenly(6)
    for kind in (ETSForecaster, ThetaForecaster):
        forecaster = fitted(kind, prepared, most_windows=None)
        missing = np.isnan(forecaster.predict(prepared, index)).all(axis=1)
        assert forecaster.plan.season == 1 and missing.sum() == forecaster.missing.total()


@installed
@KINDS
def test_failing_fits_are_counted_with_what_the_library_said(kind, prepared, monkeypatch):
    class Failing:
        def forecast(self, y, h):
            raise Exception("no model able to be fitted")

    class Endless:
        def forecast(self, y, h):
            return {"mean": np.full(h, np.inf)}

    forecaster, index = fitted(kind, prepared, most_windows=None), prepared.windows("test").evenly(3)
    for model in (Failing, Endless):
        monkeypatch.setattr(kind, "model", staticmethod(lambda season, model=model: model()))
        assert np.isnan(forecaster.predict(prepared, index)).all()
    assert missing_note(forecaster, 6) == (
        f"{kind.title} has no forecast for 6 of 6 test windows: 3 whose fit failed (Exception: no model able to be"
        " fitted), 3 whose fitted model forecasts no finite number.",
    )


@KINDS
@pytest.mark.parametrize("hidden", ["statsforecast", "fugue"])
def test_missing_package_is_named_with_the_commands_that_install_it(kind, prepared, monkeypatch, hidden):
    for name in [name for name in sys.modules if name.partition(".")[0] in ("statsforecast", hidden)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, hidden, None)
    expected = rf"{kind.title} needs the package statsforecast.*pip install .*fugue==.* && pip install --no-deps stats"
    with pytest.raises(ConfigError, match=expected) as refused:
        kind.fit(prepared, job_of(kind, prepared))
    assert "\n" not in str(refused.value)


def test_fit_that_is_stopped_plans_nothing(prepared):
    forecaster, report = ETSForecaster.fit(prepared, replace(job_of(ETSForecaster, prepared), should_stop=lambda: True))
    assert forecaster is None and report.stopped


@installed
def test_load_refuses_a_missing_damaged_or_foreign_file(prepared, tmp_path):
    with pytest.raises(CheckpointError, match=r"holds no statistical\.json"):
        ETSForecaster.load(tmp_path, prepared.config)
    fitted(ETSForecaster, prepared).save(tmp_path)
    with pytest.raises(CheckpointError, match="is of 'ets', not of 'theta'; fit the run again"):
        ThetaForecaster.load(tmp_path, prepared.config)
    tree = read_sealed_json(tmp_path / FILE)
    del tree["plan"]["cutoffs"]["origins"]
    write_sealed_json(tmp_path / FILE, tree)
    with pytest.raises(CheckpointError, match="is damaged"):
        ETSForecaster.load(tmp_path, prepared.config)
    (tmp_path / FILE).write_text("{}")
    with pytest.raises(CheckpointError, match="is damaged"):
        ETSForecaster.load(tmp_path, prepared.config)


@installed
@KINDS
def test_own_quantiles_are_the_ends_of_the_models_intervals(kind, prepared):
    forecaster, index = fitted(kind, prepared, quantiles=(0.1, 0.5, 0.975)), prepared.windows("test")
    held = np.isfinite(forecaster.predict(prepared, index)).all(axis=1)
    index = WindowIndex(index.channel[held], index.origin[held], 0).part(0, 2)
    forecast_WH, quantiles_WHQ = forecaster.predict_own(prepared, index)
    np.testing.assert_array_equal(forecast_WH, forecaster.predict(prepared, index))
    assert quantiles_WHQ.shape == (2, HORIZON, 3) and (np.diff(quantiles_WHQ, axis=-1) > 0).all()
    context_T = prepared.values[index.origin[0] - CONTEXT : index.origin[0], index.channel[0]]
    found = kind.model(forecaster.plan.season).forecast(y=context_T, h=HORIZON, level=[80.0, 95.0])
    expected = np.stack([found["lo-80.0"], found["mean"], found["hi-95.0"]], axis=1)
    np.testing.assert_allclose(quantiles_WHQ[0], np.sort(expected, axis=1), rtol=1e-6)
    assert fitted(kind, prepared).own_levels == ()
