"""Lean parts of a backbone compute what the library's parts compute, and leave alone what they do not know."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from transformers import LlamaConfig, LlamaModel, Qwen2Config, Qwen2Model

from timellm.forecasters.time_llm.fast.attention import NAME
from timellm.forecasters.time_llm.fast.lean import make_lean

SIZES = {
    "hidden_size": 32, "intermediate_size": 80, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 50,
}  # fmt: skip


@pytest.fixture(params=[(LlamaConfig, LlamaModel), (Qwen2Config, Qwen2Model)], ids=["llama", "qwen2"])
def model(request) -> nn.Module:
    torch.manual_seed(0)
    config, kind = request.param
    made = kind(config(**SIZES, attn_implementation=NAME)).eval().requires_grad_(False)
    for name, weight in made.named_parameters():
        if "norm" in name:
            weight.uniform_(0.5, 1.5)
    return made


def hidden_and_gradient(model: nn.Module, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    embedded = torch.randn(3, 7, 32, generator=torch.Generator().manual_seed(1)).to(dtype).requires_grad_()
    hidden = model(inputs_embeds=embedded).last_hidden_state
    hidden.backward(torch.randn(3, 7, 32, generator=torch.Generator().manual_seed(2)).to(dtype))
    return hidden.detach().float(), embedded.grad.float()


def relative(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm())


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.bfloat16, 0.03)])
def test_lean_model_equals_the_library_in_output_and_gradient(model, dtype, tolerance):
    lean = copy.deepcopy(model).to(dtype)
    make_lean(lean)
    kinds = {type(module).__name__ for module in lean.modules()}
    assert sum(kind.startswith("Lean") for kind in kinds) == 3  # norm, MLP, attention
    truth = hidden_and_gradient(model, torch.float32)
    for ours, theirs in zip(hidden_and_gradient(lean, dtype), truth, strict=True):
        assert relative(ours, theirs) < tolerance


def test_lean_model_rounds_little_more_than_the_library_in_bfloat16(model):
    truth = hidden_and_gradient(model, torch.float32)
    library = hidden_and_gradient(copy.deepcopy(model).bfloat16(), torch.bfloat16)
    lean = copy.deepcopy(model).bfloat16()
    make_lean(lean)
    for ours, theirs, true in zip(hidden_and_gradient(lean, torch.bfloat16), library, truth, strict=True):
        assert relative(ours, true) < 1.5 * relative(theirs, true)


def test_lean_model_has_the_same_weights_and_names(model):
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    make_lean(model)
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], weight) for name, weight in before.items())


class GemmaRMSNorm(nn.Module):
    """A relative whose weight counts from 1."""

    def __init__(self):
        super().__init__()
        self.weight, self.variance_epsilon = nn.Parameter(torch.full((8,), 0.1)), 1e-6

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon) * (1 + self.weight)


class TanhGated(nn.Module):
    """Three linear layers of the usual names, with another activation between them."""

    def __init__(self):
        super().__init__()
        self.gate_proj, self.up_proj = nn.Linear(8, 16, bias=False), nn.Linear(8, 16, bias=False)
        self.down_proj = nn.Linear(16, 8, bias=False)

    def forward(self, x):
        return self.down_proj(torch.tanh(self.gate_proj(x)) * self.up_proj(x))


@pytest.mark.parametrize("module", [GemmaRMSNorm(), TanhGated()], ids=["norm", "mlp"])
def test_lean_leaves_other_formulas_alone(module):
    make_lean(module)
    assert type(module).__name__ in ("GemmaRMSNorm", "TanhGated")
