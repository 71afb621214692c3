"""Instance norm and patch embedding: one channel's window in, patch embeddings out (paper section 3.1).

Shapes: B batch, T context, P patches, S patch length, M d_model.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Inside the root, so that a constant window is divided by about 0.003 and not by zero (RevIN, Kim et al. 2022).
NORM_EPSILON = 1e-5


def instance_norm(context_BT: Tensor, *, as_published: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Shift and scale every window to mean 0 and deviation 1: (normalised [B, T], mean [B, 1], deviation [B, 1]).

    `as_published` takes the mean and divides in float32, as the published code does; only then does a prompt with all
    digits equal the published one. In both modes a window's result does not depend on its batch.
    """
    # In float64, because the order of a float32 sum depends on the batch size, the prompt prints the digits, and one
    # other digit is another forecast.
    context64_BT = context_BT.double()
    deviation_B1 = torch.sqrt(context64_BT.var(dim=1, keepdim=True, unbiased=False) + NORM_EPSILON)
    if as_published:
        mean_B1 = _published_mean(context_BT)
        return (context_BT - mean_B1) / deviation_B1.float(), mean_B1, deviation_B1.float()
    mean_B1 = context64_BT.mean(dim=1, keepdim=True)
    normed_BT = (context64_BT - mean_B1) / deviation_B1
    return normed_BT.float(), mean_B1.float(), deviation_B1.float()


def _published_mean(context_BT: Tensor) -> Tensor:
    """Means [B, 1], each summed in the order in which a table's column is summed in float32.

    The published code sums windows [B, T, N] along T, whose rows lie N values apart; rows that lie side by side are
    summed in another order. Two copies of the window make such a table, of the same layout whatever the batch is. On
    the CPU, so that a GPU prints the same digits.
    """
    return torch.stack([context_BT, context_BT], dim=-1).cpu().mean(dim=1)[:, :1].to(context_BT.device)


def patch_spans(context: int, *, patch_length: int, stride: int) -> list[tuple[int, int]]:
    """Rows (start, end exclusive) of the context that each patch covers; the last ones are clipped at its end."""
    starts = range(0, context + stride - patch_length + 1, stride)
    return [(start, min(start + patch_length, context)) for start in starts]


class PatchEmbedding(nn.Module):
    """Cut a window into overlapping patches and embed them with a circular convolution over neighbouring patches.

    `rounded` rounds the window to bfloat16 first, as the published code does.
    """

    def __init__(self, *, patch_length: int, stride: int, d_model: int, dropout: float, rounded: bool = False):
        super().__init__()
        self.patch_length, self.stride, self.rounded = patch_length, stride, rounded
        self.convolution = nn.Conv1d(
            patch_length, d_model, kernel_size=3, padding=1, padding_mode="circular", bias=False
        )
        nn.init.kaiming_normal_(self.convolution.weight, mode="fan_in", nonlinearity="leaky_relu")
        self.dropout = nn.Dropout(dropout)

    def forward(self, normed_BT: Tensor) -> Tensor:
        """[B, T] -> [B, P, M]."""
        if self.rounded:
            normed_BT = normed_BT.bfloat16().float()
        padded = F.pad(normed_BT[:, None], (0, self.stride), mode="replicate")[:, 0]
        patches_BPS = padded.unfold(1, self.patch_length, self.stride)
        return self.dropout(self.convolution(patches_BPS.transpose(1, 2)).transpose(1, 2))
