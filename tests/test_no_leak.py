"""A run on a table with gaps to fill: no forecast, baseline or attention map knows what came after its origin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import timellm
from tests.conftest import SMALL
from tests.kept_forecasts import kept_forecasts
from timellm.data.prepared import PreparedData
from timellm.data.windows import WindowIndex
from timellm.explain.attention import attention_map
from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.fitted import FittedRun
from timellm.forecasting.many import forecast_many
from timellm.forecasting.validation import read_baselines


@pytest.fixture(scope="module")
def run(tmp_path_factory, hourly_csv, tiny_backbone):
    """A finished run on a table of which a tenth of the values is missing, the last three of `load` among them."""
    frame = pd.read_csv(hourly_csv)
    rng = np.random.default_rng(4)
    for name in ("load", "price"):
        frame.loc[rng.random(len(frame)) < 0.02, name] = np.nan
    frame.loc[len(frame) - 3 :, "load"] = np.nan
    frame.loc[200:205, "price"] = np.nan
    folder = tmp_path_factory.mktemp("gaps")
    frame.to_csv(folder / "gaps.csv", index=False)
    config = timellm.RunConfig.create(
        folder / "gaps.csv", backbone=str(tiny_backbone), missing="interpolate", **(SMALL | {"layers": 1})
    )
    return timellm.fit(config, run_dir=folder / "run")


@pytest.fixture(scope="module")
def forecaster(run):
    return FittedRun.load(run.run_dir)


def scrambled(folder: RunFolder, origin: int) -> PreparedData:
    table = folder.table()
    values = table.values.copy()
    rng = np.random.default_rng(origin)
    after = rng.normal(0, 1e4, values.iloc[origin:].shape)
    values.iloc[origin:] = np.where(rng.random(after.shape) < 0.3, np.nan, after)
    return PreparedData.of(replace(table, values=values), folder.config(), scaler=folder.scaler())


def test_scrambling_the_future_changes_no_forecast_of_any_model(run, forecaster):
    folder = RunFolder(run.run_dir)
    models = {**forecaster.forecaster.rows(), **folder.quick().rows}
    assert {"Time-LLM", "Ridge", "Last value"} <= models.keys()
    for origin in range(188, 389, 8):
        index = WindowIndex(np.array([0, 1]), np.array([origin] * 2), 0)
        found = []
        for one in (folder.prepared(), scrambled(folder, origin)):
            found.append({name: model.predict(one, index) for name, model in models.items()})
        for name, forecast in found[0].items():
            np.testing.assert_array_equal(forecast, found[1][name], err_msg=f"{name} at {origin}")


def test_only_measured_values_are_targets(run):
    folder = RunFolder(run.run_dir)
    prepared = folder.prepared()
    assert np.isfinite(kept_forecasts(folder).actual).all()
    for part in ("training", "validation", "test"):
        index = prepared.windows(part)
        rows = index.origin[:, None] + np.arange(prepared.horizon)
        measured = prepared.table.values.to_numpy()[rows, index.channel[:, None]]
        assert np.isfinite(measured).all()
        _, targets = prepared.source().gather(index.channel, origin=index.origin)
        scaled = (measured - prepared.scaler.mean[index.channel, None]) / prepared.scaler.scale[index.channel, None]
        np.testing.assert_allclose(targets, scaled, rtol=1e-5, atol=1e-6)
        assert run.summary["windows_left_out"][part] == index.left_out > 0
    assert set(read_baselines(run.run_dir)) == set(folder.quick().rows)


def test_a_gap_at_the_end_repeats_the_last_known_value(run, forecaster, tmp_path):
    folder = RunFolder(run.run_dir)
    table, future = folder.table(), folder.future()
    assert table.values["load"].iloc[-3:].isna().all() and set(future["unique_id"]) == {"load", "price"}
    repeated = table.values.copy()
    repeated.iloc[-3:, 0] = repeated["load"].iloc[-4]
    explicit = forecaster.forecast(replace(table, values=repeated))
    pd.testing.assert_frame_equal(explicit, future, check_dtype=False, check_index_type=False)
    rows = table.values.reset_index().melt("ds", var_name="unique_id", value_name="y")
    rows.to_parquet(tmp_path / "long.parquet")
    assert forecast_many(run.run_dir, tmp_path / "long.parquet", tmp_path / "out").series == 2
    many = pd.read_parquet(tmp_path / "out")
    pd.testing.assert_frame_equal(many, future, check_dtype=False, check_index_type=False, rtol=1e-5)


def test_attention_reads_the_context_that_the_forecast_reads(run):
    prepared = RunFolder(run.run_dir).prepared()
    index = prepared.table.values.index
    for end in (203, 206, 207):  # inside a gap of `price`, at its last row, behind it
        context = attention_map(run.run_dir, channel="price", cutoff=index[end]).context.to_numpy()
        if end == 203:
            assert set(context[-4:]) == {prepared.values[199, 1]}
        rows = np.arange(end + 1 - len(context), end + 1)[None]
        seen = prepared.past.before(np.array([end + 1]), channel=np.array([1]), rows_WK=rows)[0]
        np.testing.assert_allclose(context, seen)
