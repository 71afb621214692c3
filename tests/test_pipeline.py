"""A whole run on a small real backbone: what it writes, and that what it writes is true."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import timellm
from tests.conftest import SMALL
from tests.kept_forecasts import kept_forecasts
from timellm.data.prepared import PreparedData
from timellm.errors import CheckpointError, DataError
from timellm.explain.attention import attention_map
from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.fitted import FittedRun
from timellm.pipeline import evaluate


@pytest.fixture(scope="module")
def run(tmp_path_factory, hourly_csv, tiny_backbone):
    """A finished run, and what it reported."""
    longer = {"steps": 30, "batch_size": 16, "learning_rate": 1e-2, "validations": 3}
    config = timellm.RunConfig.create(hourly_csv, backbone=str(tiny_backbone), **(SMALL | longer))
    reports = []
    result = timellm.fit(config, run_dir=tmp_path_factory.mktemp("runs") / "run", on_progress=reports.append)
    return result, reports


def test_run_goes_through_its_phases_in_order(run):
    _, reports = run
    phases = list(dict.fromkeys(report.phase for report in reports))
    assert phases == ["loading", "training", "evaluating"]
    assert reports[-1].done == reports[-1].total


def test_time_left_holds_the_test_windows_and_the_forecast(run):
    _, reports = run
    ended = [report for report in reports if report.phase == "training"][-1]
    assert ended.done == ended.total and ended.memory_mib > 0
    # 138 test windows are calculated as 192, 58 of the validation part for intervals as 64, one of each channel as 64.
    assert ended.eta_s == pytest.approx((192 + 64 + 64) * ended.window_s)
    scored = reports[-1]
    assert scored.phase == "evaluating" and scored.eta_s == pytest.approx(64 / scored.windows_per_s)


def test_run_writes_the_configuration_in_force(run):
    result, _ = run
    config = RunFolder(result.run_dir).config()
    assert config.data.channels == ("load", "price") and config.data.frequency == "h"
    assert "load, price" in config.data.description, "the prompt describes this table"


def test_scores_are_those_of_the_saved_forecasts(run):
    result, _ = run
    folder = RunFolder(result.run_dir)
    forecasts = kept_forecasts(folder)
    assert len(forecasts.origin) == 2 * (80 - 12 + 1)
    table = folder.table().values.to_numpy()
    for row in (0, 100):
        origin, channel = forecasts.origin[row], forecasts.channel[row]
        np.testing.assert_array_equal(forecasts.actual[row], table[origin : origin + 12, channel])
    mae = np.nanmean(np.abs(forecasts.actual - forecasts.forecast["Time-LLM"]))
    overall = folder.scores().overall.set_index("model")
    assert overall.loc["Time-LLM", "mae"] == pytest.approx(float(mae), rel=1e-5)
    assert {"Time-LLM", "Ridge", "Last value"} <= set(overall.index)
    rival = result.summary["rival"]
    assert rival == overall["mae"].drop("Time-LLM").idxmin(), "the verdict compares with the best of all"
    assert result.summary["skill"] == pytest.approx(1 - mae / overall.loc[rival, "mae"], rel=1e-4)


def test_training_beats_the_last_value(run):
    result, _ = run
    overall = RunFolder(result.run_dir).scores().overall.set_index("model")["mae"]
    assert overall["Time-LLM"] < overall["Last value"]


def test_loaded_forecaster_repeats_the_run_s_forecast(run):
    result, _ = run
    future = RunFolder(result.run_dir).future()
    again = timellm.Forecaster.load(result.run_dir).forecast()
    pd.testing.assert_frame_equal(again, future)
    assert list(future.columns) == ["unique_id", "ds", "yhat"] and len(future) == 24
    assert future["ds"].min() == pd.Timestamp("2024-01-17 16:00")
    assert future.loc[future["unique_id"] == "load", "yhat"].between(60, 140).all(), "original units"


def test_forecast_from_newer_data_starts_at_its_end(run, hourly_csv, tmp_path):
    result, _ = run
    newer = tmp_path / "newer.csv"
    pd.read_csv(hourly_csv).iloc[100:300].to_csv(newer, index=False)
    forecast = timellm.Forecaster.load(result.run_dir).forecast(newer)
    assert forecast["ds"].min() == pd.Timestamp("2024-01-13 12:00")


def test_newer_table_may_hold_more_channels_in_another_order(run, hourly_csv, tmp_path):
    result, _ = run
    frame = pd.read_csv(hourly_csv).assign(wind=1.0)[["date", "wind", "price", "load"]]
    frame.to_csv(tmp_path / "more.csv", index=False)
    forecast = timellm.Forecaster.load(result.run_dir).forecast(timellm.read_table(tmp_path / "more.csv"))
    pd.testing.assert_frame_equal(forecast, RunFolder(result.run_dir).future())


def test_forecast_never_sees_the_future(run, hourly_csv, tmp_path):
    """The test-period forecast at a cutoff equals a forecast from a file that ends there."""
    result, _ = run
    folder = RunFolder(result.run_dir)
    forecasts = kept_forecasts(folder)
    row = int(np.flatnonzero(forecasts.channel == 1)[20])
    cut = tmp_path / "cut.csv"
    pd.read_csv(hourly_csv).iloc[: forecasts.origin[row]].to_csv(cut, index=False)
    alone = timellm.Forecaster.load(result.run_dir).forecast(cut)
    expected = forecasts.forecast["Time-LLM"][row]
    np.testing.assert_allclose(alone.loc[alone["unique_id"] == "price", "yhat"], expected, rtol=1e-4)


def test_newer_data_that_does_not_fit_is_refused(run, hourly_csv, tmp_path):
    result, _ = run
    forecaster = timellm.Forecaster.load(result.run_dir)
    frame = pd.read_csv(hourly_csv)
    path = tmp_path / "new.csv"
    frame.iloc[:20].to_csv(path, index=False)
    with pytest.raises(DataError, match="has 20 rows, but the run reads a context of 48"):
        forecaster.forecast(path)
    frame.iloc[::2].to_csv(path, index=False)
    with pytest.raises(DataError, match="trained on h"):
        forecaster.forecast(timellm.read_table(path))
    frame.loc[390, "load"] = np.nan
    frame.to_csv(path, index=False)
    with pytest.raises(DataError, match="'load' misses 1 of its last 48 values, the first at 2024-01-17 06:00:00"):
        forecaster.forecast(path)
    frame.drop(columns="price").to_csv(path, index=False)
    with pytest.raises(DataError, match="price"):
        forecaster.forecast(path)


def test_evaluating_again_gives_the_same_scores(run):
    result, _ = run
    before = RunFolder(result.run_dir).scores().overall
    pd.testing.assert_frame_equal(evaluate(result.run_dir).overall, before)


def test_attention_is_a_share_of_prototypes_named_by_words(run):
    result, _ = run
    seen = attention_map(result.run_dir, channel="load")
    assert seen.weights.shape == (2, 6, 20) and seen.spans.tolist()[-1] == [40, 48]
    np.testing.assert_allclose(seen.weights.sum(axis=-1), 1, rtol=1e-5)
    assert all(words for words in seen.words)
    frame = seen.frame()
    assert frame.shape == (6, 22) and frame["start"].iloc[0] == seen.context.index[0]
    np.testing.assert_allclose(seen.matrix(), seen.weights.mean(axis=0))
    totals = seen.matrix().sum(axis=0)
    assert list(seen.top(3)) == list(np.argsort(-totals)[:3])


def test_attention_equals_what_the_network_computes(run):
    import torch

    from timellm.forecasters.time_llm.patching import instance_norm

    result, _ = run
    forecaster = timellm.Forecaster.load(result.run_dir)
    seen = attention_map(result.run_dir, channel="price", cutoff=pd.Timestamp("2024-01-10 05:00"))
    scaled = (seen.context.to_numpy() - forecaster.prepared.scaler.mean[1]) / forecaster.prepared.scaler.scale[1]
    network = forecaster.forecaster.network.eval()
    with torch.no_grad():
        normed, _, _ = instance_norm(torch.tensor(scaled, dtype=torch.float32)[None])
        expected = network.reprogramming.attention(network.patch_embedding(normed), prototypes_VD=network.prototypes())
    np.testing.assert_allclose(seen.weights, expected[0].numpy(), rtol=1e-4, atol=1e-6)


def test_attention_of_what_is_not_there_is_refused(run):
    result, _ = run
    with pytest.raises(DataError, match="no channel 'wind'; the run has load, price"):
        attention_map(result.run_dir, channel="wind")
    with pytest.raises(DataError, match="no row at 2031"):
        attention_map(result.run_dir, channel="load", cutoff=pd.Timestamp("2031-01-01"))
    with pytest.raises(DataError, match="only 10 rows end at"):
        attention_map(result.run_dir, channel="load", cutoff=pd.Timestamp("2024-01-01 09:00"))


def test_stop_during_training_keeps_and_evaluates_the_best(small_config, tmp_path):
    asked = iter([False] * 5 + [True] * 999)
    result = timellm.fit(small_config, run_dir=tmp_path / "run", should_stop=lambda: next(asked))
    assert result.stopped and 0 < result.summary["steps"] < 8
    assert len(RunFolder(result.run_dir).future()) == 24


def test_stop_before_training_leaves_no_results(small_config, tmp_path):
    result = timellm.fit(small_config, run_dir=tmp_path / "run", should_stop=lambda: True)
    assert result.stopped and result.summary == {}
    with pytest.raises(CheckpointError, match="ended before its first validation"):
        timellm.Forecaster.load(result.run_dir)


def test_training_that_an_earlier_version_began_on_other_windows_is_not_gone_on_with(
    small_config, hourly_csv, tmp_path, monkeypatch
):
    frame = pd.read_csv(hourly_csv)
    frame.loc[100, "load"] = np.nan
    frame.to_csv(tmp_path / "gap.csv", index=False)
    config = small_config.updated(path=str(tmp_path / "gap.csv"), channels=("load",))

    def begun_before(config, folder):
        with monkeypatch.context() as earlier:
            earlier.setattr(PreparedData, "changed_rules", "")
            asked = iter([False] * 5 + [True] * 999)
            assert timellm.fit(config, run_dir=folder, should_stop=lambda: next(asked)).stopped

    begun_before(config, tmp_path / "skip")
    assert timellm.fit(config, run_dir=tmp_path / "skip").summary["steps"] == 8
    filling = config.updated(missing="interpolate")
    begun_before(filling, tmp_path / "interpolate")
    odd = config.updated(split="70%/11%/19%", channels=("price",))
    pd.read_csv(hourly_csv).iloc[:399].to_csv(tmp_path / "gap.csv", index=False)
    begun_before(odd, tmp_path / "split")  # 399 rows: a test part of 75.81
    for begun, name in ((filling, "interpolate"), (odd, "split")):
        with pytest.raises(CheckpointError, match="its windows are cut differently now"):
            timellm.fit(begun, run_dir=tmp_path / name)
    assert FittedRun.load(tmp_path / "interpolate").forecast().shape == (12, 3), "what it has learned stays usable"


def test_channel_with_a_gap_at_its_end_gets_no_invented_forecast(small_config, hourly_csv, tmp_path):
    frame = pd.read_csv(hourly_csv)
    frame.loc[395, "load"] = np.nan
    path = tmp_path / "gap.csv"
    frame.to_csv(path, index=False)
    result = timellm.fit(small_config.updated(path=str(path)), run_dir=tmp_path / "run")
    assert set(RunFolder(result.run_dir).future()["unique_id"]) == {"price"}
    assert result.summary["notes"] == ["There is no forecast of 'load': values are missing in its last 48 rows."]


def test_faithful_run_trains_and_its_attention_is_the_networks(small_config, tmp_path):
    import torch

    from timellm.forecasters.time_llm.patching import instance_norm

    config = small_config.updated(
        prototype_source="map", attention_scores="dot", prompt_style="paper", statistic_digits=0, lags="circular",
        attention_dropout=0.1, round_patches=True, backbone_dtype="float32", steps=2, validations=1,
    )  # fmt: skip
    result = timellm.fit(config, run_dir=tmp_path / "run")
    seen = attention_map(result.run_dir, channel="load")
    forecaster = timellm.Forecaster.load(result.run_dir)
    network = forecaster.forecaster.network.eval()
    scaled = (seen.context.to_numpy() - forecaster.prepared.scaler.mean[0]) / forecaster.prepared.scaler.scale[0]
    with torch.no_grad():
        normed, _, _ = instance_norm(torch.tensor(scaled, dtype=torch.float32)[None], as_published=True)
        expected = network.reprogramming.attention(network.patch_embedding(normed), prototypes_VD=network.prototypes())
    np.testing.assert_allclose(seen.weights, expected[0].numpy(), rtol=1e-5, atol=1e-7)


def test_table_too_short_is_refused_before_the_backbone_is_loaded(small_config, tmp_path):
    reports = []
    with pytest.raises(DataError, match="validation part has 40 rows, but one window needs 90"):
        timellm.fit(small_config.updated(horizon=90), run_dir=tmp_path / "run", on_progress=reports.append)
    assert reports == [] and not (tmp_path / "run").exists()


def test_run_on_a_table_that_repeats_itself_ends_without_the_metric_that_is_undefined_there(tmp_path):
    day = 50 + 10 * np.sin(np.arange(24) * 2 * np.pi / 24)
    moments = pd.date_range("2024-01-01", periods=960, freq="h")
    pd.DataFrame({"date": moments, "load": np.tile(day, 40)}).to_csv(tmp_path / "load.csv", index=False)
    config = timellm.RunConfig.create(tmp_path / "load.csv", kind="ridge", context=48, horizon=12)
    summary = timellm.fit(config, run_dir=tmp_path / "run").summary
    assert summary["test"]["mase"] is None  # the seasonal naive makes no error to divide by
    assert summary["test"]["mae"] < 1e-3
    assert summary["test_windows"] > 100
