"""Quantised backbones: the gradient that reaches the patches is that of the weights that the storage stands for.

bitsandbytes repacks 4-bit weights at the first pass without gradient on processors with AVX512-BF16, and every later
backward pass then leaves those layers out in silence. The prompt is read in just such a pass.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from timellm.config import ModelConfig
from timellm.forecasters.time_llm.backbone import Backbone, load_backbone
from timellm.forecasters.time_llm.prompted import PromptedBackbone

ARCHITECTURES = ("llama", "qwen2", "gpt2", "bert")
PROMPTS = ["the trend of input is upward", "min value -1.25", "min value -1.2, lags 1, 2"]


def load(
    name: Path | str, quantization: str, dtype: str = "float32", *, layers: int = 3, device: str = "cpu"
) -> Backbone:
    settings = {"layers": layers, "quantization": quantization, "backbone_dtype": dtype}
    return load_backbone(ModelConfig(backbone=str(name), **settings), device=device)


def draw(backbone: Backbone, seed: int) -> Tensor:
    """Patches, or weights of their hidden states, [3, 6, D]."""
    shape = (len(PROMPTS), 6, backbone.width)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(backbone.device)


def gradient(backbone: Backbone) -> Tensor:
    """Gradient [3, 6, D] at the patches behind prompts, of a fixed sum of hidden states."""
    patches = draw(backbone, 0).requires_grad_()
    reader = PromptedBackbone(backbone, examples=PROMPTS)
    (reader(backbone.token_ids(PROMPTS), patches_BPD=patches) * draw(backbone, 1)).sum().backward()
    return patches.grad


def gradient_without_prompt(backbone: Backbone) -> Tensor:
    """The same with nothing before the patches, so that no pass without gradient has to be made."""
    patches = draw(backbone, 0).requires_grad_()
    hidden = backbone.model(inputs_embeds=patches.to(backbone.dtype)).last_hidden_state.float()
    (hidden * draw(backbone, 1)).sum().backward()
    return patches.grad


def dequantise(backbone: Backbone) -> int:
    """Put plain layers with the weights that bitsandbytes dequantises in place of the quantised ones; says how many."""
    import bitsandbytes as bnb

    quantised = [(name, module) for name, module in backbone.model.named_modules() if _is_quantised(module)]
    for name, module in quantised:
        if isinstance(module, bnb.nn.Linear4bit):
            weight = bnb.functional.dequantize_4bit(module.weight.data, module.weight.quant_state)
        else:
            weight = bnb.functional.int8_vectorwise_dequant(module.state.CB, module.state.SCB)
        plain = nn.Linear(module.in_features, module.out_features, bias=module.bias is not None)
        plain.weight = nn.Parameter(weight.to(backbone.dtype), requires_grad=False)
        if module.bias is not None:
            plain.bias = nn.Parameter(module.bias.data.to(backbone.dtype), requires_grad=False)
        backbone.model.set_submodule(name, plain)
    return len(quantised)


def _is_quantised(module: nn.Module) -> bool:
    import bitsandbytes as bnb

    return isinstance(module, bnb.nn.Linear4bit | bnb.nn.Linear8bitLt)


def alike(one: Tensor, other: Tensor) -> float:
    return float(cosine_similarity(one.flatten().double(), other.flatten().double(), dim=0))


def check_gradients(backbone: Backbone) -> None:
    """Before any pass without gradient, through the prompted reader, and after a pass that has only forecast."""
    first, prompted = gradient_without_prompt(backbone), gradient(backbone)
    with torch.no_grad():
        PromptedBackbone(backbone, examples=PROMPTS)(backbone.token_ids(PROMPTS), patches_BPD=draw(backbone, 0))
    first_again, prompted_again = gradient_without_prompt(backbone), gradient(backbone)
    assert dequantise(backbone) >= backbone.layers * 4, "hardly a layer was quantised"
    for quantised, exact in (
        ((first, first_again), gradient_without_prompt(backbone)),
        ((prompted, prompted_again), gradient(backbone)),
    ):
        for found in quantised:
            assert alike(found, exact) >= 0.999
            assert float(found.norm() / exact.norm()) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("quantization", ["4bit", "8bit"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_gradient_at_the_patches_is_that_of_the_dequantised_weights(backbones, architecture, quantization, dtype):
    check_gradients(load(backbones[architecture], quantization, dtype))


@pytest.mark.parametrize("quantization", ["4bit", "8bit"])
@pytest.mark.parametrize("name", ["smollm2-135m", "all-minilm-l6-v2"])
def test_gradient_of_a_real_backbone_is_that_of_its_dequantised_weights(name, quantization):
    # In float32: six layers in bfloat16 turn the gradient by up to 2 % whatever the weights are.
    check_gradients(load(name, quantization, layers=6))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_quantised_backbone_is_another_one_than_the_dense(backbones, architecture):
    """Were the layers not quantised at all, every test above would pass."""
    dense = gradient(load(backbones[architecture], "none"))
    closeness = {name: alike(gradient(load(backbones[architecture], name)), dense) for name in ("8bit", "4bit")}
    assert 0.5 < closeness["4bit"] < closeness["8bit"] < 1
