"""Patch reprogramming: cross-attention that rewrites every patch in terms of text prototypes (paper section 3.2).

Shapes: B batch, P patches, M d_model, V prototypes, D backbone width, h heads, K keys per head.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, einsum, nn


class Reprogramming(nn.Module):
    """Multi-head cross-attention from patches (queries) to prototypes (keys and values).

    Every head has `keys` keys; the published code sets them to d_ff rather than d_model / heads, and so do we.
    """

    def __init__(self, *, d_model: int, heads: int, keys: int, width: int, dropout: float):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(d_model, heads * keys)
        self.key = nn.Linear(width, heads * keys)
        self.value = nn.Linear(width, heads * keys)
        self.out = nn.Linear(heads * keys, width)
        self.dropout = nn.Dropout(dropout)
        # Departure from the published code: the attention's dropout mask is drawn once for the batch and not for every
        # window in it. Drawing B x h x P x V numbers took a tenth of a training step.

    def attention(self, patches_BPM: Tensor, *, prototypes_VD: Tensor) -> Tensor:
        """Weights [B, h, P, V]; each row over V sums to 1."""
        query = self.query(patches_BPM).unflatten(-1, (self.heads, -1))
        key = self.key(prototypes_VD).unflatten(-1, (self.heads, -1))
        return (einsum("bphk,vhk->bhpv", query, key) / math.sqrt(query.shape[-1])).softmax(dim=-1)

    def forward(self, patches_BPM: Tensor, *, prototypes_VD: Tensor) -> Tensor:
        """[B, P, M] -> [B, P, D]."""
        weights = self.attention(patches_BPM, prototypes_VD=prototypes_VD)
        if self.training:
            weights = weights * self.dropout(torch.ones_like(weights[:1]))
        value = self.value(prototypes_VD).unflatten(-1, (self.heads, -1))
        return self.out(einsum("bhpv,vhk->bphk", weights, value).flatten(2))
