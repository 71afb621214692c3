"""Every kind of forecaster that fits in seconds, on a table with filled gaps: nothing after an origin counts."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import timellm
from timellm.data.prepared import PreparedData
from timellm.data.season import season_length
from timellm.data.windows import WindowIndex
from timellm.forecasters.naive2 import Naive2
from timellm.forecasters.registry import OFFERED
from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.ensemble import ensemble_config
from timellm.forecasting.fitted import FittedRun

_TRAINED = {"steps": 4, "batch_size": 8, "validations": 2, "validation_windows": 16}
SETTINGS: dict[str, dict] = {
    "dlinear": {"moving_average": 5, **_TRAINED},
    "patchtst": {"d_model": 8, "d_ff": 8, "heads": 2, "layers": 1, **_TRAINED},
    "autoformer": {"d_model": 8, "d_ff": 8, "encoder_layers": 1, **_TRAINED},
    "theta": {"most_windows": 4},
    "ridge": {"linear_features": "auto", "linear_maps": "by_channel"},
    "naive": {},
}
NOT_HERE = {"timesfm", "chronos", "fracast", "ets", "time_llm"}
"""Kinds with fetched weights; AutoETS, which is AutoTheta's code and takes ten times as long; and Time-LLM, which has a
test of its own (test_no_leak)."""


def test_every_kind_is_tested_or_named():
    assert set(OFFERED) == SETTINGS.keys() | NOT_HERE


@pytest.fixture(scope="module")
def table(tmp_path_factory, hourly_csv):
    frame = pd.read_csv(hourly_csv)
    rng = np.random.default_rng(4)
    for name in ("load", "price"):
        frame.loc[rng.random(len(frame)) < 0.02, name] = np.nan
    frame.loc[200:205, "price"] = np.nan
    frame.loc[len(frame) - 3 :, "load"] = np.nan
    path = tmp_path_factory.mktemp("gaps") / "gaps.csv"
    frame.to_csv(path, index=False)
    return path


def fitted(table, folder, kind):
    if kind == "theta":
        pytest.importorskip("statsforecast")
    config = timellm.RunConfig.create(table, kind=kind, context=48, horizon=12, missing="interpolate", **SETTINGS[kind])
    timellm.fit(config, run_dir=folder)
    return folder


def scrambled(folder, origin):
    """The run's table with everything from the origin on replaced, and values missing elsewhere."""
    run = RunFolder(folder)
    table = run.table()
    values, rng = table.values.copy(), np.random.default_rng(origin)
    after = rng.normal(0, 1e4, values.iloc[origin:].shape)
    values.iloc[origin:] = np.where(rng.random(after.shape) < 0.3, np.nan, after)
    return PreparedData.of(replace(table, values=values), run.config(), scaler=run.scaler(), effects=run.effects())


def check(folder, predict):
    """Forecasts at origins in and before the test part, in gaps and beside them, are the same without their future."""
    whole = RunFolder(folder).prepared()
    for origin in (200, 203, 206, *range(340, 389, 12)):
        index = WindowIndex(np.array([0, 1]), np.array([origin] * 2), 0)
        np.testing.assert_array_equal(
            predict(whole, index), predict(scrambled(folder, origin), index), err_msg=f"at {origin}"
        )


@pytest.mark.parametrize("kind", SETTINGS)
def test_scrambling_the_future_changes_no_forecast(table, tmp_path, kind):
    folder = fitted(table, tmp_path / kind, kind)
    forecaster = FittedRun.load(folder).forecaster
    for model in forecaster.rows().values():
        check(folder, model.predict)


@pytest.mark.parametrize("fill", ["fill:previous", "fill:seasonal:24"])
def test_scrambling_the_future_changes_no_forecast_from_contexts_that_a_repair_fills(table, tmp_path, fill):
    config = timellm.RunConfig.create(
        table, kind="ridge", context=48, horizon=12, repair=(fill,), linear_features="plain"
    )
    timellm.fit(config, run_dir=tmp_path / "ridge")
    for model in (FittedRun.load(tmp_path / "ridge").forecaster, *RunFolder(tmp_path / "ridge").quick().rows.values()):
        check(tmp_path / "ridge", model.predict)


def test_scrambling_the_future_changes_no_forecast_of_naive2(table, tmp_path):
    folder = fitted(table, tmp_path / "naive", "naive")
    prepared = RunFolder(folder).prepared()
    check(folder, Naive2.fit(prepared.training_values, season=season_length("h")).predict)


def test_scrambling_the_future_changes_no_forecast_of_an_ensemble(table, tmp_path):
    members = [fitted(table, tmp_path / kind, kind) for kind in ("ridge", "naive")]
    timellm.fit(ensemble_config(members), run_dir=tmp_path / "ensemble")
    forecaster = FittedRun.load(tmp_path / "ensemble").forecaster
    whole = RunFolder(tmp_path / "ensemble").prepared()
    for origin in range(340, 389, 7):
        index = WindowIndex(np.array([0, 1]), np.array([origin] * 2), 0)
        # Kept forecasts are float32, and those of another table are made anew.
        np.testing.assert_allclose(
            forecaster.predict(whole, index),
            forecaster.predict(scrambled(tmp_path / "ensemble", origin), index),
            rtol=1e-5, atol=1e-4,
        )  # fmt: skip
