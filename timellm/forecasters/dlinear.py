"""DLinear: two linear maps from context to horizon, one of the trend and one of the rest (Zeng et al., AAAI 2023).

Inputs: contexts, z-scored by channel. Outputs: forecasts on the same scale. All channels share the two maps, as in the
published default. There is no norm of the window and no activation, so the forecast is linear in the context.

Shapes: B batch, T context, H horizon.
"""

from __future__ import annotations

from torch import Tensor, nn

from timellm.config import DLinearConfig
from timellm.forecasters.decomposition import check_moving_average, decompose
from timellm.forecasters.protocol import settings_of
from timellm.forecasters.trained import BuildJob, NetworkForecaster


class DLinear(nn.Module):
    """The published network.

    Raises:
        ConfigError: the moving average is even, or longer than the context.
    """

    def __init__(self, settings: DLinearConfig, *, context: int, horizon: int):
        super().__init__()
        check_moving_average(settings.moving_average, context=context)
        self.settings = settings
        self.seasonal, self.trend = nn.Linear(context, horizon), nn.Linear(context, horizon)
        for linear in (self.seasonal, self.trend):
            nn.init.constant_(linear.weight, 1 / context)  # it starts as the mean of the context, as published

    def forward(self, context_BT: Tensor) -> Tensor:
        """[B, T] -> [B, H]."""
        seasonal_BT1, trend_BT1 = decompose(context_BT.unsqueeze(-1), moving_average=self.settings.moving_average)
        return self.seasonal(seasonal_BT1.squeeze(-1)) + self.trend(trend_BT1.squeeze(-1))


class DLinearForecaster(NetworkForecaster):
    """A DLinear that is trained step by step."""

    @classmethod
    def build(cls, job: BuildJob) -> nn.Module:
        """The network; see `DLinear`."""
        return DLinear(settings_of(job.config, DLinearConfig), context=job.context, horizon=job.horizon)
