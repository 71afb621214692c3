"""The ridge inside Time-LLM: training begins at it, validation decides what is added, and a forecast comes apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import timellm
from timellm.evaluation.judge import judge
from timellm.explain.parts import linear_path, shares
from timellm.files.tensorfile import read_tensors, write_tensors
from timellm.forecasters.ridge.forecaster import Ridge
from timellm.forecasters.ridge.limits import MOST_LAGS
from timellm.forecasters.time_llm.kept import LINEAR_PATH, path_config
from timellm.forecasters.time_llm.linear_path import LinearPath, LinearShare
from timellm.forecasting.artifacts import RunFolder
from timellm.training.checkpoint import ADAPTER


@pytest.fixture(scope="module")
def config(hourly_csv, tiny_backbone):
    return timellm.RunConfig.create(
        hourly_csv, backbone=str(tiny_backbone), layers=2, context=48, horizon=12, d_model=8, d_ff=8, heads=2,
        prototypes=20, steps=8, batch_size=8, validations=2, validation_windows=64,
    )  # fmt: skip


@pytest.fixture(scope="module")
def unhelpful(config, tmp_path_factory) -> RunFolder:
    """A run whose steps are far too large, so that none of them helps."""
    result = timellm.fit(config.updated(learning_rate=0.5), run_dir=tmp_path_factory.mktemp("runs") / "unhelpful")
    return RunFolder(result.run_dir)


@pytest.fixture(scope="module")
def helpful(config, tmp_path_factory) -> RunFolder:
    """A run whose path learns on in small steps."""
    found = tmp_path_factory.mktemp("runs") / "helpful"
    timellm.fit(config.updated(linear_path="trained", learning_rate=1e-3, steps=24, validations=6), run_dir=found)
    return RunFolder(found)


@pytest.mark.parametrize("context", [30, MOST_LAGS + 5])
def test_what_is_learned_on_reads_what_every_ridge_reads(context):
    generator = np.random.default_rng(0)
    path = LinearPath(context=context, horizon=4)
    assert not path.weight_FH.any()
    weights_FH = generator.normal(size=(min(context, MOST_LAGS) + 1, 4)) / 10
    path.weight_FH.data.copy_(torch.from_numpy(weights_FH))
    context_BT = generator.normal(size=(5, context)).cumsum(axis=1) + 1000.0
    read_BL = context_BT[:, -MOST_LAGS:]
    centred_BL = read_BL - read_BL.mean(axis=1, keepdims=True)
    expected_BH = np.hstack([centred_BL, read_BL.std(axis=1, keepdims=True)]) @ weights_FH
    found_BH = path(torch.tensor(context_BT, dtype=torch.float32)).double().detach()
    np.testing.assert_allclose(found_BH, expected_BH, rtol=1e-3, atol=1e-3)


def test_share_of_one_leaves_the_ridge_as_it_is_and_another_scales_what_it_adds_to_the_mean():
    base_BH, mean_B1 = torch.randn(5, 4) * 1e3, torch.randn(5, 1) * 1e3
    share = LinearShare(horizon=4)
    assert torch.equal(share(base_BH, mean_B1=mean_B1), base_BH)
    share.share_H.data.copy_(torch.tensor([0.0, 0.5, 1.0, 2.0]))
    expected_BH = mean_B1.numpy() + np.array([0.0, 0.5, 1.0, 2.0]) * (base_BH - mean_B1).numpy()
    np.testing.assert_allclose(share(base_BH, mean_B1=mean_B1).detach(), expected_BH, rtol=1e-3)


@pytest.mark.parametrize("features", ["plain", "level", "calendar"])
def test_parts_know_the_share_that_was_learned(config, tmp_path, features):
    settings = {"linear_path": "weighted", "linear_features": features, "linear_maps": "by_channel"}
    folder = RunFolder(timellm.fit(config.updated(**settings), run_dir=tmp_path / "run").run_dir)
    network = timellm.Forecaster.load(folder.path).forecaster.network
    share_H = np.linspace(0.5, 1.5, 12)
    tensors, facts = read_tensors(folder.path / ADAPTER, remedy="")
    tensors["linear_share.share_H"] = torch.tensor(share_H, dtype=torch.float32)
    write_tensors(folder.path / ADAPTER, tensors, facts=facts)
    prepared = folder.prepared()
    index, _ = folder.test_windows(prepared)
    path = Ridge.load(folder.path, path_config(folder.config()), file=LINEAR_PATH)
    mean_W1 = np.stack(
        [prepared.values[o - 48 : o, c].mean(keepdims=True) for c, o in zip(index.channel, index.origin, strict=True)]
    )
    expected_WH = mean_W1 + share_H * (path.predict(prepared, index) - mean_W1)
    np.testing.assert_allclose(linear_path(folder.path).predict(prepared, index), expected_WH, rtol=1e-5)
    assert network.linear_share is not None


def test_a_run_without_a_helpful_step_is_its_ridge(unhelpful):
    summary = unhelpful.summary()
    assert (summary["best_step"], summary["adds_nothing"]) == (0, True)
    assert summary["variance_shares"]["language_model"] == pytest.approx(0.0, abs=1e-4)
    prepared = unhelpful.prepared()
    index, forecast_WH = unhelpful.test_windows(prepared)
    ridge = Ridge.load(unhelpful.path, path_config(unhelpful.config()), file=LINEAR_PATH)
    np.testing.assert_allclose(forecast_WH, ridge.predict(prepared, index), rtol=1e-4)


def test_verdict_says_that_the_language_model_adds_nothing(unhelpful, helpful):
    sentence = "The language model adds nothing on this table"
    assert sentence in unhelpful.verdict("mae").sentence()
    assert sentence in unhelpful.summary()["verdict"]
    assert sentence not in judge(unhelpful.scores(), "mae").sentence()
    assert (sentence in helpful.verdict("mae").sentence()) == (helpful.summary()["best_step"] == 0)


def test_a_head_at_zero_needs_no_language_model(unhelpful, monkeypatch):
    forecaster = timellm.Forecaster.load(unhelpful.path).forecaster
    monkeypatch.setattr(forecaster.network, "reader", None)
    prepared = unhelpful.prepared()
    index, forecast_WH = unhelpful.test_windows(prepared)
    np.testing.assert_allclose(forecaster.predict(prepared, index), forecast_WH, rtol=1e-5)


@pytest.mark.parametrize("kind", ["fixed", "weighted", "trained"])
def test_a_path_is_saved_and_learns_only_if_it_should(config, tmp_path, kind):
    folder = RunFolder(
        timellm.fit(config.updated(linear_path=kind, learning_rate=1e-4), run_dir=tmp_path / kind).run_dir
    )
    network = timellm.Forecaster.load(folder.path).forecaster.network
    names = {name for name, _ in network.named_parameters()}
    for found in (names, load_file(folder.path / ADAPTER)):
        assert ("linear_path.weight_FH" in found) == (kind == "trained")
        assert ("linear_share.share_H" in found) == (kind == "weighted")
    assert (folder.path / LINEAR_PATH).is_file()
    forecast = timellm.Forecaster.load(folder.path).forecast()["yhat"]
    np.testing.assert_allclose(forecast, folder.future()["yhat"], rtol=1e-5)


def test_parts_add_up_to_the_forecast(helpful):
    prepared = helpful.prepared()
    index, forecast_WH = helpful.test_windows(prepared)
    found = shares(linear_path(helpful.path), prepared, index=index, forecast_WH=forecast_WH)
    assert found.linear_path + found.language_model == pytest.approx(1.0)
    kept = helpful.summary()["variance_shares"]
    assert kept == {"linear_path": found.linear_path, "language_model": found.language_model}
    mean_W1 = np.stack(
        [prepared.values[o - 48 : o, c].mean(keepdims=True) for c, o in zip(index.channel, index.origin, strict=True)]
    )
    scale_W1 = prepared.scaler.scale[index.channel][:, None]
    whole = (forecast_WH - mean_W1) / scale_W1
    linear = (linear_path(helpful.path).predict(prepared, index) - mean_W1) / scale_W1
    assert found.linear_path == pytest.approx((linear * whole).sum() / (whole * whole).sum())


@pytest.mark.parametrize("kind", ["fixed", "weighted", "trained"])
def test_a_stopped_run_goes_on_to_the_same_weights(config, tmp_path, kind):
    config = config.updated(linear_path=kind, learning_rate=1e-3)
    whole = timellm.fit(config, run_dir=tmp_path / "whole")
    seen: list[int] = []
    timellm.fit(
        config, run_dir=tmp_path / "parts", on_progress=lambda now: seen.append(now.done),
        should_stop=lambda: bool(seen) and seen[-1] == 5,
    )  # fmt: skip
    parts = timellm.fit(config, run_dir=tmp_path / "parts")
    assert parts.summary["best_step"] == whole.summary["best_step"]
    one, other = load_file(tmp_path / "whole" / ADAPTER), load_file(tmp_path / "parts" / ADAPTER)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_stopped_at_its_first_step_keeps_the_ridge(config, tmp_path):
    stopped = timellm.fit(config, run_dir=tmp_path / "run", should_stop=lambda: (tmp_path / "run" / ADAPTER).exists())
    assert stopped.stopped
    folder = RunFolder(stopped.run_dir)
    prepared = folder.prepared()
    index, forecast_WH = folder.test_windows(prepared)
    np.testing.assert_allclose(forecast_WH, linear_path(folder.path).predict(prepared, index), rtol=1e-4)
