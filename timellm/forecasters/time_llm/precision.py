"""The passage from the trained parts, always float32, to the frozen backbone's arithmetic and back.

float16 has nothing below 6e-8, and a window's share of a mean loss brings gradients of about 1e-4 to 1e-6 to the
backbone's last layer. Without scaling, SmolLM2 (6 layers, a batch of 32, horizon 96) loses 0.2 % and MiniLM 7 % of the
gradient that reaches the patches; with one 32 times smaller, half and all of it. So every window's gradient is
multiplied by a power of two before the backbone's backward pass, such that its peak lies between 1/2 and 1, and divided
by it afterwards. That is exact: the backward pass is linear in the gradient, and windows do not interact in the
backbone. No loss scale has to be searched, and no step is ever skipped. bfloat16 has the exponents of float32 and does
not need this.

Shapes: B batch, P patches, D backbone width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function


def in_arithmetic(run: Callable[[Tensor], Tensor], patches_BPD: Tensor, *, dtype: torch.dtype) -> Tensor:
    """`run` on the patches in `dtype`: [B, P, D] float32 -> [B, P, D] float32, its gradient keeping all digits."""
    if dtype != torch.float16:
        return run(patches_BPD.to(dtype)).float()
    scale = _Scale()
    return _Leave.apply(run(_Enter.apply(patches_BPD, scale)), scale)


class _Scale:
    """What the gradient of each window was multiplied by, [B, 1, 1]; backward meets `_Leave` before `_Enter`."""

    by_window: Tensor


class _Enter(Function):
    """float32 -> float16; the gradient comes back to float32 and to its own size."""

    @staticmethod
    def forward(ctx: Any, patches_BPD: Tensor, scale: _Scale) -> Tensor:
        ctx.scale = scale
        return patches_BPD.half()

    @staticmethod
    def backward(ctx: Any, gradient_BPD: Tensor) -> tuple[Tensor, None]:
        return gradient_BPD.float() / ctx.scale.by_window, None


class _Leave(Function):
    """float16 -> float32; the gradient of each window enters with a peak between 1/2 and 1."""

    @staticmethod
    def forward(ctx: Any, hidden_BPD: Tensor, scale: _Scale) -> Tensor:
        ctx.scale = scale
        return hidden_BPD.float()

    @staticmethod
    def backward(ctx: Any, gradient_BPD: Tensor) -> tuple[Tensor, None]:
        peak_B11 = gradient_BPD.abs().amax(dim=(1, 2), keepdim=True)
        _, exponent_B11 = torch.frexp(peak_B11)
        # Within what float32 can hold; a gradient of nothing has exponent 0 and stays as it is.
        ctx.scale.by_window = torch.ldexp(torch.ones_like(peak_B11), -exponent_B11.clamp(min=-120))
        return (gradient_BPD * ctx.scale.by_window).half(), None
