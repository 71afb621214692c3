"""8-bit layers that multiply with the dequantised weights.

bitsandbytes stores a layer as int8 with one scale a row, and LLM.int8 then rounds the activations too, except columns
that hold an outlier somewhere in the batch. A window's forecast would then depend on the other windows of its batch,
and the gradient would not be that of the weights in use. Here the stored weights are dequantised for each product, in
the forward and again in the backward pass, so no dequantised copy is kept after a layer.

Shapes: R rows (batch x tokens), I inputs, O outputs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class _DequantisedLinear(torch.autograd.Function):
    """x @ weight.T for an int8 weight, with the gradient to x alone: the weight is frozen."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, stored_OI: Tensor, scale_O: Tensor) -> Tensor:
        ctx.save_for_backward(stored_OI, scale_O)
        return x @ dequantised(stored_OI, scale_O, x.dtype).T

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        stored_OI, scale_O = ctx.saved_tensors
        return gradient @ dequantised(stored_OI, scale_O, gradient.dtype), None, None


def dequantised(stored_OI: Tensor, scale_O: Tensor, dtype: torch.dtype) -> Tensor:
    """The weight that int8 values and the largest magnitude of each row stand for."""
    # Rounded once: a scale that is rounded to bfloat16 first moves a whole row.
    return (stored_OI.float() * (scale_O.float() / 127)[:, None]).to(dtype)


def use_true_weights(model: nn.Module) -> None:
    """Let every 8-bit layer of `model` multiply with its dequantised weights."""
    import bitsandbytes  # here, because it is slow to import and most runs do without

    class TrueLinear8bit(bitsandbytes.nn.Linear8bitLt):
        def forward(self, x: Tensor) -> Tensor:
            if self.weight.CB is not None:
                self.init_8bit_state()
            y = _DequantisedLinear.apply(x, self.state.CB, self.state.SCB)
            return y if self.bias is None else y + self.bias.to(y.dtype)

    for module in model.modules():
        if type(module) is bitsandbytes.nn.Linear8bitLt:
            module.__class__ = TrueLinear8bit
