"""Quantiles of Time-LLM: step 0 is the ridge with the quantiles of its errors, and steps keep what is surely better."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import timellm
from timellm.data.prepared import PreparedData
from timellm.data.table import load_table
from timellm.forecasters.ridge.forecaster import Ridge
from timellm.forecasters.time_llm.kept import LINEAR_PATH, path_config
from timellm.forecasters.time_llm.shape import backbone_shape
from timellm.forecasting.artifacts import RunFolder
from timellm.sizing.memory import quantile_weights
from timellm.training.choice import Judge
from timellm.training.evaluation import Validation
from timellm.training.share import keeping_share

LEVELS = (0.05, 0.5, 0.95)


@pytest.fixture(scope="module")
def folder(hourly_csv, tiny_backbone, tmp_path_factory) -> RunFolder:
    """A run with a ridge whose steps are far too large, so that none of them is kept."""
    config = timellm.RunConfig.create(
        hourly_csv, backbone=str(tiny_backbone), layers=2, context=48, horizon=12, d_model=8, d_ff=8, heads=2,
        prototypes=20, steps=8, batch_size=8, validations=2, validation_windows=64, learning_rate=0.5,
        quantiles=LEVELS, pinned_windows=0,
    )  # fmt: skip
    return RunFolder(timellm.fit(config, run_dir=tmp_path_factory.mktemp("runs") / "run").run_dir)


@pytest.fixture(scope="module")
def run(folder) -> timellm.Forecaster:
    return timellm.Forecaster.load(folder.path)


def test_step_0_is_the_ridge_with_the_quantiles_of_its_errors(folder, run, monkeypatch):
    assert (folder.summary()["best_step"], folder.summary()["adds_nothing"]) == (0, True)
    prepared, index = run.prepared, run.prepared.windows("test")
    monkeypatch.setattr(run.forecaster.network, "reader", None)  # no language model is asked
    forecast_WH, quantiles_WHQ = run.forecaster.predict_own(prepared, index)
    ridge = Ridge.load(folder.path, path_config(folder.config()), file=LINEAR_PATH)
    np.testing.assert_allclose(forecast_WH, ridge.predict(prepared, index), rtol=1e-4)
    assert (np.diff(quantiles_WHQ, axis=-1) >= 0).all()
    training = prepared.windows("training")
    actual_WH = prepared.values[training.origin[:, None] + np.arange(12), training.channel[:, None]]
    _, quantiles_WHQ = run.forecaster.predict_own(prepared, training)
    inside = (quantiles_WHQ[..., 0] <= actual_WH) & (actual_WH <= quantiles_WHQ[..., 2])
    assert inside.mean() == pytest.approx(0.9, abs=0.03), "they are those of the ridge's errors in training"


def test_network_with_learned_quantiles_still_forecasts_the_ridge(run):
    network, prepared = run.forecaster.network, run.prepared
    index = prepared.windows("test").evenly(10)
    before_WH = run.forecaster.predict(prepared, index)
    with torch.no_grad():
        network.quantile_head.weight_FHQ.normal_()
    forecast_WH, quantiles_WHQ = run.forecaster.predict_own(prepared, index)
    np.testing.assert_array_equal(forecast_WH, before_WH)
    assert (np.diff(quantiles_WHQ, axis=-1) >= 0).all()


def test_weights_are_saved_with_the_forecast_of_the_start_and_go_on_as_they_are(run):
    network = run.forecaster.network
    with torch.no_grad():
        network.head.linear.weight.normal_()
    trained = network.head.linear.weight.clone()
    with keeping_share(network, 0.0):
        saved = {name: weight.clone() for name, weight in network.state_dict().items()}
    assert not saved["head.linear.weight"].any() and torch.equal(network.head.linear.weight, trained)
    assert torch.equal(saved["quantile_head.offset_NHQ"], network.quantile_head.offset_NHQ)


@pytest.mark.parametrize(
    ("better_forecast", "better_quantiles"), [(True, True), (False, True), (True, False), (False, False)]
)
def test_forecast_and_quantiles_of_a_step_are_judged_apart(run, better_forecast, better_quantiles):
    prepared = PreparedData.of(load_table(run.config.data), run.config, scaler=run.prepared.scaler)
    base = run.forecaster.base.on(prepared)
    source, validated = prepared.source(base=base), prepared.windows("validation")
    judge = Judge(run.forecaster.network, source, validated, from_start=True)
    error_WH = judge._start_WH * (0.2 if better_forecast else 3.0)
    offset_WHQ = np.broadcast_to(np.float32([-0.2, 0, 0.2] if better_quantiles else [-9, 0, 9]), (*error_WH.shape, 3))
    squared_W = np.square(error_WH).mean(axis=1)
    found = Validation(float(squared_W.mean()), squared_W, -error_WH, error_WH, offset_WHQ.copy())
    one = judge.of(found)
    assert one.share == better_forecast
    start_W = np.square(judge._start_WH).mean(axis=1)
    assert one.error == pytest.approx((squared_W if better_forecast else start_W).mean(), rel=1e-5)
    first = judge.of(replace(found, loss=1.0, error_WH=judge._start_WH, loss_W=start_W), first=True)
    assert first.share == 1 and (first.value < 0.3) == better_quantiles


def test_estimate_counts_the_weights_of_the_head(run):
    head = run.forecaster.network.quantile_head
    counted = quantile_weights(run.config, backbone_shape(run.config.model.backbone))
    assert counted == sum(weight.numel() for weight in head.parameters()) > 0
    assert quantile_weights(run.config.updated(quantiles=()), backbone_shape(run.config.model.backbone)) == 0


def test_old_state_without_quantiles_goes_on():
    from timellm.training.state import TrainingPosition

    position = TrainingPosition(step=4, best=0.5, best_step=2, start=[1.0])
    assert position.share == 1 and position.best_error == float("inf")
