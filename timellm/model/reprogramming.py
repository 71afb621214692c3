"""Patch reprogramming: cross-attention that rewrites every patch in terms of text prototypes (paper section 3.2).

Shapes: B batch, P patches, M d_model, V prototypes, D backbone width, h heads, K keys per head.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Reprogramming(nn.Module):
    """Multi-head cross-attention from patches (queries) to prototypes (keys and values).

    Every head has keys of size `keys`. As in the published code that is d_ff, not d_model / heads.
    """

    def __init__(self, *, d_model: int, heads: int, keys: int, width: int, dropout: float):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(d_model, heads * keys)
        self.key = nn.Linear(width, heads * keys)
        self.value = nn.Linear(width, heads * keys)
        self.out = nn.Linear(heads * keys, width)
        self.dropout = dropout

    def attention(self, patches_BPM: Tensor, *, prototypes_VD: Tensor) -> Tensor:
        """Weights [B, h, P, V]; each row over V sums to 1."""
        query_hRK, key_hVK = self._queries(patches_BPM), self._per_head(self.key(prototypes_VD))
        scores_hRV = (query_hRK / math.sqrt(query_hRK.shape[-1])) @ key_hVK.transpose(1, 2)
        return scores_hRV.softmax(dim=-1).unflatten(1, patches_BPM.shape[:2]).transpose(0, 1)

    def forward(self, patches_BPM: Tensor, *, prototypes_VD: Tensor) -> Tensor:
        """[B, P, M] -> [B, P, D]."""
        # All windows meet the same prototypes, so the batch is folded into the query rows (R = B x P): the fused kernel
        # then runs seven times faster than weights that are written out. With dropout the CPU has no fused kernel.
        query_hRK = self._queries(patches_BPM)
        key_hVK, value_hVK = self._per_head(self.key(prototypes_VD)), self._per_head(self.value(prototypes_VD))
        dropout = self.dropout if self.training else 0.0
        if dropout and query_hRK.device.type == "cpu":
            mixed_hRK = _attention_with_dropout(query_hRK, key_hVK, value_hVK, dropout)
        else:
            mixed_hRK = F.scaled_dot_product_attention(
                query_hRK[None], key_hVK[None], value_hVK[None], dropout_p=dropout
            )[0]
        return self.out(mixed_hRK.transpose(0, 1).flatten(1)).unflatten(0, patches_BPM.shape[:2])

    def _queries(self, patches_BPM: Tensor) -> Tensor:
        return self._per_head(self.query(patches_BPM).flatten(0, 1))

    def _per_head(self, rows_RK: Tensor) -> Tensor:
        """[R, h * K] -> [h, R, K]."""
        return rows_RK.unflatten(-1, (self.heads, -1)).transpose(0, 1)


def _attention_with_dropout(query_hRK: Tensor, key_hVK: Tensor, value_hVK: Tensor, dropout: float) -> Tensor:
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
