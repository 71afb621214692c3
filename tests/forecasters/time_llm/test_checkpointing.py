"""Gradient checkpointing changes what is kept, and nothing else."""

from __future__ import annotations

import pytest
import torch

from tests.forecasters.time_llm.test_network import ARCHITECTURES, build
from timellm.errors import BackboneError
from timellm.forecasters.time_llm.fast.checkpointing import checkpoint_layers


def gradients_and_saved(network, context) -> tuple[list[torch.Tensor], int]:
    """Gradients of every trained weight, and the bytes that autograd kept for them."""
    saved = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    network.zero_grad()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = network(context).square().mean()
    loss.backward()
    return [weight.grad.clone() for weight in network.parameters()], sum(saved.values())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_checkpointing_gives_the_same_gradients_and_keeps_less(backbones, architecture):
    network = build(backbones[architecture], dropout=0.0, backbone_dtype="float32").train()
    context = torch.randn(8, 64, generator=torch.Generator().manual_seed(0)).cumsum(1)
    with torch.inference_mode():
        forecast = network.eval()(context)
    usual, kept = gradients_and_saved(network, context)
    network.checkpoint_gradients()
    again, kept_less = gradients_and_saved(network, context)
    assert kept_less < 0.7 * kept
    with torch.inference_mode():
        assert torch.equal(network.eval()(context), forecast)
    for ours, theirs in zip(again, usual, strict=True):
        assert torch.equal(ours, theirs)


def test_checkpointing_a_quantised_backbone_gives_the_same_gradients(backbones):
    network = build(backbones["llama"], dropout=0.0, quantization="4bit").train()
    context = torch.randn(4, 64, generator=torch.Generator().manual_seed(0)).cumsum(1)
    usual, _ = gradients_and_saved(network, context)
    network.checkpoint_gradients()
    again, _ = gradients_and_saved(network, context)
    for ours, theirs in zip(again, usual, strict=True):
        assert torch.equal(ours, theirs)


def test_checkpointing_refuses_a_backbone_without_such_layers(backbones):
    network = build(backbones["llama"])
    backbone = network.reader.backbone
    for layer in list(backbone.model.layers):
        layer.__class__ = type("Foreign", (torch.nn.Module,), {})
    with pytest.raises(BackboneError, match="turn 'gradient_checkpointing' off"):
        checkpoint_layers(backbone.model, name=backbone.name)
