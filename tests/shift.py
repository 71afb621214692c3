"""A network whose addition to its base is one number."""

from __future__ import annotations

import torch
from torch import nn


class Shift(nn.Module):
    """Adds one learned number to its base."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = nn.Parameter(torch.tensor([by]))

    def forward(self, context_BT, *, base_BH):
        return base_BH + self.by

    def forecast_start(self):
        return {"by": torch.zeros(1)}
