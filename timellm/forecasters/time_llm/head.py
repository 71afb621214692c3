"""Output projection: hidden states at the patches to the forecast (paper section 3.1, last step).

Shapes: B batch, P patches, F kept channels (d_ff), H horizon.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ForecastHead(nn.Module):
    """Flatten channel by channel, as the published weights expect, and project to the horizon."""

    def __init__(self, *, patches: int, channels: int, horizon: int, dropout: float):
        super().__init__()
        self.linear = nn.Linear(channels * patches, horizon)
        self.dropout = nn.Dropout(dropout)

    @torch.no_grad()
    def start_at_zero(self) -> None:
        """Forecast nothing until something was learned."""
        self.linear.weight.zero_()
        self.linear.bias.zero_()

    def is_zero(self) -> bool:
        """Whether it forecasts nothing, whatever comes in."""
        return not (self.linear.weight.any() or self.linear.bias.any())

    def forward(self, hidden_BPF: Tensor) -> Tensor:
        """[B, P, F] -> [B, H]."""
        return self.dropout(self.linear(hidden_BPF.transpose(1, 2).flatten(1)))
