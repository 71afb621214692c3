"""The linear path: a ridge beside the language model, which then only has to add what a linear map cannot say.

A forecast is the path's plus what the language model adds. Training begins with the ridge solved in closed form
(timellm.forecasters.ridge) and a head at zero, so at the ridge's error. This is a departure from the paper.

Shapes: B batch, T context, L lags read (T at most), H horizon, F features (L + 1).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from timellm.forecasters.ridge import MOST_LAGS


class LinearPath(nn.Module):
    """One linear map from the end of a context, without its mean, and the context's deviation to the horizon."""

    weight_FH: Tensor

    def __init__(self, *, context: int, horizon: int, trained: bool):
        """`trained` maps learn with the rest; others are kept as they start, and are saved all the same."""
        super().__init__()
        self.lags = min(context, MOST_LAGS)
        start_FH = torch.zeros(self.lags + 1, horizon)
        if trained:
            self.weight_FH = nn.Parameter(start_FH)
        else:
            self.register_buffer("weight_FH", start_FH)

    @torch.no_grad()
    def start_at(self, weights_FH: np.ndarray) -> None:
        """Become the map of a fitted ridge."""
        self.weight_FH.copy_(torch.from_numpy(weights_FH))

    def forward(self, context_BT: Tensor) -> Tensor:
        """[B, T] -> [B, H], in the units of the context."""
        # The mean in float64, as in instance_norm: a float32 sum depends on the size of its batch.
        read_BL = context_BT[:, -self.lags :].double()
        mean_B1 = read_BL.mean(dim=1, keepdim=True)
        centred_BL = read_BL - mean_B1
        deviation_B1 = centred_BL.square().mean(dim=1, keepdim=True).sqrt()
        features_BF = torch.cat([centred_BL, deviation_B1], dim=1).to(context_BT.dtype)
        return features_BF @ self.weight_FH + mean_B1.to(context_BT.dtype)
