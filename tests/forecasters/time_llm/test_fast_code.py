"""The setting `fast_code`: both ways forecast and learn alike; off, nothing of a library is replaced."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import timellm
from timellm.config import ModelConfig
from timellm.forecasters.time_llm.backbone import load_backbone
from timellm.forecasters.time_llm.network import TimeLLM
from timellm.forecasting.artifacts import RunFolder

PROJECT = Path(__file__).resolve().parents[3]
ARCHITECTURES = ["llama", "qwen2", "gpt2", "bert"]
SIZES = {
    "layers": 2, "context": 64, "horizon": 12, "d_model": 8, "d_ff": 8, "heads": 2, "prototypes": 20,
    "dropout": 0.0, "backbone_dtype": "float32", "linear_path": "none",
}  # fmt: skip


def network(backbone: object, *, fast: bool, **changes) -> TimeLLM:
    config = ModelConfig(backbone=str(backbone), fast_code=fast, **(SIZES | changes))
    loaded = load_backbone(config, device="cpu")
    torch.manual_seed(0)
    return TimeLLM(config, backbone=loaded, description="load of a town")


def outcome(model: TimeLLM) -> tuple[torch.Tensor, float, dict[str, torch.Tensor]]:
    """Forecast [B, H] without gradient; loss and gradients of a step."""
    contexts_BT = torch.randn(5, 64, generator=torch.Generator().manual_seed(1)).cumsum(dim=1)
    targets_BH = torch.randn(5, 12, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        forecast_BH = model.eval()(contexts_BT)
    loss = F.mse_loss(model.train()(contexts_BT), targets_BH)
    loss.backward()
    gradients = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
    return forecast_BH, float(loss.detach()), gradients


def relative(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_both_ways_agree(backbones, architecture):
    fast, plain = (outcome(network(backbones[architecture], fast=value)) for value in (True, False))
    assert relative(fast[0], plain[0]) < 1e-5
    assert fast[1] == pytest.approx(plain[1], rel=1e-5)
    assert fast[2].keys() == plain[2].keys()
    for name, gradient in plain[2].items():
        if name == "reprogramming.key.bias":  # centred keys do not depend on it: its gradient is rounding
            continue
        assert relative(fast[2][name], gradient) < 1e-3, name


def test_nothing_is_replaced_when_it_is_off(backbones):
    fast, plain = (network(backbones["llama"], fast=value).reader.backbone.model for value in (True, False))
    assert any(type(module).__name__.startswith("Lean") for module in fast.modules())
    assert {type(module).__module__.split(".")[0] for module in plain.modules()} == {"torch", "transformers"}
    assert plain.config._attn_implementation == "sdpa"


def test_dropout_of_attention_has_the_same_expectation(backbones):
    averages = []
    for fast in (True, False):
        model = network(backbones["llama"], fast=fast, attention_dropout=0.3, attention_scores="dot").train()
        patches_BPM = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(3))
        rows = [model.reprogramming(patches_BPM, prototypes_VD=model.prototypes()) for _ in range(2000)]
        averages.append(torch.stack(rows).mean(dim=0))
        assert not torch.equal(rows[0], rows[1])
    assert relative(averages[0], averages[1]) < 0.05


def test_whole_runs_agree(hourly_csv, backbones, tmp_path):
    forecasts = []
    for fast in (True, False):
        config = timellm.RunConfig.create(
            hourly_csv, backbone=str(backbones["llama"]), fast_code=fast, **(SIZES | {"linear_path": "fixed"}),
            steps=4, validations=2, batch_size=4, device="cpu",
        )  # fmt: skip
        timellm.fit(config, run_dir=tmp_path / str(fast))
        forecasts.append(RunFolder(tmp_path / str(fast)).future()["yhat"].to_numpy())
    np.testing.assert_allclose(*forecasts, rtol=1e-3)


_DENORMALS = """
import sys
import torch
from timellm.config import ModelConfig
from timellm.forecasters.time_llm.backbone import load_backbone

load_backbone(ModelConfig(backbone=sys.argv[1], layers=2, fast_code=False), device="cpu")
print(int((torch.full((1000,), 1e-39) * 1).count_nonzero()))
"""


def test_denormals_stay_as_they_are_when_it_is_off(tiny_backbone):
    command = [sys.executable, "-c", _DENORMALS, str(tiny_backbone)]
    assert int(subprocess.run(command, capture_output=True, text=True, check=True, cwd=PROJECT).stdout) == 1000
