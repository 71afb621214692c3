"""Parts of a frozen backbone for the CPU, in fewer passes over memory: RMS norm, gated MLP, rotary attention.

Model libraries write them in elementary operations. Between matrix products in bfloat16 those passes, and the copies
that are kept for the gradient, cost as much as the arithmetic. The weights stay where they are and are not trained;
what is computed is the same up to rounding, and a module that computes something else is left alone.

Shapes: R rows (batch x tokens), D width, I inner width; B batch, L tokens, h heads, g key/value heads, K head size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import Cache
from transformers.models.llama.modeling_llama import LlamaAttention
from transformers.models.qwen2.modeling_qwen2 import Qwen2Attention

from timellm.forecasters.time_llm.fast.attention import stop_if_enough
from timellm.forecasters.time_llm.fast.rotary import RotaryAttention


def make_lean(model: nn.Module) -> None:
    """Replace what such parts of `model` run; the model must have its final type and device, and our attention."""
    forwards: dict[type[nn.Module], object] = {}
    for module in list(model.modules()):
        kind = type(module)
        if kind not in forwards:  # once for each class: its modules differ in weights alone
            forwards[kind] = _forward_for(module)
        if forwards[kind] is _gated_forward:
            if not _has_gate(module):
                continue
            _join(module.gate_proj, module.up_proj)
        if forwards[kind] is _rotary_forward:
            parts = (module.q_proj, module.k_proj, module.v_proj)
            module.is_joined = _are_linear(parts)  # quantised ones are not
            if module.is_joined:
                _join(*parts)
        if forwards[kind] is not None:
            module.__class__ = _subclass(kind, forwards[kind])


def _forward_for(module: nn.Module) -> object | None:
    """What modules of this class can run instead; None if they are no such part, or compute something else."""
    if type(module).__name__.endswith("RMSNorm") and hasattr(module, "variance_epsilon") and _is_plain(module):
        return _norm_forward
    if _has_gate(module) and _is_gated(module):
        return _gated_forward
    return _rotary_forward if type(module) in (LlamaAttention, Qwen2Attention) else None


class _RMSNorm(torch.autograd.Function):
    """x / sqrt(mean(x^2) + epsilon) * weight, with the gradient to x alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_D: Tensor, epsilon: float) -> Tensor:
        # Added up in float32 and rounded once; to ask for a float32 sum would copy all of x to float32 first.
        length_R1 = torch.linalg.vector_norm(x, dim=-1, keepdim=True).float()
        scale_R1 = length_R1.square_().div_(x.shape[-1]).add_(epsilon).rsqrt_().to(x.dtype)
        ctx.save_for_backward(x, weight_D, scale_R1)
        return (x * scale_R1).mul_(weight_D)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        x, weight_D, scale_R1 = ctx.saved_tensors
        weighted = gradient * weight_D
        along_R1 = (weighted * x).sum(dim=-1, keepdim=True).float() / x.shape[-1]
        shrink_R1 = (along_R1 * scale_R1.float() ** 3).to(x.dtype)
        return weighted.mul_(scale_R1).addcmul_(x, shrink_R1, value=-1), None, None


