"""Rotary attention of Llama and Qwen2 behind a cached prompt, with a gradient written by hand.

Autograd would copy memory that the views of the heads share, compute the gradient of the prompt's keys and values,
which is not needed, and pass over the scores once more for the mask that was added in place. The formulas are the
library's.

Shapes: B batch, L tokens, h heads, g key/value heads, K size of a head, C keys (prompt and own tokens).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Extend = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Own keys and values [B, g, L, K] in, those of the prompt in front of them out: [B, g, C, K]."""


class RotaryAttention(torch.autograd.Function):
    """qkv [B, L, (h + 2g) * K], tables cos and sin [B, L, K], additive mask [B, 1, L, C] or None -> [B, L, h * K]."""

    @staticmethod
    def forward(
        ctx: Any,
        qkv: Tensor,
        cos: Tensor,
        sin: Tensor,
        mask: Tensor | None,
        scaling: float,
        groups: int,
        extend: Extend,
    ) -> Tensor:
        heads = qkv.unflatten(-1, (-1, cos.shape[-1]))
        query, key, value = heads.split([heads.shape[2] - 2 * groups, groups, groups], dim=2)
        cos, sin = cos[:, :, None], sin[:, :, None]
        # The scale of the scores goes into the small tables instead of over all queries.
        query = _rotated(query, cos * scaling, sin * scaling)
        key, value = extend(_rotated(key, cos, sin), value.transpose(1, 2))
        # Heads that share keys are folded into the query rows, so that keys and values are never copied per head.
        folded = query.view(len(qkv), groups, -1, query.shape[-1])
        scores = folded @ key.transpose(-1, -2)
        if mask is not None:
            scores.view(*query.shape[:3], -1).add_(mask)
        # The kernel adds up in float32 and rounds once, so there is nothing to gain from asking for float32 here.
        weights = scores.softmax(dim=-1)
        ctx.save_for_backward(folded, key, value, weights, cos, sin)
        ctx.scaling = scaling
        return (weights @ value).view(query.shape).transpose(1, 2).flatten(2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        folded, key, value, weights, cos, sin = ctx.saved_tensors
        (batch, length), (groups, size) = gradient.shape[:2], key.shape[1::2]
        heads = gradient.shape[2] // size
        own = slice(key.shape[2] - length, None)  # the prompt's keys and values are given
        to_mixed = gradient.reshape(batch, length, heads, size).transpose(1, 2).reshape(folded.shape)
        to_scores = torch._softmax_backward_data(to_mixed @ value.transpose(-1, -2), weights, -1, weights.dtype)
        to_query = (to_scores @ key).view(batch, heads, length, size).transpose(1, 2)
        to_key = (to_scores[..., own].transpose(-1, -2) @ folded).transpose(1, 2)
        to_value = (weights[..., own].transpose(-1, -2) @ to_mixed).transpose(1, 2)
        to_qkv = gradient.new_empty(batch, length, heads + 2 * groups, size)
        parts = to_qkv.split([heads, groups, groups], dim=2)
        _rotate(to_query, cos * ctx.scaling, sin * -ctx.scaling, out=parts[0])
        _rotate(to_key, cos, -sin, out=parts[1])
        parts[2].copy_(to_value)
        return to_qkv.flatten(2), None, None, None, None, None, None


def _rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x [B, L, h, K] turned by its positions, as [B, h, L, K]; cos and sin [B, L, 1, K]."""
    turned = x.new_empty(x.shape[0], x.shape[2], x.shape[1], x.shape[3])
    _rotate(x, cos, sin, out=turned.transpose(1, 2))
    return turned


def _rotate(x: Tensor, cos: Tensor, sin: Tensor, *, out: Tensor) -> None:
    """The two halves of a head turn into each other; with the opposite angle that is also the gradient."""
    torch.mul(x, cos, out=out)
    (first, second), (out_first, out_second) = x.chunk(2, dim=-1), out.chunk(2, dim=-1)
    sin_first, sin_second = sin.chunk(2, dim=-1)
    out_first.addcmul_(second, sin_first, value=-1)
    out_second.addcmul_(first, sin_second)
