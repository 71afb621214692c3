"""Parts of a frozen backbone for the CPU, in fewer passes over memory: RMS norm and gated MLP.

Model libraries write them in elementary operations. Between matrix products in bfloat16 those passes, and the copies
that are kept for the gradient, cost as much as the arithmetic. The weights stay where they are and are not trained;
what is computed is the same up to rounding, and a module that computes something else is left alone.

Shapes: R rows (batch x tokens), D width, I inner width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def make_lean(model: nn.Module) -> None:
    """Replace what every RMS norm and gated MLP of `model` runs; the model must have its final type and device."""
    for module in list(model.modules()):
        if type(module).__name__.endswith("RMSNorm") and hasattr(module, "variance_epsilon") and _is_plain(module):
            module.__class__ = _subclass(type(module), _norm_forward)
        elif _is_gated(module):
            _join(module.gate_proj, module.up_proj)
            module.__class__ = _subclass(type(module), _gated_forward)


class _RMSNorm(torch.autograd.Function):
    """x / sqrt(mean(x^2) + epsilon) * weight, with the gradient to x alone."""

    @staticmethod
    def forward(ctx, x: Tensor, weight_D: Tensor, epsilon: float) -> Tensor:
        # The sum of squares is added up in float32 without a float32 copy of x.
        length_R1 = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
        scale_R1 = length_R1.square_().div_(x.shape[-1]).add_(epsilon).rsqrt_().to(x.dtype)
        ctx.save_for_backward(x, weight_D, scale_R1)
        return (x * scale_R1).mul_(weight_D)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        x, weight_D, scale_R1 = ctx.saved_tensors
        weighted = gradient * weight_D
        along_R1 = (weighted * x).sum(dim=-1, keepdim=True, dtype=torch.float32) / x.shape[-1]
        shrink_R1 = (along_R1 * scale_R1.float() ** 3).to(x.dtype)
        return weighted.mul_(scale_R1).addcmul_(x, shrink_R1, value=-1), None, None


class _GatedMLP(torch.autograd.Function):
    """(silu(x @ gate.T) * (x @ up.T)) @ down.T, with the gradient to x alone; gate above up in one weight [2I, D]."""

    @staticmethod
    def forward(ctx, x: Tensor, gate_up: Tensor, down_DI: Tensor) -> Tensor:
        both = F.linear(x, gate_up)
        ctx.save_for_backward(both, gate_up, down_DI)
        gate, up = both.chunk(2, dim=-1)
        return F.linear(F.silu(gate).mul_(up), down_DI)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        both, gate_up, down_DI = ctx.saved_tensors
        gate, up = both.chunk(2, dim=-1)
        inner = gradient @ down_DI
        to_both = torch.empty_like(both)
        to_gate, to_up = to_both.chunk(2, dim=-1)
        torch.mul(inner, F.silu(gate), out=to_up)
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


def _join(gate: nn.Linear, up: nn.Linear) -> None:
    """Lay two weights of one shape one behind the other, so that a single product can use both."""
    joined = torch.cat([gate.weight.detach(), up.weight.detach()])
    gate.weight.data, up.weight.data = joined.chunk(2)


@torch.no_grad()
def _is_plain(norm: nn.Module) -> bool:
    """Whether the norm is weight * x / rms(x), and not one of its relatives (Gemma's adds 1 to the weight)."""
    weight = norm.weight
    x = torch.linspace(-2, 3, 2 * len(weight), device=weight.device, dtype=weight.dtype).view(2, -1)
    ours = _RMSNorm.apply(x, weight, norm.variance_epsilon)
    return torch.allclose(norm(x).float(), ours.float(), rtol=0.02, atol=1e-4)


@torch.no_grad()
def _is_gated(module: nn.Module) -> bool:
    """Whether it is three plain, unquantised linear layers around SiLU, used the usual way."""
    parts = [getattr(module, name, None) for name in ("gate_proj", "up_proj", "down_proj")]
    if not all(type(part) is nn.Linear and part.bias is None for part in parts):
        return False
    gate, up, down = (part.weight for part in parts)
    x = torch.linspace(-2, 3, 2 * gate.shape[1], device=gate.device, dtype=gate.dtype).view(2, -1)
    ours = _GatedMLP.apply(x, torch.cat([gate, up]), down)
    return torch.allclose(module(x).float(), ours.float(), rtol=0.02, atol=1e-3 * float(ours.abs().max()))
