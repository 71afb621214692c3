"""From scaled values to batches: windows are cut on the device that trains on them.

Shapes: R rows, N channels, B batch, T context, H horizon.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


class WindowSource:
    """Scaled values on the device, from which windows are cut by one index operation."""

    def __init__(self, scaled_RN: np.ndarray, *, context: int, horizon: int, device: torch.device | str = "cpu"):
        # Channel-major, so that a window is one contiguous read. Missing values are never in an indexed window.
        self._values_NR = torch.tensor(np.ascontiguousarray(scaled_RN.T), dtype=torch.float32, device=device)
        self._steps = torch.arange(-context, horizon, device=device)
        self._context, self.horizon = context, horizon

    def gather(self, channel: np.ndarray, *, origin: np.ndarray) -> tuple[Tensor, Tensor]:
        """Contexts [B, T] and targets [B, H] of the windows named by `channel` [B] and `origin` [B]."""
        device = self._values_NR.device
        rows_BL = torch.as_tensor(origin, device=device)[:, None] + self._steps
        window_BL = self._values_NR[torch.as_tensor(channel, device=device)[:, None], rows_BL]
        return window_BL[:, : self._context], window_BL[:, self._context :]

    def contexts(self, channel: np.ndarray, *, origin: np.ndarray) -> Tensor:
        """Contexts [B, T] alone; an origin may be one past the last row."""
        device = self._values_NR.device
        rows_BT = torch.as_tensor(origin, device=device)[:, None] + self._steps[: self._context]
        return self._values_NR[torch.as_tensor(channel, device=device)[:, None], rows_BT]
