"""Attention with dropout for the CPU, where the library has no fused kernel for it.

Shapes: h heads, R query rows, V keys and values, K size of a head.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


def attention_with_dropout(query_hRK: Tensor, key_hVK: Tensor, value_hVK: Tensor, dropout: float) -> Tensor:
    """[h, R, K]; each weight is left out with probability `dropout`, to the nearest 1/65,536.

    Sixteen random bits a weight, cut from whole 64-bit draws: the library's own dropout draws every weight by itself
    and takes six times as long as this, a third of the whole attention.
    """
    # Heads apart in memory: batched products of interleaved ones take several times as long, above all backward.
    query_hRK, key_hVK, value_hVK = query_hRK.contiguous(), key_hVK.contiguous(), value_hVK.contiguous()
    shape = (*query_hRK.shape[:2], key_hVK.shape[1])
    draws = torch.empty(-(-math.prod(shape) // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
    below = min(round(dropout * 2**16), 2**16 - 1)
    stays_hRV = draws[: math.prod(shape)].view(shape) >= below - 2**15
    raised_hVK = value_hVK * (2**16 / (2**16 - below))  # the weights that stay make up for those that do not
    return _ThinnedAttention.apply(query_hRK / math.sqrt(query_hRK.shape[-1]), key_hVK, raised_hVK, stays_hRV)


class _ThinnedAttention(torch.autograd.Function):
    """(softmax(query @ key.T) where it stays, else 0) @ value, in as few passes over the tables [h, R, V] as we can."""

    @staticmethod
    def forward(ctx: Any, query_hRK: Tensor, key_hVK: Tensor, value_hVK: Tensor, stays_hRV: Tensor) -> Tensor:
        scores_hRV = query_hRK @ key_hVK.transpose(1, 2)
        weights_hRV = torch.softmax(scores_hRV, dim=-1, out=scores_hRV)
        mixed_hRK = _as_numbers(stays_hRV, weights_hRV.dtype).mul_(weights_hRV) @ value_hVK
        ctx.save_for_backward(query_hRK, key_hVK, value_hVK, stays_hRV, weights_hRV, mixed_hRK)
        return mixed_hRK

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        query_hRK, key_hVK, value_hVK, stays_hRV, weights_hRV, mixed_hRK = ctx.saved_tensors
        to_mixed = gradient.contiguous()
        stays = _as_numbers(stays_hRV, weights_hRV.dtype)
        # What softmax takes from a row, the sum of its weights times their gradients, is one product of the result.
        taken = (to_mixed * mixed_hRK).sum(dim=-1, keepdim=True)
        to_scores = (to_mixed @ value_hVK.transpose(1, 2)).mul_(stays).sub_(taken).mul_(weights_hRV)
        to_value = stays.mul_(weights_hRV).transpose(1, 2) @ to_mixed
        return to_scores @ key_hVK, to_scores.transpose(1, 2) @ query_hRK, to_value, None


def _as_numbers(truth: Tensor, dtype: torch.dtype) -> Tensor:
    """0 and 1; by way of bytes, because from truth values it takes three times as long, and `where` longer still."""
    return truth.view(torch.uint8).to(dtype)
