"""Every arithmetic of the backbone on every architecture: it runs, it trains, and its gradient is the true one."""

from __future__ import annotations

import pytest
import torch

from tests.forecasters.time_llm.test_network import ARCHITECTURES, build, windows
from timellm.config import ModelConfig
from timellm.forecasters.time_llm.backbone import backbone_dtype
from timellm.forecasters.time_llm.precision import in_arithmetic

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
TOLERANCE = {"bfloat16": 0.1, "float16": 0.02}
"""Largest relative error of the gradient; the tiny backbones' weights are ten times the usual size."""


def gradients(network: torch.nn.Module, loss_scale: float = 1.0) -> dict[str, torch.Tensor]:
    """Gradient of each trained weight for a loss on windows of scales from 1/1000 to 1000."""
    x = windows().to(network.reader.backbone.device)
    network.zero_grad()
    ((network(x) / x.std(dim=1, keepdim=True)).square().mean() * loss_scale).backward()
    return {name: weight.grad.clone() for name, weight in network.named_parameters()}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_trained_parts_stay_float32_around_a_backbone_of_any_arithmetic(backbones, architecture, dtype):
    network = build(backbones[architecture], backbone_dtype=dtype, dropout=0.0).train()
    assert network.reader.backbone.dtype == DTYPES[dtype]
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    losses = []
    for _ in range(3):
        x = windows()
        loss = (network(x) / x.std(dim=1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        assert all(torch.isfinite(weight.grad).all() for weight in network.parameters())
        assert {weight.grad.dtype for weight in network.parameters()} == {torch.float32}
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert {tensor.dtype for tensor in network.state_dict().values()} == {torch.float32}


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_gradient_is_that_of_float32_but_for_rounding(backbones, architecture, dtype):
    reference = build(backbones[architecture], dropout=0.0)
    rounded = build(backbones[architecture], backbone_dtype=dtype, dropout=0.0)
    rounded.load_state_dict(reference.state_dict())  # rounded word embeddings can have others nearest to a centre
    exact, ours = gradients(reference), gradients(rounded)
    for name, gradient in ours.items():
        if name == "reprogramming.key.bias":  # softmax does not notice it: its true gradient is zero
            continue
        error = (gradient - exact[name]).norm() / exact[name].norm()
        # One number a head is the sum over all patches of terms that cancel, so rounding shows more.
        allowed = TOLERANCE[dtype] * (2 if name == "reprogramming.log_sharpness" else 1)
        assert error < allowed, f"{name}: {error:.2%}"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_float16_loses_nothing_of_a_gradient_however_small(backbones, architecture):
    """Times 2^-20 the gradients that enter the backbone are below what float16 can hold."""
    network = build(backbones[architecture], backbone_dtype="float16", dropout=0.0)
    usual, small = gradients(network), gradients(network, loss_scale=2.0**-20)
    for name, gradient in usual.items():
        torch.testing.assert_close(small[name] * 2.0**20, gradient, rtol=1e-6, atol=1e-7 * float(gradient.abs().max()))


def test_each_window_has_its_own_scale():
    patches = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
    weight = torch.tensor([1.0, 1e-12, 0.0])[:, None, None]
    (in_arithmetic(lambda x: x * 2, patches, dtype=torch.float16) * weight).sum().backward()
    torch.testing.assert_close(patches.grad, (2 * weight).expand_as(patches), rtol=1e-3, atol=0)


def test_a_gradient_that_is_not_a_number_stays_one():
    """It must reach the check on the loss, not be hidden by a scale."""
    patches = torch.ones(1, 2, 2, requires_grad=True)
    (in_arithmetic(lambda x: x, patches, dtype=torch.float16) * torch.nan).sum().backward()
    assert patches.grad.isnan().all()


@pytest.mark.parametrize(
    ("able", "fast"),
    [
        (["avx512_f"], False),
        (["avx512_bf16"], True),
        (["avx512_bf16", "avx512_fp16", "amx_bf16"], True),
        (["avx512_bf16", "avx512_fp16"], False),  # its matrix unit is hidden by a virtual machine
        (["bf16"], True),  # ARM
    ],
)
def test_auto_is_bfloat16_only_where_the_processor_multiplies_it_fast(monkeypatch, able, fast):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": False} | dict.fromkeys(able, True))
    chosen = backbone_dtype(ModelConfig(), torch.device("cpu"))
    assert chosen == (torch.bfloat16 if fast else torch.float32)


def test_auto_of_quantised_layers_is_bfloat16_where_the_processor_has_it(monkeypatch):
    """They are there to save memory, and what is around them would take twice as much in float32."""
    slow = {"avx512_bf16": True, "avx512_fp16": True, "amx_bf16": False}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: slow)
    assert backbone_dtype(ModelConfig(quantization="4bit"), torch.device("cpu")) == torch.bfloat16
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    assert backbone_dtype(ModelConfig(quantization="4bit"), torch.device("cpu")) == torch.float32


@pytest.mark.parametrize("able", [True, False])
def test_auto_on_a_gpu_is_bfloat16_where_it_has_it_and_float16_elsewhere(monkeypatch, able):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: able)
    chosen = backbone_dtype(ModelConfig(), torch.device("cuda"))
    assert chosen == (torch.bfloat16 if able else torch.float16)
