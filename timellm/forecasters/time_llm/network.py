"""Time-LLM assembled: reads like Figure 2 of the paper (ICLR'24, arXiv 2310.01728).

One channel's window in, its forecast out, both in the window's own units. What is registered here trains and is saved;
the frozen backbone is held beside it.

Shapes: B batch, T context, H horizon, P patches, M d_model, V prototypes, D backbone width, L prompt tokens, Q
quantiles.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from timellm.config import ModelConfig
from timellm.errors import BackboneError
from timellm.forecasters.quantile_head import QuantileHead
from timellm.forecasters.time_llm.ablation import LinearMap, PatchesAlone, TrainedLayer
from timellm.forecasters.time_llm.backbone import Backbone
from timellm.forecasters.time_llm.fast.checkpointing import checkpoint_layers
from timellm.forecasters.time_llm.head import ForecastHead
from timellm.forecasters.time_llm.linear_path import LinearPath, LinearShare
from timellm.forecasters.time_llm.masks import NO_MASKS, Masks, Opened
from timellm.forecasters.time_llm.patching import PatchEmbedding, instance_norm
from timellm.forecasters.time_llm.prompt import PromptTemplate
from timellm.forecasters.time_llm.prompted import PromptedBackbone
from timellm.forecasters.time_llm.prototypes import prototypes_of
from timellm.forecasters.time_llm.reprogramming import Reprogramming


class TimeLLM(nn.Module):
    """The adapters around a frozen backbone.

    Raises:
        BackboneError: prompt and patches together exceed the backbone's positions.
    """

    def __init__(self, config: ModelConfig, *, backbone: Backbone, description: str, first: bool = True, rows: int = 1):
        """With `first`, all weights are those that training begins with; others are about to be put in their place.

        `rows`: channels whose quantiles have numbers of their own.
        """
        super().__init__()
        self.config = config
        self.template = PromptTemplate(description, config)
        self.patch_embedding = PatchEmbedding(
            patch_length=config.patch_length,
            stride=config.stride,
            d_model=config.d_model,
            dropout=config.dropout,
            rounded=config.round_patches,
        )
        self.prototypes: nn.Module | None = None
        self.reprogramming: nn.Module
        if config.reprogramming == "linear":
            self.reprogramming = LinearMap(d_model=config.d_model, width=backbone.width)
        else:
            self.prototypes = prototypes_of(config, backbone, first=first)
            self.reprogramming = Reprogramming(
                d_model=config.d_model,
                heads=config.heads,
                keys=config.d_ff,
                width=backbone.width,
                dropout=config.attention_dropout,
                cosine=config.attention_scores == "cosine",
                fast=config.fast_code,
            )
        # A backbone narrower than d_ff has fewer channels to keep.
        self.kept = min(config.d_ff, backbone.width)
        self.head = ForecastHead(
            patches=config.patches, channels=self.kept, horizon=config.horizon, dropout=config.dropout
        )
        self.quantile_levels = config.quantiles
        self.quantile_head: QuantileHead | None = None
        if config.quantiles:
            features = config.patches * self.kept
            self.quantile_head = QuantileHead(config.quantiles, features=features, horizon=config.horizon, rows=rows)
        self.linear_share = LinearShare(horizon=config.horizon) if config.linear_path == "weighted" else None
        self.linear_path: LinearPath | None = None
        if config.linear_path == "trained":
            self.linear_path = LinearPath(context=config.context, horizon=config.horizon)
        examples = self.template.examples_for(backbone.token_ids) if config.has_prompt else []
        self.reader = reader_of(config, backbone, examples=examples)
        backbone.check_length(self.reader.longest, patches=config.patches)  # before anything trains, not at some batch
        self.to(backbone.device)

    def forward(
        self,
        context_BT: Tensor,
        told: Sequence[str] | None = None,
        *,
        base_BH: Tensor | None = None,
        texts: list[str] | None = None,
        channel_B: Tensor | None = None,
    ) -> Tensor:
        """[B, T] -> [B, H]; with channels -> [B, H, 1 + Q], the offsets of quantiles behind the forecast.

        `told` says in words where each window lies in time, if the settings ask for it. `base_BH` is the forecast of
        the ridge, to which this network adds; without one it adds to the mean of the context, as in the paper. `texts`
        are read in place of the windows' own prompts, to see what the prompts do.

        Raises:
            BackboneError: prompt and patches together exceed the backbone's positions.
        """
        base_BH = self._base(context_BT, base_BH)
        quantiles = self.quantile_head if channel_B is not None else None
        if base_BH is not None and not self.training and self.head.is_zero():
            # No step was kept: nothing would be added, at the cost of a pass.
            if quantiles is None:
                return base_BH
            if quantiles.is_zero():
                return torch.cat([base_BH.unsqueeze(-1), quantiles(None, context_BT, channel_B)], dim=-1)
        windows, prompts = self._embedded(context_BT, told, base_BH, texts)
        patches_BPD = self._reprogrammed(windows.patches_BPM)
        hidden_BPF = self.reader(prompts, patches_BPD=patches_BPD, settled=not self.training)[..., : self.kept]
        forecast_BH = self.head(hidden_BPF) * windows.deviation_B1 + windows.base_BH
        if quantiles is None:
            return forecast_BH
        return torch.cat([forecast_BH.unsqueeze(-1), quantiles(hidden_BPF.flatten(1), context_BT, channel_B)], dim=-1)

    def forecast_start(self) -> dict[str, Tensor]:
        """The weights that decide the forecast beside the linear path, as they are before training, by name."""
        start = {f"head.linear.{name}": torch.zeros_like(one) for name, one in self.head.linear.named_parameters()}
        if self.linear_share is not None:
            start["linear_share.share_H"] = torch.ones_like(self.linear_share.share_H)
        if self.linear_path is not None:
            start["linear_path.weight_FH"] = torch.zeros_like(self.linear_path.weight_FH)
        return start

    def opened(self, context_BT: Tensor, told: Sequence[str] | None = None, *, base_BH: Tensor | None = None) -> Opened:
        """The same windows, whose prompts are read once, to be forecast many times with masks or other patches.

        For a network in evaluation mode. Without masks it forecasts what `forward` does, to the bit.

        Raises:
            BackboneError: prompt and patches together exceed the backbone's positions.
        """
        windows, prompts = self._embedded(context_BT, told, self._base(context_BT, base_BH))

        def hidden(patches_BPD: Tensor) -> Tensor:
            return self.reader(prompts, patches_BPD=patches_BPD, settled=True)

        once = isinstance(self.reader, PromptedBackbone)
        read = self.reader.behind(prompts, patches=windows.patches_BPM.shape[1]) if once else hidden
        return Opened(windows.patches_BPM, partial(self._forecast, windows, read))

    @torch.no_grad()
    def attention_to_prompt(self, context_1T: Tensor, told: Sequence[str] | None = None) -> list[Tensor]:
        """One window's attention in the backbone, layer by layer: see `PromptedBackbone.attention`.

        Raises:
            BackboneError: something else reads the patches, or the backbone's code gives no weights.
        """
        if not isinstance(self.reader, PromptedBackbone):
            raise BackboneError(f"no language model reads the patches of this run (body={self.config.body})")
        windows, (prompt,) = self._embedded(context_1T, told, None)
        return self.reader.attention(prompt, patches_1PD=self._reprogrammed(windows.patches_BPM))

    def _base(self, context_BT: Tensor, base_BH: Tensor | None) -> Tensor | None:
        """The linear path with what was learned on it."""
        if base_BH is not None and self.linear_share is not None:
            base_BH = self.linear_share(base_BH, mean_B1=context_BT.double().mean(dim=1, keepdim=True).to(base_BH))
        if base_BH is not None and self.linear_path is not None:
            base_BH = base_BH + self.linear_path(context_BT)
        return base_BH

    def _embedded(
        self,
        context_BT: Tensor,
        told: Sequence[str] | None,
        base_BH: Tensor | None,
        texts: list[str] | None = None,
    ) -> tuple[_Windows, list[list[int]]]:
        """Patches with what makes a forecast of them, and the prompts."""
        normed_BT, mean_B1, deviation_B1 = instance_norm(context_BT, as_published=self.config.statistic_digits == 0)
        prompts: list[list[int]] = [[]] * len(normed_BT)
        if self.config.has_prompt:
            prompts = self.reader.backbone.token_ids(texts or self.template.texts(normed_BT, told))
        return _Windows(self.patch_embedding(normed_BT), deviation_B1, mean_B1 if base_BH is None else base_BH), prompts

    def _forecast(
        self,
        windows: _Windows,
        hidden: Callable[[Tensor], Tensor],
        masks: Masks = NO_MASKS,
        patches_BPM: Tensor | None = None,
    ) -> Tensor:
        """[B, H]; `hidden` reads patches [B, P, D] behind their prompts, `patches_BPM` are there instead of its own."""
        hidden_BPD = hidden(self._reprogrammed(windows.patches_BPM if patches_BPM is None else patches_BPM, masks))
        return self.head(hidden_BPD[..., : self.kept]) * windows.deviation_B1 + windows.base_BH

    def _reprogrammed(self, patches_BPM: Tensor, masks: Masks = NO_MASKS) -> Tensor:
        """[B, P, M] -> [B, P, D], what the backbone reads."""
        given: dict[str, Any] = {} if self.prototypes is None else {"prototypes_VD": self.prototypes()}
        if masks is not NO_MASKS:
            given["masks"] = masks
        reprogrammed_BPD: Tensor = self.reprogramming(patches_BPM, **given)
        return reprogrammed_BPD

    def keeping_prompts(self) -> AbstractContextManager[None]:
        """While this is open, what the language model made of prompts is kept for windows that say the same."""
        return self.reader.keeping() if isinstance(self.reader, PromptedBackbone) else nullcontext()

    def checkpoint_gradients(self) -> None:
        """Keep only each backbone layer's input from now on, and run the layer again for its gradient.

        Raises:
            BackboneError: the backbone's own code has no layers that can be run again.
        """
        checkpoint_layers(self.reader.backbone.model, name=self.reader.backbone.name)


@dataclass(frozen=True)
class _Windows:
    """Patch embeddings [B, P, M], and what a forecast is multiplied by [B, 1] and added to [B, H] or [B, 1]."""

    patches_BPM: Tensor
    deviation_B1: Tensor
    base_BH: Tensor


def reader_of(
    config: ModelConfig, backbone: Backbone, *, examples: list[str]
) -> PromptedBackbone | TrainedLayer | PatchesAlone:
    """What the settings let read prompts and patches; `examples` are a few prompts, none if there is no prompt."""
    if config.body == "none":
        return PatchesAlone(backbone)
    if config.body in ("attention", "transformer_block"):
        return TrainedLayer(backbone, feed_forward=config.body == "transformer_block", examples=examples)
    return PromptedBackbone(backbone, examples=examples)
