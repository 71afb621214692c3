"""What a GPU runs, run on the CPU: the library's own modules, fused kernel and masks, instead of our lean ones."""

from __future__ import annotations

import pytest
import torch

from tests.forecasters.time_llm.test_network import ARCHITECTURES, build, windows
from timellm.forecasters.time_llm.fast import attention, lean


def forecast_and_gradient(folder) -> tuple[torch.Tensor, torch.Tensor, str]:
    """For prompts of several lengths behind a prefix that is kept, so that padded positions have to be masked."""
    x = windows()
    network = build(folder, dropout=0.0).train()
    forecast = network(x) / x.std(dim=1, keepdim=True)
    forecast.square().mean().backward()
    gradient = torch.cat([weight.grad.flatten() for weight in network.parameters()])
    return forecast.detach(), gradient, network.reader.backbone.model.config._attn_implementation


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_modules_and_attention_of_a_gpu_give_the_forecast_and_gradient_of_ours(backbones, architecture, monkeypatch):
    ours, our_gradient, our_kernel = forecast_and_gradient(backbones[architecture])
    monkeypatch.setattr(attention, "NAME", "sdpa")
    monkeypatch.setattr(lean, "make_lean", lambda model: None)
    fused, fused_gradient, kernel = forecast_and_gradient(backbones[architecture])
    assert (our_kernel, kernel) == ("timellm_folded", "sdpa")
    torch.testing.assert_close(fused, ours, rtol=1e-4, atol=1e-4)
    assert (fused_gradient - our_gradient).norm() / our_gradient.norm() < 1e-4
