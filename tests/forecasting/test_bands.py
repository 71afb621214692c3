"""A run keeps intervals: bands at any level, sealed, optional for earlier runs, and quick to make."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import timellm
from timellm.cli import main
from timellm.data.prepared import PreparedData
from timellm.errors import CheckpointError, ConfigError
from timellm.evaluation.coverage import COVERAGE
from timellm.evaluation.intervals import band_columns
from timellm.files.parquetfile import read_parquet, write_parquet
from timellm.forecasters.protocol import ignore_batch
from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.bands import INTERVALS
from timellm.forecasting.calibration import measure_bands
from timellm.forecasting.scoring import ScoredModels, score_test_part
from timellm.pipeline import evaluate

SETTINGS = {"kind": "ridge", "context": 48, "horizon": 12, "split": "200/100/100"}


@pytest.fixture(scope="module")
def made(tmp_path_factory, hourly_csv) -> Path:
    """A finished ridge run of a second."""
    folder = tmp_path_factory.mktemp("bands") / "run"
    timellm.fit(timellm.RunConfig.create(hourly_csv, **SETTINGS), run_dir=folder)
    return folder


@pytest.fixture
def folder(made, tmp_path) -> RunFolder:
    """A copy to be changed."""
    return RunFolder(Path(shutil.copytree(made, tmp_path / "run")))


def test_run_has_bands_at_any_level_that_hold_its_forecast_and_never_cross(folder):
    levels = (50, 80, 83, 95)
    future = folder.future(levels)
    assert list(future)[:3] == ["unique_id", "ds", "yhat"] and len(future) == 24
    low = future[[band_columns(level)[0] for level in levels]].to_numpy()
    high = future[[band_columns(level)[1] for level in levels]].to_numpy()
    assert (np.diff(low, axis=1) <= 0).all() and (np.diff(high, axis=1) >= 0).all()
    assert (low[:, 0] < future["yhat"]).all() and (future["yhat"] < high[:, 0]).all()
    pd.testing.assert_frame_equal(folder.future(), future[["unique_id", "ds", "yhat"]])
    alone = folder.future((80,))
    np.testing.assert_array_equal(alone["yhat-lo-80"], future["yhat-lo-80"])


def test_loaded_run_forecasts_the_bands_that_its_folder_keeps(folder):
    loaded = timellm.Forecaster.load(folder.path)
    pd.testing.assert_frame_equal(loaded.forecast(levels=[95, 80]), folder.future((80, 95)))
    assert list(loaded.forecast()) == ["unique_id", "ds", "yhat"]
    with pytest.raises(ConfigError, match=r"a band of 99\.9 % cannot be drawn"):
        loaded.forecast(levels=[99.9])


def test_bands_of_a_newer_table_follow_the_size_of_its_windows(folder):
    loaded = timellm.Forecaster.load(folder.path)
    calm = loaded.forecast(levels=[80])
    values = loaded.table.values.copy()
    values.iloc[-48:] = values.iloc[-48:].mean() + 3 * (values.iloc[-48:] - values.iloc[-48:].mean())
    wild = loaded.forecast(replace(loaded.table, values=values), levels=[80])
    widths = [(one["yhat-hi-80"] - one["yhat-lo-80"]).to_numpy() for one in (calm, wild)]
    assert (widths[1] > 1.5 * widths[0]).all()


@pytest.mark.parametrize("number", [0, 40, 88])
def test_scrambling_what_comes_after_a_cut_off_changes_no_band_there(folder, number):
    whole = folder.run_forecasts()
    windows, table = whole.of("load"), folder.table()
    origin = int(whole.index.origin[windows.rows[number]])
    values = table.values.copy()
    values.iloc[origin:] = np.random.default_rng(0).normal(0, 1e5, values.iloc[origin:].shape)
    prepared = PreparedData.of(replace(table, values=values), folder.config(), scaler=folder.scaler())
    found = replace(whole, prepared=prepared).of("load").bands(number, (80, 95))
    pd.testing.assert_frame_equal(found, windows.bands(number, (80, 95)))
    assert found.notna().all(axis=None)


def test_every_model_beside_the_run_has_intervals_and_coverage(folder):
    intervals, card = folder.intervals(), folder.coverage()
    assert set(intervals.models) == set(folder.scores().models) and intervals.own == "Ridge"
    assert set(card.rows["model"]) == set(intervals.models)
    assert intervals.models["Ridge"].windows_N.tolist() == [64, 64]
    assert 0.5 < card.achieved(80) <= 1 and card.rival(80)[0] != "Ridge"
    assert intervals.why_none("price", 80) is None
    assert "needs 99 validation windows of the channel, and there are 64" in intervals.why_none("price", 99)
    assert folder.future((99,))["yhat-lo-99"].isna().all()


def test_earlier_run_has_no_bands_until_it_is_evaluated(folder, capsys):
    for name in (INTERVALS, COVERAGE):
        (folder.path / name).unlink()
    assert folder.intervals() is None and folder.coverage() is None
    for use in (lambda: folder.future((80,)), lambda: timellm.Forecaster.load(folder.path).forecast(levels=[80])):
        with pytest.raises(CheckpointError, match="scored by an earlier version, which kept no intervals: evaluate"):
            use()
    assert main(["evaluate", str(folder.path), "--stored"]) == 0
    assert "kept no intervals" in capsys.readouterr().out
    evaluate(folder.path)
    assert len(folder.future((80,))) == 24 and folder.coverage() is not None


def test_evaluating_again_gives_the_same_intervals(folder):
    before = {name: (folder.path / name).read_bytes() for name in (INTERVALS, COVERAGE)}
    evaluate(folder.path)
    assert {name: (folder.path / name).read_bytes() for name in before} == before


@pytest.mark.parametrize("spoil", ["levels", "channels", "steps", "negative", "model"])
def test_intervals_that_do_not_fit_the_run_are_refused(folder, spoil):
    path = folder.path / INTERVALS
    rows = read_parquet(path)
    facts = rows.schema.metadata
    if spoil == "levels":
        facts = {b"timellm.intervals": facts[b"timellm.intervals"].replace(b"[10, ", b"[11, ")}
    elif spoil == "model":
        facts = {b"timellm.intervals": facts[b"timellm.intervals"].replace(b'"Ridge"', b'"Bridge"')}
    elif spoil == "channels":
        rows = rows.set_column(1, "unique_id", pa.array(rows["unique_id"].to_pylist()[::-1]))
    elif spoil == "steps":
        rows = rows.set_column(3, "first_step", pa.array(rows["first_step"].to_numpy() + 1, pa.int32()))
    else:
        lists = [[-1.0, *one[1:]] for one in rows["quantiles"].to_pylist()]
        rows = rows.set_column(4, "quantiles", pa.array(lists, pa.list_(pa.float32(), len(lists[0]))))
    write_parquet(path, rows.replace_schema_metadata(facts))
    with pytest.raises(CheckpointError, match=r"intervals\.parquet is damaged .*; evaluate the run again"):
        folder.intervals()


def test_command_writes_bands_and_says_what_was_achieved(folder, tmp_path, capsys):
    out = tmp_path / "f.csv"
    assert main(["forecast", str(folder.path), "--levels", "80, 95 %", "--out", str(out)]) == 0
    written = pd.read_csv(out)
    assert list(written)[3:] == ["yhat-lo-80", "yhat-hi-80", "yhat-lo-95", "yhat-hi-95"]
    assert main(["evaluate", str(folder.path), "--stored"]) == 0
    assert "lay inside the 80 % band" in capsys.readouterr().out
    for levels, reason in (("80,high", "'high' in --levels is no level"), ("5", "a band of 5 % cannot be drawn")):
        assert main(["forecast", str(folder.path), "--levels", levels, "--out", str(tmp_path / "g.csv")]) == 2
        assert reason in capsys.readouterr().err


class Slow:
    """Has time for every tenth test window alone, and forecasts the last value."""

    name = "Slow"

    def __init__(self, prepared):
        self._begin, self.asked = prepared.split.validation_end, 0

    def predict(self, prepared, index, *, on_batch=ignore_batch):
        forecast_WH = np.repeat(prepared.values[index.origin - 1, index.channel][:, None], prepared.horizon, axis=1)
        tested = index.origin >= self._begin
        self.asked += int((~tested).sum())
        forecast_WH[tested & (index.origin % 10 != 0)] = np.nan
        return forecast_WH


def test_forecaster_without_time_for_all_windows_is_asked_for_few_more(folder):
    prepared = folder.prepared()
    slow = Slow(prepared)
    score_test_part(ScoredModels(slow, {}), prepared, folder)
    assert measure_bands(ScoredModels(slow, {}), prepared, folder) is not None
    calibration = folder.intervals().models["Slow"]
    assert slow.asked == 20 == calibration.windows_N[0], "of all channels together"
    np.testing.assert_array_equal(calibration.quantile_NSG[0], calibration.quantile_NSG[1])
    assert np.isfinite(calibration.half_width(np.array([0, 1]), (80, 95), horizon=12)).all()
    assert folder.coverage().achieved(80) > 0.3
