"""PatchTST: a transformer over the patches of one channel (Nie et al., ICLR 2023), as the library transformers has it.

Inputs: contexts, z-scored by channel. Outputs: forecasts on the same scale. The window is shifted and scaled to mean 0
and deviation 1, cut into patches, read by an encoder, flattened and projected to the horizon; the scaling is undone.

Departures from the published network. Layers normalise each patch on its own (layer norm) and not over the batch (batch
norm): so a window's gradient does not depend on the other windows of its batch, and parts of a batch, or several
processes, sum to the gradient of the whole. The library normalises before attention and not after it, has no attention
scores that are passed on from layer to layer, and leaves out the first rows where patches do not fit evenly, while the
published network repeats the last value at the end.

Shapes: B batch, T context, H horizon.
"""

from __future__ import annotations

from torch import Tensor, nn
from transformers import PatchTSTConfig as LibraryConfig
from transformers import PatchTSTForPrediction

from timellm.config import PatchTSTConfig
from timellm.errors import ConfigError
from timellm.forecasters.protocol import settings_of
from timellm.forecasters.trained import BuildJob, NetworkForecaster


class PatchTST(nn.Module):
    """The library's network for one channel, of which the prediction is used and not the loss.

    Raises:
        ConfigError: patches do not fit the context, or heads do not divide d_model.
    """

    def __init__(self, settings: PatchTSTConfig, *, context: int, horizon: int):
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

    def forward(self, context_BT: Tensor) -> Tensor:
        """[B, T] -> [B, H]."""
        return self.network(past_values=context_BT.unsqueeze(-1)).prediction_outputs.squeeze(-1)


class PatchTSTForecaster(NetworkForecaster):
    """A PatchTST that is trained step by step."""

    @classmethod
    def build(cls, job: BuildJob) -> nn.Module:
        """The network; see `PatchTST`."""
        return PatchTST(settings_of(job.config, PatchTSTConfig), context=job.context, horizon=job.horizon)


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
