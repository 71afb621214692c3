"""Training and forecasting on a GPU: the CPU's numbers within the rounding of the arithmetic, and the same manners."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.forecasters.time_llm.test_network import ARCHITECTURES, build, windows
from tests.forecasters.time_llm.test_precision import TOLERANCE, gradients
from tests.gpu.conftest import DEVICE
from timellm.data.source import WindowSource
from timellm.data.windows import WindowIndex
from timellm.forecasting.fitted import FittedRun
from timellm.pipeline import fit
from timellm.training.checkpoint import device_of
from timellm.training.evaluation import forecast_windows

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("exact_float32")]


def test_auto_takes_the_gpu():
    assert device_of("auto").type == DEVICE


def test_auto_arithmetic_is_bfloat16_where_the_card_has_it(tiny_backbone):
    able = torch.cuda.get_device_capability() >= (8, 0)
    chosen = build(tiny_backbone, device=DEVICE, backbone_dtype="auto").reader.backbone.dtype
    assert chosen == (torch.bfloat16 if able else torch.float16)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_gradient_is_that_of_the_cpu_in_float32(backbones, architecture, dtype):
    exact = gradients(build(backbones[architecture], dropout=0.0))
    network = build(backbones[architecture], device=DEVICE, backbone_dtype=dtype, dropout=0.0)
    for name, gradient in gradients(network).items():
        if name == "reprogramming.key.bias":  # softmax does not notice it: its true gradient is zero
            continue
        error = (gradient.cpu() - exact[name]).norm() / exact[name].norm()
        assert error < TOLERANCE.get(dtype, 1e-3), f"{name}: {error:.2%}"


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_training_lowers_the_loss(backbones, architecture, dtype):
    network = build(backbones[architecture], device=DEVICE, backbone_dtype=dtype, dropout=0.0).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    x = windows().to(DEVICE)
    losses = []
    for _ in range(5):
        loss = (network(x) / x.std(dim=1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert {weight.grad.dtype for weight in network.parameters()} == {torch.float32}


@pytest.mark.parametrize("quantization", ["none", "4bit", "8bit"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_forecast_does_not_depend_on_what_it_is_asked_with(backbones, architecture, dtype, quantization):
    network = build(backbones[architecture], device=DEVICE, backbone_dtype=dtype, quantization=quantization)
    rows = windows(9).numpy()
    source = WindowSource(np.concatenate([rows, rows[:, :8]], axis=1).T, context=64, horizon=8, device=DEVICE)

    def forecast(*channels: int) -> np.ndarray:
        index = WindowIndex(np.array(channels), np.full(len(channels), 64), 0)
        return forecast_windows(network, source, index) / rows[list(channels)].std(axis=1, keepdims=True)

    together = forecast(*range(9))
    np.testing.assert_allclose(together, np.concatenate([forecast(i) for i in range(9)]), rtol=0, atol=1e-3)
    np.testing.assert_allclose(together[[7, 0]], forecast(7, 0), rtol=0, atol=1e-3)


@pytest.mark.parametrize("quantization", ["none", "4bit", "8bit"])
def test_run_trained_on_the_gpu_forecasts_on_the_cpu(small_config, tmp_path, quantization):
    config = small_config.updated(device=DEVICE, backbone_dtype="float32", quantization=quantization)
    result = fit(config, run_dir=tmp_path / "run")
    assert result.summary["steps"] == config.trained.steps
    here, there = (FittedRun.load(tmp_path / "run", device=device).forecast() for device in (DEVICE, "cpu"))
    assert here[["unique_id", "ds"]].equals(there[["unique_id", "ds"]])
    spread = here.groupby("unique_id")["yhat"].transform("std")
    # 4 bit alone has a fused product of its own on each device.
    assert ((here["yhat"] - there["yhat"]).abs() / spread).max() < (0.05 if quantization == "4bit" else 0.01)


def test_same_seed_gives_the_same_run(small_config, tmp_path):
    config = small_config.updated(device=DEVICE, backbone_dtype="float32")
    losses = [fit(config, run_dir=tmp_path / name).summary["best_validation_loss"] for name in ("one", "two")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def large(config):
    """A run in which the activations of the patches outweigh all else: 64 windows of 226 patches, through 3 layers."""
    sizes = {"batch_size": 64, "context": 240, "stride": 1, "layers": 3}
    return config.updated(device=DEVICE, backbone_dtype="float32", steps=2, validations=1, dropout=0.0, **sizes)


def test_gradient_checkpointing_takes_less_memory_for_the_same_result(small_config, tmp_path):
    plain, lean = (
        fit(large(small_config).updated(gradient_checkpointing=lean), run_dir=tmp_path / str(lean)).summary
        for lean in (False, True)
    )
    assert lean["best_validation_loss"] == pytest.approx(plain["best_validation_loss"], rel=1e-3)
    assert lean["memory_mib"] < plain["memory_mib"]


def test_accumulation_takes_less_memory_for_the_same_result(small_config, tmp_path):
    whole, divided = (
        fit(large(small_config).updated(accumulation=parts), run_dir=tmp_path / str(parts)).summary for parts in (1, 8)
    )
    assert divided["best_validation_loss"] == pytest.approx(whole["best_validation_loss"], rel=1e-3)
    assert divided["memory_mib"] < whole["memory_mib"]


def test_peak_memory_is_of_the_gpu_and_of_this_run_alone(small_config, tmp_path):
    """A small run after a large one in the same process does not report the large one's peak."""
    heavy = fit(large(small_config), run_dir=tmp_path / "large").summary["memory_mib"]
    light = fit(small_config.updated(device=DEVICE), run_dir=tmp_path / "small").summary["memory_mib"]
    assert 0 < light < heavy
