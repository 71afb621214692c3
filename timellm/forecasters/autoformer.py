"""Autoformer: series divided into trend and season in every layer, and auto-correlation (Wu et al., NeurIPS 2021).

Inputs: contexts, z-scored by channel. Outputs: forecasts on the same scale. The encoder keeps what is seasonal; the
decoder begins with the last half of the context and refines the season, while the trends that it takes off add up.

Departures from the published network. Each channel is a window of its own, while the published one reads all channels
of a table at once. There are no calendar marks: hour, weekday and month of the rows are not read. Delays are chosen
window by window, in training too (timellm.forecasters.autocorrelation).

Shapes: B batch, T context, H horizon, L length in the decoder (half the context and the horizon), M d_model.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from timellm.config import AutoformerConfig
from timellm.forecasters.autocorrelation import AutoCorrelation
from timellm.forecasters.decomposition import check_moving_average, decompose
from timellm.forecasters.protocol import settings_of
from timellm.forecasters.trained import BuildJob, NetworkForecaster


class Autoformer(nn.Module):
    """The published network for one channel.

    Raises:
        ConfigError: the moving average is even, or longer than the context.
    """

    def __init__(self, settings: AutoformerConfig, *, context: int, horizon: int):
        super().__init__()
        check_moving_average(settings.moving_average, context=context)
        self.settings, self.horizon, self.label = settings, horizon, context // 2
        self.encoder_embedding, self.decoder_embedding = (
            _Embedding(settings.d_model, dropout=settings.dropout) for _ in range(2)
        )
        self.encoder = nn.ModuleList(_EncoderLayer(settings) for _ in range(settings.encoder_layers))
        self.encoder_norm = _SeasonalNorm(settings.d_model)
        self.decoder = nn.ModuleList(_DecoderLayer(settings) for _ in range(settings.decoder_layers))
        self.decoder_norm = _SeasonalNorm(settings.d_model)
        self.projection = nn.Linear(settings.d_model, 1)

    def forward(self, context_BT: Tensor) -> Tensor:
        """[B, T] -> [B, H]."""
        context_BT1 = context_BT.unsqueeze(-1)
        seasonal_BT1, trend_BT1 = decompose(context_BT1, moving_average=self.settings.moving_average)
        mean_BH1 = context_BT1.mean(dim=1, keepdim=True).expand(-1, self.horizon, -1)
        trend_BL1 = torch.cat([trend_BT1[:, -self.label :], mean_BH1], dim=1)
        seasonal_BL1 = F.pad(seasonal_BT1[:, -self.label :], (0, 0, 0, self.horizon))

        encoded_BTM = self.encoder_embedding(context_BT1)
        for layer in self.encoder:
            encoded_BTM = layer(encoded_BTM)
        encoded_BTM = self.encoder_norm(encoded_BTM)

        hidden_BLM = self.decoder_embedding(seasonal_BL1)
        for layer in self.decoder:
            hidden_BLM, taken_off_BL1 = layer(hidden_BLM, encoded_BTM)
            trend_BL1 = trend_BL1 + taken_off_BL1
        forecast_BL1 = self.projection(self.decoder_norm(hidden_BLM)) + trend_BL1
        return forecast_BL1[:, -self.horizon :, 0]


class AutoformerForecaster(NetworkForecaster):
    """An Autoformer that is trained step by step."""

    @classmethod
    def build(cls, job: BuildJob) -> nn.Module:
        """The network; see `Autoformer`."""
        return Autoformer(settings_of(job.config, AutoformerConfig), context=job.context, horizon=job.horizon)


class _EncoderLayer(nn.Module):
    """Auto-correlation and two linear layers; the trend is dropped after each (equation 3)."""

    def __init__(self, settings: AutoformerConfig):
        super().__init__()
        self.moving_average = settings.moving_average
        self.correlation = AutoCorrelation(settings.d_model, factor=settings.factor)
        self.linear = _linear_layers(settings)
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, hidden_BTM: Tensor) -> Tensor:
        found_BTM = hidden_BTM + self.dropout(self.correlation(hidden_BTM, hidden_BTM))
        seasonal_BTM, _ = decompose(found_BTM, moving_average=self.moving_average)
        seasonal_BTM, _ = decompose(seasonal_BTM + self.linear(seasonal_BTM), moving_average=self.moving_average)
        return seasonal_BTM


class _DecoderLayer(nn.Module):
    """As in the encoder, with a second auto-correlation to what was encoded; the trends are kept (equation 4)."""

    def __init__(self, settings: AutoformerConfig):
        super().__init__()
        self.moving_average = settings.moving_average
        self.own, self.cross = (AutoCorrelation(settings.d_model, factor=settings.factor) for _ in range(2))
        self.linear = _linear_layers(settings)
        self.dropout = nn.Dropout(settings.dropout)
        self.trend = nn.Conv1d(settings.d_model, 1, 3, padding=1, padding_mode="circular", bias=False)

    def forward(self, hidden_BLM: Tensor, encoded_BTM: Tensor) -> tuple[Tensor, Tensor]:
        """What is seasonal [B, L, M], and the trend [B, L, 1] that was taken off."""
        found_BLM = hidden_BLM + self.dropout(self.own(hidden_BLM, hidden_BLM))
        seasonal_BLM, first_BLM = decompose(found_BLM, moving_average=self.moving_average)
        found_BLM = seasonal_BLM + self.dropout(self.cross(seasonal_BLM, encoded_BTM))
        seasonal_BLM, second_BLM = decompose(found_BLM, moving_average=self.moving_average)
        found_BLM = seasonal_BLM + self.linear(seasonal_BLM)
        seasonal_BLM, third_BLM = decompose(found_BLM, moving_average=self.moving_average)
        trend_BML = (first_BLM + second_BLM + third_BLM).transpose(1, 2)
        return seasonal_BLM, self.trend(trend_BML).transpose(1, 2)


class _Embedding(nn.Module):
    """Each row with its two neighbours, the ends joined, to d_model channels."""

    def __init__(self, d_model: int, *, dropout: float):
        super().__init__()
        self.convolution = nn.Conv1d(1, d_model, 3, padding=1, padding_mode="circular", bias=False)
        nn.init.kaiming_normal_(self.convolution.weight, mode="fan_in", nonlinearity="leaky_relu")
        self.dropout = nn.Dropout(dropout)

    def forward(self, series_BL1: Tensor) -> Tensor:
        return self.dropout(self.convolution(series_BL1.transpose(1, 2)).transpose(1, 2))


class _SeasonalNorm(nn.Module):
    """Layer norm without the mean over time, because what is seasonal has none."""

    def __init__(self, d_model: int):
        super().__init__()
        self.norm = nn.LayerNorm(d_model)

    def forward(self, hidden_BLM: Tensor) -> Tensor:
        normed_BLM = self.norm(hidden_BLM)
        return normed_BLM - normed_BLM.mean(dim=1, keepdim=True)


def _linear_layers(settings: AutoformerConfig) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(settings.d_model, settings.d_ff, bias=False),
        nn.GELU(),
        nn.Dropout(settings.dropout),
        nn.Linear(settings.d_ff, settings.d_model, bias=False),
        nn.Dropout(settings.dropout),
    )
