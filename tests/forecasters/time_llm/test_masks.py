"""Forecasts without some prototypes or patches; and the normal forecast, which stays what it is to the bit."""

from __future__ import annotations

import math

import pytest
import torch

from tests.forecasters.time_llm.test_network import ARCHITECTURES, build, windows
from timellm.forecasters.time_llm.masks import Masks
from timellm.forecasters.time_llm.reprogramming import Reprogramming

WINDOWS, PATCHES, PROTOTYPES = 4, 5, 11


def state_of(network) -> dict:
    """Everything that modules hold: tensors by value, other attributes by identity."""
    return {
        (name, key): value.clone() if isinstance(value, torch.Tensor) else value
        for name, module in network.named_modules()
        for key, value in {**module.__dict__, **module._parameters, **module._buffers}.items()
        if isinstance(value, torch.Tensor | int | float | str)
    }


@pytest.mark.parametrize("quantization", ["none", "4bit", "8bit"])
@pytest.mark.parametrize("fast_code", [True, False])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_masked_forecasts_change_no_normal_forecast(backbones, architecture, fast_code, quantization):
    folder = backbones[architecture]
    network = build(folder, backbone_dtype="bfloat16", quantization=quantization, fast_code=fast_code).eval()
    x = windows(6)
    with torch.no_grad():
        before, state = network(x), state_of(network)
        opened = network.opened(x)
        assert torch.equal(opened.forecast(), before)
        masked = opened.forecast(Masks(prototypes=torch.arange(16)[None] < 12))
        fewer = opened.forecast(Masks(patches=torch.arange(8).expand(6, -1) < 5))
        weights = network.reprogramming.attention(opened.patches_BPM, prototypes_VD=network.prototypes())
        assert torch.equal(opened.forecast(), before)
        assert torch.equal(network(x), before)
    for changed in (masked, fewer):
        assert torch.isfinite(changed).all()
        assert not torch.equal(changed, before)
    assert weights.shape == (6, 2, 8, 16)
    after = state_of(network)
    assert after.keys() == state.keys()
    assert all(
        torch.equal(one, after[key]) if torch.is_tensor(one) else one == after[key] for key, one in state.items()
    )


@pytest.mark.parametrize("body", ["transformer_block", "none", "random_weights"])
def test_opened_windows_of_what_stands_for_the_language_model_forecast_the_same(tiny_backbone, body):
    network = build(tiny_backbone, body=body).eval()
    with torch.no_grad():
        assert torch.equal(network.opened(windows()).forecast(), network(windows()))


def test_opened_windows_add_to_the_linear_path_as_forecasts_do(tiny_backbone):
    network = build(tiny_backbone, linear_path="trained").eval()
    torch.nn.init.normal_(network.linear_path.weight_FH)
    base = torch.arange(56.0).reshape(7, 8)
    with torch.no_grad():
        assert torch.equal(network.opened(windows(), base_BH=base).forecast(), network(windows(), base_BH=base))


def test_windows_are_masked_each_by_its_own_mask(tiny_backbone):
    network = build(tiny_backbone).eval()
    x = windows(3)
    mask = torch.rand(3, 16, generator=torch.Generator().manual_seed(0)) < 0.5
    with torch.no_grad():
        together = network.opened(x).forecast(Masks(prototypes=mask))
        alone = [network.opened(x[i : i + 1]).forecast(Masks(prototypes=mask[i : i + 1])) for i in range(3)]
    scale = x.std(dim=1, keepdim=True)
    torch.testing.assert_close(together / scale, torch.cat(alone) / scale, rtol=1e-4, atol=1e-4)


@pytest.fixture(params=["cosine", "dot"])
def reprogramming(request) -> Reprogramming:
    torch.manual_seed(0)
    return Reprogramming(d_model=8, heads=2, keys=4, width=12, dropout=0.0, cosine=request.param == "cosine").eval()


def drawn() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = ((WINDOWS, PATCHES, 8), (PROTOTYPES, 12))
    patches, prototypes = (torch.randn(shape, generator=generator) for shape in shapes)
    return patches, prototypes


def shown(module: Reprogramming, weights_BhPV: torch.Tensor, prototypes: torch.Tensor) -> torch.Tensor:
    """What comes of weights, written out."""
    value_hVK = module.value(prototypes).unflatten(-1, (2, -1)).transpose(0, 1)
    return module.out((weights_BhPV @ value_hVK).transpose(1, 2).flatten(2))


def test_removed_prototypes_leave_their_weight_to_the_others(reprogramming):
    patches, prototypes = drawn()
    mask = torch.rand(WINDOWS, PROTOTYPES, generator=torch.Generator().manual_seed(2)) < 0.6
    whole = reprogramming.attention(patches, prototypes_VD=prototypes)
    kept = whole * ~mask[:, None, None]
    expected = kept / kept.sum(dim=-1, keepdim=True)
    masks = Masks(prototypes=mask)
    weights = reprogramming.attention(patches, prototypes_VD=prototypes, masks=masks)
    torch.testing.assert_close(weights, expected)
    found = reprogramming(patches, prototypes_VD=prototypes, masks=masks)
    torch.testing.assert_close(found, shown(reprogramming, expected, prototypes))


def test_even_attention_gives_every_prototype_the_same_weight(reprogramming):
    patches, prototypes = drawn()
    masks = Masks(even=True)
    weights = reprogramming.attention(patches, prototypes_VD=prototypes, masks=masks)
    torch.testing.assert_close(weights, torch.full_like(weights, 1 / PROTOTYPES))
    found = reprogramming(patches, prototypes_VD=prototypes, masks=masks)
    torch.testing.assert_close(found, shown(reprogramming, weights, prototypes))


def test_masked_patches_become_the_mean_patch_of_their_window_and_leave_the_others_alone(reprogramming):
    patches, prototypes = drawn()
    mask = torch.zeros(WINDOWS, PATCHES, dtype=torch.bool)
    mask[1, 2] = mask[3] = True
    whole = reprogramming(patches, prototypes_VD=prototypes)
    found = reprogramming(patches, prototypes_VD=prototypes, masks=Masks(patches=mask))
    mean = reprogramming(patches.mean(dim=1, keepdim=True), prototypes_VD=prototypes)
    torch.testing.assert_close(found[~mask], whole[~mask])
    torch.testing.assert_close(found[1, 2], mean[1, 0])
    torch.testing.assert_close(found[3], mean[3].expand(PATCHES, -1))


def test_mean_of_patch_embeddings_is_the_embedding_of_the_mean_patch(tiny_backbone):
    embedding = build(tiny_backbone).patch_embedding.eval()
    x = windows(3)
    cut = torch.nn.functional.pad(x[:, None], (0, embedding.stride), mode="replicate")[:, 0].unfold(1, 16, 8)
    mean_BS1 = cut.mean(dim=1)[..., None].expand(-1, -1, cut.shape[1])
    expected = embedding.convolution(mean_BS1)[..., 0]
    scale = x.abs().amax(dim=1, keepdim=True)
    torch.testing.assert_close(embedding(x).mean(dim=1) / scale, expected / scale, rtol=1e-4, atol=1e-5)


def test_masks_pass_a_gradient_on(reprogramming):
    patches, prototypes = drawn()
    patches.requires_grad_()
    mask = torch.arange(PROTOTYPES)[None] < 3
    reprogramming(patches, prototypes_VD=prototypes, masks=Masks(prototypes=mask)).sum().backward()
    assert math.isfinite(patches.grad.abs().sum())
    assert patches.grad.abs().sum() > 0
