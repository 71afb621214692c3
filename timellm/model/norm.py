"""RMS norm of a frozen backbone on the CPU, in fewer passes over memory.

Written out in elementary operations, as model libraries have it, a norm converts to float32 and back and keeps several
float32 copies for its gradient; between matrix products in bfloat16 that is a tenth of a training step. Here the sum of
squares is accumulated in float32 without a copy, and the gradient needs the input and one number a row.

Shapes: R rows (batch x tokens), D width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class _RMSNorm(torch.autograd.Function):
    """x / sqrt(mean(x^2) + epsilon) * weight, with the gradient to x alone: the weight is frozen."""

    @staticmethod
    def forward(ctx, x: Tensor, weight_D: Tensor, epsilon: float) -> Tensor:
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


def use_lean_norms(model: nn.Module) -> None:
    """Let every RMS norm of `model` work as above, if it computes what its name says."""
    for module in model.modules():
        kind = type(module)
        if kind.__name__.endswith("RMSNorm") and hasattr(module, "variance_epsilon") and _is_plain(module):
            module.__class__ = _lean(kind)


def _lean(kind: type[nn.Module]) -> type[nn.Module]:
    def forward(self, hidden_states: Tensor) -> Tensor:
        return _RMSNorm.apply(hidden_states, self.weight, self.variance_epsilon)

    return type(f"Lean{kind.__name__}", (kind,), {"forward": forward})


@torch.no_grad()
def _is_plain(module: nn.Module) -> bool:
    """Whether the norm is weight * x / rms(x), and not one of its relatives (Gemma adds 1 to the weight)."""
    weight = module.weight
    x = torch.linspace(-2, 3, 2 * len(weight), device=weight.device, dtype=weight.dtype).view(2, -1)
    ours = _RMSNorm.apply(x, weight, module.variance_epsilon)
    return torch.allclose(module(x).float(), ours.float(), rtol=0.02, atol=1e-4)
