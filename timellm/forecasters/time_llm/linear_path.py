"""The linear path, where it trains: how much of it counts, or a linear map that learns on, beside the language model.

The path itself is a ridge that was solved before training (timellm.forecasters.ridge); its forecasts are given to the
network, which then only has to add what a linear map cannot say. With a head at zero, training begins at the ridge's
error. This is a departure from the paper.

Shapes: B batch, T context, L lags read (T at most), H horizon, F features (L + 1).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from timellm.forecasters.ridge.limits import MOST_LAGS


class LinearShare(nn.Module):
    """How much of the ridge's forecast counts at each step of the horizon, learned for all channels together.

    The share is of what the ridge says beside the mean of the context; it begins at the whole.
    """

    def __init__(self, *, horizon: int):
        super().__init__()
        self.share_H = nn.Parameter(torch.ones(horizon))

    def forward(self, base_BH: Tensor, *, mean_B1: Tensor) -> Tensor:
        """The ridge's forecast and the means of the contexts -> what counts of it, [B, H]."""
        # Written as a correction, so that a share of exactly 1 leaves the forecast as it is, to the bit.
        return base_BH + (self.share_H - 1) * (base_BH - mean_B1)


class LinearPath(nn.Module):
    """What is learned on top of the ridge: one map for all channels, of the features that every ridge has."""

    def __init__(self, *, context: int, horizon: int):
        super().__init__()
        self.lags = min(context, MOST_LAGS)
        self.weight_FH = nn.Parameter(torch.zeros(self.lags + 1, horizon))

    def forward(self, context_BT: Tensor) -> Tensor:
        """[B, T] -> what is added to the ridge's forecast, [B, H], in the units of the context."""
        # The mean in float64, as in instance_norm: a float32 sum depends on the size of its batch.
        read_BL = context_BT[:, -self.lags :].double()
        centred_BL = read_BL - read_BL.mean(dim=1, keepdim=True)
        deviation_B1 = centred_BL.square().mean(dim=1, keepdim=True).sqrt()
        return torch.cat([centred_BL, deviation_B1], dim=1).to(context_BT.dtype) @ self.weight_FH
