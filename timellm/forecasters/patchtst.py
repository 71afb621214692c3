"""PatchTST: a transformer over the patches of one channel (Nie et al., ICLR 2023), as the library transformers has it.

Inputs: contexts, z-scored by channel. Outputs: forecasts on the same scale. The window is shifted and scaled to mean 0
and deviation 1, cut into patches, read by an encoder, flattened and projected to the horizon; the scaling is undone.

Departures from the published network. Layers normalise each patch on its own (layer norm) and not over the batch (batch
norm): so a window's gradient does not depend on the other windows of its batch, and parts of a batch, or several
processes, sum to the gradient of the whole. The library normalises before attention and not after it, has no attention
scores that are passed on from layer to layer, and leaves out the first rows where patches do not fit evenly, while the
published network repeats the last value at the end. Quantiles, if there are any, have a head of their own over the same
patches (timellm.forecasters.quantile_head).

Shapes: B batch, T context, H horizon, Q quantiles.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import PatchTSTConfig as LibraryConfig
from transformers import PatchTSTForPrediction

from timellm.config import PatchTSTConfig
from timellm.errors import ConfigError
from timellm.forecasters.protocol import settings_of
from timellm.forecasters.quantile_head import QuantileHead
from timellm.forecasters.quantile_head_size import rows_of
from timellm.forecasters.trained import BuildJob, NetworkForecaster


class PatchTST(nn.Module):
    """The library's network for one channel, of which the prediction is used and not the loss.

    Raises:
        ConfigError: patches do not fit the context, or heads do not divide d_model.
    """

    def __init__(self, settings: PatchTSTConfig, *, context: int, horizon: int, rows: int = 1):
        """`rows`: channels whose quantiles have numbers of their own."""
        super().__init__()
        _check(settings, context)
        self.network = PatchTSTForPrediction(
            LibraryConfig(
                num_input_channels=1,
                context_length=context,
                prediction_length=horizon,
                patch_length=settings.patch_length,
                patch_stride=settings.stride,
                d_model=settings.d_model,
                num_attention_heads=settings.heads,
                ffn_dim=settings.d_ff,
                num_hidden_layers=settings.layers,
                positional_dropout=settings.dropout,
                path_dropout=settings.dropout,
                ff_dropout=settings.dropout,
                norm_type="layernorm",
                positional_encoding_type="random",
                scaling="std",
                pooling_type=None,  # the published head reads all patches; the library's default averages them
            )
        )
        # The published position encoding is learned and starts small; the library's learned one starts at deviation 1.
        nn.init.uniform_(self.network.model.encoder.positional_encoder.position_enc, -0.02, 0.02)
        self.quantile_levels = settings.quantiles
        if settings.quantiles:
            features = self.network.head.projection.in_features
            self.quantile_head = QuantileHead(settings.quantiles, features=features, horizon=horizon, rows=rows)

    def forward(self, context_BT: Tensor, *, channel_B: Tensor | None = None) -> Tensor:
        """[B, T] -> [B, H]; with channels -> [B, H, 1 + Q], the offsets of quantiles behind the forecast."""
        if channel_B is None:
            return self.network(past_values=context_BT.unsqueeze(-1)).prediction_outputs.squeeze(-1)
        found = self.network.model(past_values=context_BT.unsqueeze(-1))
        hidden_B1PM = found.last_hidden_state
        forecast_BH1 = self.network.head(hidden_B1PM) * found.scale + found.loc
        offset_BHQ = self.quantile_head(hidden_B1PM.flatten(1), context_BT, channel_B)
        return torch.cat([forecast_BH1, offset_BHQ], dim=-1)


class PatchTSTForecaster(NetworkForecaster):
    """A PatchTST that is trained step by step."""

    @classmethod
    def build(cls, job: BuildJob) -> nn.Module:
        """The network; see `PatchTST`."""
        settings = settings_of(job.config, PatchTSTConfig)
        return PatchTST(settings, context=job.context, horizon=job.horizon, rows=rows_of(job.config))


def _check(settings: PatchTSTConfig, context: int) -> None:
    if settings.patch_length >= context:
        raise ConfigError(
            f"setting 'patch_length' is {settings.patch_length}, but the context has only {context} rows and must be"
            f" longer than a patch; use at most {context - 1}, or raise 'context'"
        )
    if settings.stride > settings.patch_length:
        raise ConfigError(
            f"setting 'stride' is {settings.stride} and skips rows between patches of {settings.patch_length}; use at"
            f" most {settings.patch_length}"
        )
    if settings.d_model % settings.heads:
        raise ConfigError(
            f"setting 'heads' is {settings.heads}, which does not divide d_model {settings.d_model}; choose a divisor"
        )