class _GatedMLP(torch.autograd.Function):
    """(silu(x @ gate.T) * (x @ up.T)) @ down.T, with the gradient to x alone; gate above up in one weight [2I, D]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gate_up: Tensor, down_DI: Tensor) -> Tensor:
        both = F.linear(x, gate_up)
        gate, up = both.chunk(2, dim=-1)
        activated = F.silu(gate)
        if not ctx.needs_input_grad[0]:
            return F.linear(activated.mul_(up), down_DI)
        ctx.save_for_backward(both, activated, gate_up, down_DI)
        return F.linear(activated * up, down_DI)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        both, activated, gate_up, down_DI = ctx.saved_tensors
        gate, up = both.chunk(2, dim=-1)
        inner = gradient @ down_DI
        to_both = torch.empty_like(both)
        to_gate, to_up = to_both.chunk(2, dim=-1)
        torch.mul(inner, activated, out=to_up)
        torch.ops.aten.silu_backward.grad_input(inner.mul_(up), gate, grad_input=to_gate)
        return to_both @ gate_up, None, None


def _subclass(kind: type[nn.Module], forward: object) -> type[nn.Module]:
    return type(f"Lean{kind.__name__}", (kind,), {"forward": forward})


def _norm_forward(self: nn.Module, hidden_states: Tensor) -> Tensor:
    return _RMSNorm.apply(hidden_states, self.weight, self.variance_epsilon)


def _gated_forward(self: nn.Module, x: Tensor) -> Tensor:
    gate = self.gate_proj.weight
    gate_up = gate.as_strided((2 * gate.shape[0], gate.shape[1]), gate.stride())  # see `_join`
    return _GatedMLP.apply(x, gate_up, self.down_proj.weight)


def _rotary_forward(
    self: nn.Module,
    hidden_states: Tensor,
    position_embeddings: tuple[Tensor, Tensor],
    attention_mask: Tensor | None,
    past_key_values: Cache | None = None,
    **_: object,
) -> tuple[Tensor, None]:
    """The library's attention; names and results are its own."""

    def extend(key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        if past_key_values is not None:
            key, value = past_key_values.update(key, value, self.layer_idx)
        stop_if_enough(self)
        return key, value

    mixed = RotaryAttention.apply(
        _queries_keys_values(self, hidden_states),
        *position_embeddings,
        attention_mask,
        self.scaling,
        self.config.num_key_value_heads,
        extend,
    )
    return self.o_proj(mixed), None


def _queries_keys_values(attention: nn.Module, x: Tensor) -> Tensor:
    """[B, L, D] -> [B, L, (h + 2g) * K]."""
    parts = (attention.q_proj, attention.k_proj, attention.v_proj)
    if not attention.is_joined:
        return torch.cat([part(x) for part in parts], dim=-1)
    rows, (weight, bias) = sum(part.out_features for part in parts), (parts[0].weight, parts[0].bias)
    joined_bias = None if bias is None else bias.as_strided((rows,), (1,))
    return F.linear(x, weight.as_strided((rows, weight.shape[1]), weight.stride()), joined_bias)  # see `_join`


def _join(*parts: nn.Linear) -> None:
    """Lay weights, and biases, one behind the other, so that a single product can use them all."""
    sizes = [part.out_features for part in parts]
    for name in ("weight", "bias"):
        if getattr(parts[0], name) is not None:
            joined = torch.cat([getattr(part, name).detach() for part in parts])
            for part, rows in zip(parts, joined.split(sizes), strict=True):
                getattr(part, name).data = rows


def _are_linear(parts: Sequence[nn.Module | None]) -> TypeGuard[Sequence[nn.Linear]]:
    """Whether these are unquantised linear layers, all with a bias or all without."""
    linear = [part for part in parts if part is not None and type(part) is nn.Linear]
    return len(linear) == len(parts) and len({part.bias is None for part in linear}) == 1


@torch.no_grad()
def _is_plain(norm: nn.Module) -> bool:
    """Whether the norm is weight * x / rms(x), and not one of its relatives (Gemma's adds 1 to the weight)."""
    weight = norm.weight
    x = torch.linspace(-2, 3, 2 * len(weight), device=weight.device, dtype=weight.dtype).view(2, -1)
    ours = _RMSNorm.apply(x, weight, norm.variance_epsilon)
    return torch.allclose(norm(x).float(), ours.float(), rtol=0.02, atol=1e-4)


def _has_gate(module: nn.Module) -> bool:
    """Whether it has three plain, unquantised linear layers of the usual names."""
    parts = [getattr(module, name, None) for name in ("gate_proj", "up_proj", "down_proj")]
    return _are_linear(parts) and parts[0].bias is None


@torch.no_grad()
def _is_gated(module: nn.Module) -> bool:
    """Whether these are used around SiLU in the usual way."""
    gate, up, down = module.gate_proj.weight, module.up_proj.weight, module.down_proj.weight
    x = torch.linspace(-2, 3, 2 * gate.shape[1], device=gate.device, dtype=gate.dtype).view(2, -1)
    ours = _GatedMLP.apply(x, torch.cat([gate, up]), down)
    return torch.allclose(module(x).float(), ours.float(), rtol=0.02, atol=1e-3 * float(ours.abs().max()))
