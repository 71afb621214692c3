"""The quantile head of a network: how far quantiles lie from its forecast, for every step of the horizon.

Inputs: what the network knows of a window before its last layer, the window itself and its channel. Outputs: offsets of
Q quantiles from the forecast, which never cross. The forecast stays beside them and is trained with the usual loss:
errors, verdicts and the first step of Time-LLM, which is a ridge, are those of a mean, and no median would have them.

An offset is the window's spread times a sum of two: a number of each channel, step and level, and a linear map of what
the network knows, of the window's mean and of its spread, which begins at zero. Both train with the pinball loss.
Offsets are sorted. That makes their loss no larger (Chernozhukov et al., 2010), and leaves them free to begin at any
quantiles, also at equal ones, which a sum of positive steps would not.

Nothing here draws random numbers, so that a network begins with the weights that it would have without quantiles.

Shapes: B batch, T context, H horizon, Q quantiles, F features, N channels (1 where all share their numbers), W windows.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import torch
from torch import Tensor, nn

from timellm.data.source import WindowSource
from timellm.data.windows import SHARE_OF_SCALE, WindowIndex
from timellm.forecasters.quantile_head_size import BESIDE

_USUAL = 0.5
"""Quantiles begin as those of a normal error of half a window's spread, where nothing better is known."""
_STARTED_ON, _FEWEST = 256, 20
"""Training windows of a channel that the first offsets are found on, and with how few it has the shared ones."""
_GATHERED = 4096


def spread(context_BT: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and spread [B, 1] of z-scored contexts; in float64, whose sums do not depend on the size of the batch."""
    read_BT = context_BT.double()
    mean_B1 = read_BT.mean(dim=1, keepdim=True)
    variance_B1 = (read_BT - mean_B1).square().mean(dim=1, keepdim=True)
    return mean_B1.to(context_BT.dtype), (variance_B1 + SHARE_OF_SCALE**2).sqrt().to(context_BT.dtype)


class QuantileHead(nn.Module):
    """Offsets of quantiles from a forecast, both z-scored by channel."""

    def __init__(self, levels: tuple[float, ...], *, features: int, horizon: int, rows: int = 1):
        super().__init__()
        self.levels = levels
        self.weight_FHQ = nn.Parameter(torch.zeros(features + BESIDE, horizon, len(levels)))
        usual_Q = torch.tensor([_USUAL * NormalDist().inv_cdf(level) for level in levels])
        self.offset_NHQ = nn.Parameter(usual_Q.repeat(rows, horizon, 1))

    def is_zero(self) -> bool:
        """Whether offsets do not depend on what the network knows."""
        return not self.weight_FHQ.any()

    def forward(self, features_BF: Tensor | None, context_BT: Tensor, channel_B: Tensor) -> Tensor:
        """Offsets [B, H, Q], rising over Q; without features for a head that `is_zero`."""
        mean_B1, spread_B1 = spread(context_BT)
        offset_BHQ = self.offset_NHQ[channel_B if len(self.offset_NHQ) > 1 else torch.zeros_like(channel_B)]
        if features_BF is not None:
            beside = [mean_B1, spread_B1.log(), torch.ones_like(mean_B1)]
            read_BF = torch.cat([features_BF, *beside], dim=1)
            offset_BHQ = offset_BHQ + (read_BF @ self.weight_FHQ.flatten(1)).unflatten(1, offset_BHQ.shape[1:])
        return spread_B1[..., None] * offset_BHQ.sort(dim=-1).values

    @torch.no_grad()
    def start_at_errors(
        self, source: WindowSource, training: WindowIndex, forecast: Callable[[WindowIndex], np.ndarray]
    ) -> None:
        """Begin at the quantiles of the errors that z-scored forecasts [W, H] have on training windows."""
        found: list[np.ndarray] = []
        owners = (
            [training] if len(self.offset_NHQ) == 1 else [_of(training, row) for row in range(len(self.offset_NHQ))]
        )
        scores = [self._scores(source, one.evenly(_STARTED_ON), forecast) for one in owners]
        every_WH = np.concatenate(scores)
        for score_WH in scores:
            known_WH = score_WH if len(score_WH) >= _FEWEST else every_WH
            found.append(np.quantile(known_WH, self.levels, axis=0).T)
        self.offset_NHQ.copy_(torch.as_tensor(np.stack(found)))

    @staticmethod
    def _scores(source: WindowSource, index: WindowIndex, forecast: Callable[[WindowIndex], np.ndarray]) -> np.ndarray:
        """Errors [W, H], actual less forecast, in spreads of their windows."""
        parts = []
        for begin in range(0, len(index), _GATHERED):
            part = index.part(begin, begin + _GATHERED)
            context_BT, target_BH = source.gather(part.channel, origin=part.origin)
            spread_B1 = spread(context_BT)[1].cpu().numpy()
            parts.append((target_BH.cpu().numpy() - forecast(part)) / spread_B1)
        return np.concatenate(parts) if parts else np.empty((0, source.horizon))


def _of(index: WindowIndex, channel: int) -> WindowIndex:
    mine = index.channel == channel
    return WindowIndex(index.channel[mine], index.origin[mine], 0)
