"""What every network that is trained step by step must do: contexts [B, T] in, forecasts [B, H] out."""

from __future__ import annotations

import pytest
import torch

from tests.forecasters.networks import CONTEXT, HORIZON, SMALL_NETWORKS, seeded
from timellm.training.checkpoint import load_adapter, save_adapter

KINDS = pytest.mark.parametrize("kind", SMALL_NETWORKS)


def contexts(windows: int, *, seed: int = 0) -> torch.Tensor:
    return torch.randn(windows, CONTEXT, generator=torch.Generator().manual_seed(seed)).cumsum(dim=1)


@KINDS
def test_network_maps_contexts_to_forecasts(kind):
    forecast = seeded(kind)(contexts(5))
    assert forecast.shape == (5, HORIZON)
    assert forecast.isfinite().all()


@KINDS
def test_forecast_does_not_depend_on_the_batch(kind):
    network = seeded(kind).double().eval()
    windows = contexts(7).double()
    with torch.inference_mode():
        together = network(windows)
        alone = torch.cat([network(window[None]) for window in windows])
        reversed_order = network(windows.flip(0)).flip(0)
    torch.testing.assert_close(alone, together, rtol=0, atol=1e-12)
    torch.testing.assert_close(reversed_order, together, rtol=0, atol=1e-12)


@KINDS
def test_gradient_of_a_batch_is_the_sum_of_its_parts(kind):
    network = seeded(kind).double().train()
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    windows = contexts(6).double()
    network(windows).square().sum().backward()
    whole = {name: weight.grad.clone() for name, weight in network.named_parameters()}
    network.zero_grad()
    for part in windows.split(2):
        network(part).square().sum().backward()
    for name, weight in network.named_parameters():
        torch.testing.assert_close(weight.grad, whole[name], rtol=1e-9, atol=1e-9)


@KINDS
def test_every_weight_trains_and_is_saved(kind, tmp_path):
    network = seeded(kind).train()
    network(contexts(6)).square().mean().backward()
    parameters = dict(network.named_parameters())
    assert network.state_dict().keys() == parameters.keys(), "nothing is saved that does not train"
    flat = [name for name, weight in parameters.items() if not weight.grad.any()]
    assert not [name for name in flat if not name.endswith(("k_proj.bias", "key.bias"))]

    save_adapter(tmp_path, network)
    other = seeded(kind, seed=1)
    load_adapter(tmp_path, other)
    windows = contexts(4, seed=2)
    with torch.inference_mode():
        assert torch.equal(other.eval()(windows), network.eval()(windows))


@KINDS
def test_same_seed_makes_the_same_network(kind):
    one, other = seeded(kind).state_dict(), seeded(kind).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


@KINDS
def test_constant_window_has_a_forecast(kind):
    with torch.inference_mode():
        assert seeded(kind).eval()(torch.full((1, CONTEXT), 3.0)).isfinite().all()
