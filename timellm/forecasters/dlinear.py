"""DLinear: two linear maps from context to horizon, one of the trend and one of the rest (Zeng et al., AAAI 2023).

Inputs: contexts, z-scored by channel. Outputs: forecasts on the same scale. All channels share the two maps, as in the
published default. There is no norm of the window and no activation, so the forecast is linear in the context. If there
are quantiles, they are linear in the shape of the context (timellm.forecasters.quantile_head).

Shapes: B batch, T context, H horizon, Q quantiles.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from timellm.config import DLinearConfig
from timellm.forecasters.decomposition import check_moving_average, decompose
from timellm.forecasters.protocol import settings_of
from timellm.forecasters.quantile_head import QuantileHead, spread
from timellm.forecasters.quantile_head_size import rows_of
from timellm.forecasters.trained import BuildJob, NetworkForecaster


class DLinear(nn.Module):
    """The published network.

    Raises:
        ConfigError: the moving average is even, or longer than the context.
    """

    def __init__(self, settings: DLinearConfig, *, context: int, horizon: int, rows: int = 1):
        """`rows`: channels whose quantiles have numbers of their own."""
        super().__init__()
        check_moving_average(settings.moving_average, context=context)
        self.settings = settings
        self.seasonal, self.trend = nn.Linear(context, horizon), nn.Linear(context, horizon)
        for linear in (self.seasonal, self.trend):
            nn.init.constant_(linear.weight, 1 / context)  # it starts as the mean of the context, as published
        self.quantile_levels = settings.quantiles
        if settings.quantiles:
            self.quantile_head = QuantileHead(settings.quantiles, features=context, horizon=horizon, rows=rows)

    def forward(self, context_BT: Tensor, *, channel_B: Tensor | None = None) -> Tensor:
        """[B, T] -> [B, H]; with channels -> [B, H, 1 + Q], the offsets of quantiles behind the forecast."""
        seasonal_BT1, trend_BT1 = decompose(context_BT.unsqueeze(-1), moving_average=self.settings.moving_average)
        forecast_BH = self.seasonal(seasonal_BT1.squeeze(-1)) + self.trend(trend_BT1.squeeze(-1))
        if channel_B is None:
            return forecast_BH
        mean_B1, spread_B1 = spread(context_BT)
        offset_BHQ = self.quantile_head((context_BT - mean_B1) / spread_B1, context_BT, channel_B)
        return torch.cat([forecast_BH.unsqueeze(-1), offset_BHQ], dim=-1)


class DLinearForecaster(NetworkForecaster):
    """A DLinear that is trained step by step."""

    @classmethod
    def build(cls, job: BuildJob) -> nn.Module:
        """The network; see `DLinear`."""
        settings = settings_of(job.config, DLinearConfig)
        return DLinear(settings, context=job.context, horizon=job.horizon, rows=rows_of(job.config))
