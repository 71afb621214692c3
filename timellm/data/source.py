"""From scaled values to batches: windows are cut, and the gaps of their contexts filled, on the device they train on.

Shapes: R rows, N channels, B batch, T context, H horizon.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from timellm.data.gaps import Missing, Past
from timellm.data.told import Told
from timellm.data.windows import WindowIndex


class WindowSource:
    """Scaled values on the device, from which windows are cut by one index operation.

    With `missing="interpolate"` a context's gaps are filled from what was known before its origin (timellm.data.gaps).
    """

    def __init__(
        self,
        scaled_RN: np.ndarray,
        *,
        context: int,
        horizon: int,
        device: torch.device | str = "cpu",
        missing: Missing = "skip",
        told: Told | None = None,
        base: Callable[[WindowIndex], np.ndarray] | None = None,
    ):
        """For networks that read them, `told` says in words where windows lie in time, and `base` forecasts windows.

        The forecasts [B, H] of `base` are z-scored.
        """
        past = Past.of(scaled_RN, missing)
        # Channel-major, so that a window is one contiguous read.
        values_NR = torch.tensor(past.values_NR, dtype=torch.float32, device=device)
        self._past = Past(values_NR, None if past.last_NR is None else torch.tensor(past.last_NR, device=device))
        self._steps = torch.arange(-context, horizon, device=device)
        self._context, self.horizon = context, horizon
        self._told, self._base = told, base

    @property
    def has_base(self) -> bool:
        """Whether windows come with forecasts to which a network adds."""
        return self._base is not None

    def gather(self, channel: np.ndarray, *, origin: np.ndarray) -> tuple[Tensor, Tensor]:
        """Contexts [B, T] and targets [B, H] of the windows named by `channel` [B] and `origin` [B].

        Only windows of an index may be asked for: the targets of all others may hold values that were never measured.
        """
        channel_B, origin_B = self._on_device(channel), self._on_device(origin)
        rows_BL = origin_B[:, None] + self._steps
        rows_BL[:, : self._context] = self._past.read_from(
            origin_B, channel=channel_B, rows_WK=rows_BL[:, : self._context]
        )
        window_BL = self._past.values_NR[channel_B[:, None], rows_BL]
        return window_BL[:, : self._context], window_BL[:, self._context :]

    def contexts(self, channel: np.ndarray, *, origin: np.ndarray) -> Tensor:
        """Contexts [B, T] alone; an origin may be one past the last row."""
        channel_B, origin_B = self._on_device(channel), self._on_device(origin)
        rows_BT = origin_B[:, None] + self._steps[: self._context]
        return self._past.before(origin_B, channel=channel_B, rows_WK=rows_BT)

    def beside(self, channel: np.ndarray, *, origin: np.ndarray, channels: bool = False) -> dict[str, Any]:
        """What a network is given beside the contexts of these windows, by the name of its argument.

        `told`: their words; `base_BH`: the forecasts [B, H] to which the network adds. Nothing for most networks.
        `channel_B`, where `channels` are asked for: whose quantiles are wanted beside the forecast.
        """
        found: dict[str, Any] = {"told": self._told.words(origin, channel)} if self._told else {}
        if self._base:
            forecast_BH = self._base(WindowIndex(channel, origin, 0)).astype(np.float32)
            found["base_BH"] = torch.as_tensor(forecast_BH, device=self._steps.device)
        if channels:
            found["channel_B"] = self._on_device(channel)
        return found

    def _on_device(self, numbers: np.ndarray) -> Tensor:
        return torch.as_tensor(numbers, device=self._steps.device)
