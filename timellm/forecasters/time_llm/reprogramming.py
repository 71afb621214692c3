"""Patch reprogramming: cross-attention that rewrites every patch in terms of text prototypes (paper section 3.2).

Shapes: B batch, P patches, M d_model, V prototypes, D backbone width, h heads, K keys per head.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from timellm.forecasters.time_llm.fast.dropout import attention_with_dropout
from timellm.forecasters.time_llm.masks import NO_MASKS, Masks

_SHARPNESS = 14.0
"""Of a head at the start: on the pedestrians a patch then attends to about 110 of 1,000 prototypes."""


class Reprogramming(nn.Module):
    """Multi-head cross-attention from patches (queries) to prototypes (keys and values).

    Every head has keys of size `keys`. As in the published code that is d_ff, not d_model / heads.

    `fast` lets a CPU leave weights out by `fast.dropout` and not by the library's own dropout.

    With `cosine` a departure: queries and keys of unit length, the average of all keys taken off first, and their
    products times a sharpness that each head learns. The published products are near zero at the start and stay small,
    so that a patch attends to 980 of 1,000 prototypes alike (docs/fidelity.md).
    """

    def __init__(
        self,
        *,
        d_model: int,
        heads: int,
        keys: int,
        width: int,
        dropout: float,
        cosine: bool = False,
        fast: bool = True,
    ):
        super().__init__()
        self.heads = heads
        self.log_sharpness = nn.Parameter(torch.full((heads,), math.log(_SHARPNESS))) if cosine else None
        self.query = nn.Linear(d_model, heads * keys)
        self.key = nn.Linear(width, heads * keys)
        self.value = nn.Linear(width, heads * keys)
        self.out = nn.Linear(heads * keys, width)
        self.dropout = dropout
        self.fast = fast

    def attention(self, patches_BPM: Tensor, *, prototypes_VD: Tensor, masks: Masks = NO_MASKS) -> Tensor:
        """Weights [B, h, P, V]; each row over V sums to 1."""
        query_hRK, key_hVK = self._queries(masks.without_patches(patches_BPM)), self._keys(prototypes_VD)
        if masks.even:
            query_hRK = torch.zeros_like(query_hRK)
        scores_hRV = (query_hRK / math.sqrt(query_hRK.shape[-1])) @ key_hVK.transpose(1, 2)
        if masks.prototypes is not None:
            scores_hRV = scores_hRV.masked_fill(_by_row(masks.prototypes, patches_BPM), -math.inf)
        return scores_hRV.softmax(dim=-1).unflatten(1, patches_BPM.shape[:2]).transpose(0, 1)

    def forward(self, patches_BPM: Tensor, *, prototypes_VD: Tensor, masks: Masks = NO_MASKS) -> Tensor:
        """[B, P, M] -> [B, P, D].

        With masks, no weight is dropped in training.
        """
        # All windows meet the same prototypes, so the batch is folded into the query rows (R = B x P): the fused kernel
        # then runs seven times faster than weights that are written out. With dropout the CPU has no fused kernel.
        query_hRK = self._queries(masks.without_patches(patches_BPM))
        if masks.even:  # all scores are zero then
            query_hRK = torch.zeros_like(query_hRK)
        key_hVK, value_hVK = self._keys(prototypes_VD), self._per_head(self.value(prototypes_VD))
        dropout = self.dropout if self.training else 0.0
        if masks.prototypes is not None:
            kept_RV = ~_by_row(masks.prototypes, patches_BPM)
            mixed_hRK = F.scaled_dot_product_attention(
                query_hRK[None], key_hVK[None], value_hVK[None], attn_mask=kept_RV[None, None]
            )[0]
        elif dropout and self.fast and query_hRK.device.type == "cpu":
            mixed_hRK = attention_with_dropout(query_hRK, key_hVK, value_hVK, dropout)
        else:
            mixed_hRK = F.scaled_dot_product_attention(
                query_hRK[None], key_hVK[None], value_hVK[None], dropout_p=dropout
            )[0]
        return self.out(mixed_hRK.transpose(0, 1).flatten(1)).unflatten(0, patches_BPM.shape[:2])

    def _queries(self, patches_BPM: Tensor) -> Tensor:
        query_hRK = self._per_head(self.query(patches_BPM).flatten(0, 1))
        if self.log_sharpness is None:
            return query_hRK
        # Times the root by which attention divides its scores, here as in the library.
        scale_h11 = self.log_sharpness.exp()[:, None, None] * math.sqrt(query_hRK.shape[-1])
        return F.normalize(query_hRK, dim=-1) * scale_h11

    def _keys(self, prototypes_VD: Tensor) -> Tensor:
        key_hVK = self._per_head(self.key(prototypes_VD))
        if self.log_sharpness is None:
            return key_hVK
        return F.normalize(key_hVK - key_hVK.mean(dim=1, keepdim=True), dim=-1)

    def _per_head(self, rows_RK: Tensor) -> Tensor:
        """[R, h * K] -> [h, R, K]."""
        return rows_RK.unflatten(-1, (self.heads, -1)).transpose(0, 1)


def _by_row(masked_BV: Tensor, patches_BPM: Tensor) -> Tensor:
    """A mask [B, V] or [1, V] for each query row, [B x P, V]."""
    windows, patches, _ = patches_BPM.shape
    return masked_BV.expand(windows, -1).repeat_interleave(patches, dim=0)
