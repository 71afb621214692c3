"""Time-LLM assembled: reads like Figure 2 of the paper (ICLR'24, arXiv 2310.01728).

One channel's window in, its forecast out, both in the window's own units. What is registered here trains and is saved;
the frozen backbone is held beside it.

Shapes: B batch, T context, H horizon, P patches, M d_model, V prototypes, D backbone width, L prompt tokens.

For a causal backbone the prompt comes first and never sees the patches, so its keys and values depend on no trained
weight: they are computed without gradient, and only the P patch positions carry one. The tokens that all prompts share
(description and task) are computed once and kept. Both are exact. A bidirectional backbone (BERT) has no such order, so
prompt and patches run together. Every padded position is masked and positions continue at each prompt's true length.
A forecast therefore never depends on its batch (the published code pads without a mask).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from timellm.config import ModelConfig
from timellm.data.events import event_names
from timellm.data.told import example_words
from timellm.forecasters.time_llm.ablation import LinearMap, PatchesAlone, TrainedLayer
from timellm.forecasters.time_llm.backbone import Backbone
from timellm.forecasters.time_llm.fast.attention import only_keys_and_values
from timellm.forecasters.time_llm.fast.checkpointing import checkpoint_layers, read_only
from timellm.forecasters.time_llm.head import ForecastHead
from timellm.forecasters.time_llm.linear_path import LinearPath, LinearShare
from timellm.forecasters.time_llm.masks import NO_MASKS, Masks, Opened
from timellm.forecasters.time_llm.patching import PatchEmbedding, instance_norm
from timellm.forecasters.time_llm.precision import in_arithmetic
from timellm.forecasters.time_llm.prompt import PromptTemplate
from timellm.forecasters.time_llm.prototypes import prototypes_of
from timellm.forecasters.time_llm.reprogramming import Reprogramming


class TimeLLM(nn.Module):
    """The adapters around a frozen backbone.

    Raises:
        BackboneError: prompt and patches together exceed the backbone's positions.
    """

    def __init__(self, config: ModelConfig, *, backbone: Backbone, description: str, first: bool = True):
        """With `first`, all weights are those that training begins with; others are about to be put in their place."""
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
        self.linear_share = LinearShare(horizon=config.horizon) if config.linear_path == "weighted" else None
        self.linear_path: LinearPath | None = None
        if config.linear_path == "trained":
            self.linear_path = LinearPath(context=config.context, horizon=config.horizon)
        examples = self.template.examples(_told_examples(config, backbone)) if config.has_prompt else []
        self.reader = reader_of(config, backbone, examples=examples)
        backbone.check_length(self.reader.longest, patches=config.patches)  # before anything trains, not at some batch
        self.to(backbone.device)

    def forward(
        self, context_BT: Tensor, told: Sequence[str] | None = None, *, base_BH: Tensor | None = None
    ) -> Tensor:
        """[B, T] -> [B, H].

        `told` says in words where each window lies in time, if the settings ask for it. `base_BH` is the forecast of
        the ridge, to which this network adds; without one it adds to the mean of the context, as in the paper.

        Raises:
            BackboneError: prompt and patches together exceed the backbone's positions.
        """
        base_BH = self._base(context_BT, base_BH)
        if base_BH is not None and not self.training and self.head.is_zero():
            return base_BH  # no step was kept: nothing would be added, at the cost of a pass
        windows, prompts = self._embedded(context_BT, told, base_BH)
        settled = not self.training
        return self._forecast(windows, lambda patches: self.reader(prompts, patches_BPD=patches, settled=settled))

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

    def _base(self, context_BT: Tensor, base_BH: Tensor | None) -> Tensor | None:
        """The linear path with what was learned on it."""
        if base_BH is not None and self.linear_share is not None:
            base_BH = self.linear_share(base_BH, mean_B1=context_BT.double().mean(dim=1, keepdim=True).to(base_BH))
        if base_BH is not None and self.linear_path is not None:
            base_BH = base_BH + self.linear_path(context_BT)
        return base_BH

    def _embedded(
        self, context_BT: Tensor, told: Sequence[str] | None, base_BH: Tensor | None
    ) -> tuple[_Windows, list[list[int]]]:
        """Patches with what makes a forecast of them, and the prompts."""
        normed_BT, mean_B1, deviation_B1 = instance_norm(context_BT, as_published=self.config.statistic_digits == 0)
        prompts: list[list[int]] = [[]] * len(normed_BT)
        if self.config.has_prompt:
            prompts = self.reader.backbone.token_ids(self.template.texts(normed_BT, told))
        return _Windows(self.patch_embedding(normed_BT), deviation_B1, mean_B1 if base_BH is None else base_BH), prompts

    def _forecast(
        self,
        windows: _Windows,
        hidden: Callable[[Tensor], Tensor],
        masks: Masks = NO_MASKS,
        patches_BPM: Tensor | None = None,
    ) -> Tensor:
        """[B, H]; `hidden` reads patches [B, P, D] behind their prompts, `patches_BPM` are there instead of its own."""
        given: dict[str, Any] = {} if self.prototypes is None else {"prototypes_VD": self.prototypes()}
        if masks is not NO_MASKS:
            given["masks"] = masks
        patches_BPM = windows.patches_BPM if patches_BPM is None else patches_BPM
        reprogrammed_BPD = self.reprogramming(patches_BPM, **given)
        hidden_BPD = hidden(reprogrammed_BPD)
        return self.head(hidden_BPD[..., : self.kept]) * windows.deviation_B1 + windows.base_BH

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


class PromptedBackbone:
    """Runs patches behind prompts through a backbone; not a module, because nothing in it trains."""

    def __init__(self, backbone: Backbone, *, examples: list[str]):
        """`examples` are a few prompts, none if there is no prompt; the tokens that all start with are computed once.

        It is found on token ids, because a tokenizer may merge tokens across any border of the text. It is found
        once, because a prefix chosen for each batch would let rounding make a forecast depend on its batch.
        """
        self.backbone = backbone
        ids = backbone.token_ids(examples) if examples else [[]]
        first, last = min(ids), max(ids)  # the two that part first
        shared = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), 0)
        self.shared_ids = first[:shared]
        self._prefix: list[tuple[Tensor, Tensor]] = []
        # Prompts differ by a few digits: room for the longest example and a little more holds them all.
        self.longest = max(map(len, ids)) + 4 if examples else 0
        self._room = _round_up(self.longest, 16)

    def __call__(self, prompts: list[list[int]], *, patches_BPD: Tensor, settled: bool = False) -> Tensor:
        """Hidden states [B, P, D] in float32 at the patches.

        `settled` pads every batch to the same length. Masked positions change no result, but they move the others, and
        in bfloat16 a sum in another order can round to another forecast.
        """
        tokens = self._tokens(prompts, patches=patches_BPD.shape[1], settled=settled)
        read = self._after_cached_prompt if self.backbone.causal else self._together
        return in_arithmetic(lambda patches: read(tokens, patches), patches_BPD, dtype=self.backbone.dtype)

    def behind(self, prompts: list[list[int]], *, patches: int) -> Callable[[Tensor], Tensor]:
        """The same prompts, settled and read once: a function of patches [B, P, D], for many of them behind one."""
        tokens = self._tokens(prompts, patches=patches, settled=True)
        read = self._together
        if self.backbone.causal:
            read = partial(self._after_cached_prompt, cache=self._read(tokens))

        return partial(in_arithmetic, partial(read, tokens), dtype=self.backbone.dtype)

    def _tokens(self, prompts: list[list[int]], *, patches: int, settled: bool) -> _Tokens:
        longest = max(map(len, prompts))
        self.backbone.check_length(longest, patches=patches)
        # Otherwise to a multiple of 8: the library keeps buffers for every shape of matrix product it has ever seen.
        return self._pad(prompts, max(_round_up(longest, 16), self._room) if settled else _round_up(longest, 8))

    def _together(self, tokens: _Tokens, patches_BPD: Tensor) -> Tensor:
        """Prompt and patches in one bidirectional pass."""
        ids_BL, mask_BL, positions_BP = tokens.ids, tokens.mask, tokens.patch_positions(patches_BPD.shape[1])
        embedded_BLD = self.backbone.model.get_input_embeddings()(ids_BL)
        # A padded position is masked; it only needs some position the model has.
        last = (self.backbone.max_positions or ids_BL.shape[1]) - 1
        token_positions = torch.arange(ids_BL.shape[1], device=ids_BL.device).clamp(max=last).expand_as(ids_BL)
        return self.backbone.model(
            inputs_embeds=torch.cat([embedded_BLD, patches_BPD], dim=1),
            attention_mask=torch.cat([mask_BL, mask_BL.new_ones(positions_BP.shape)], dim=1),
            position_ids=torch.cat([token_positions, positions_BP], dim=1),
        ).last_hidden_state[:, ids_BL.shape[1] :]

    def _after_cached_prompt(self, tokens: _Tokens, patches_BPD: Tensor, cache: DynamicCache | None = None) -> Tensor:
        """Patches alone, against the keys and values of their prompts, which are read now unless `cache` has them."""
        mask_BL, positions_BP = tokens.mask, tokens.patch_positions(patches_BPD.shape[1])
        cache = self._read(tokens) if cache is None else cache
        return self.backbone.model(
            inputs_embeds=patches_BPD,
            attention_mask=torch.cat([mask_BL, mask_BL.new_ones(positions_BP.shape)], dim=1),
            position_ids=positions_BP,
            past_key_values=cache,
            use_cache=False,  # it is read, and not kept
        ).last_hidden_state

    @torch.no_grad()
    def _read(self, tokens: _Tokens) -> DynamicCache | None:
        """Keys and values of the prompts, closed to writing; None without prompts."""
        return read_only(self._prompt_cache(tokens)) if tokens.ids.shape[1] else None

    def _prompt_cache(self, tokens: _Tokens) -> DynamicCache:
        ids_BL, cache = tokens.ids, DynamicCache()
        # A prompt that the examples did not foresee shares nothing.
        shared = len(self.shared_ids) if tokens.foreseen else 0
        if shared:
            size = len(ids_BL)
            cache = DynamicCache(
                [(key.expand(size, -1, -1, -1), value.expand(size, -1, -1, -1)) for key, value in self._kept()]
            )
        rest_BL = ids_BL[:, shared:]
        with only_keys_and_values(self.backbone.layers):
            self.backbone.model(
                input_ids=rest_BL,
                attention_mask=tokens.mask,
                position_ids=torch.arange(shared, ids_BL.shape[1], device=ids_BL.device).expand_as(rest_BL),
                past_key_values=cache,
                use_cache=True,
            )
        return cache

    def _kept(self) -> list[tuple[Tensor, Tensor]]:
        """Keys and values [1, heads, tokens, size] of the shared prefix in each layer, computed at first use."""
        if not self._prefix:
            ids = torch.tensor([self.shared_ids], device=self.backbone.device)
            cache = DynamicCache()
            self.backbone.model(input_ids=ids, past_key_values=cache, use_cache=True)
            self._prefix = [(layer.keys, layer.values) for layer in cache.layers]
        return self._prefix

    def _pad(self, prompts: list[list[int]], length: int) -> _Tokens:
        pad, device = self.backbone.pad_token_id, self.backbone.device
        ids_BL = torch.tensor([ids + [pad] * (length - len(ids)) for ids in prompts], dtype=torch.long, device=device)
        lengths_B1 = torch.tensor([[len(ids)] for ids in prompts], device=device)
        shared = len(self.shared_ids)
        foreseen = shared < length and all(ids[:shared] == self.shared_ids for ids in prompts)
        return _Tokens(ids_BL, (torch.arange(length, device=device) < lengths_B1).long(), lengths_B1, foreseen)


def reader_of(
    config: ModelConfig, backbone: Backbone, *, examples: list[str]
) -> PromptedBackbone | TrainedLayer | PatchesAlone:
    """What the settings let read prompts and patches; `examples` are a few prompts, none if there is no prompt."""
    if config.body == "none":
        return PatchesAlone(backbone)
    if config.body in ("attention", "transformer_block"):
        return TrainedLayer(backbone, feed_forward=config.body == "transformer_block", examples=examples)
    return PromptedBackbone(backbone, examples=examples)


@dataclass(frozen=True)
class _Tokens:
    """Prompts padded at the end: ids [B, L], their mask [B, L], their true lengths [B, 1]."""

    ids: Tensor
    mask: Tensor
    lengths: Tensor
    foreseen: bool
    """All of them start with the shared tokens."""

    def patch_positions(self, patches: int) -> Tensor:
        """Positions [B, P] of the patches: they continue at the true end of each prompt."""
        return self.lengths + torch.arange(patches, device=self.lengths.device)


def _told_examples(config: ModelConfig, backbone: Backbone) -> list[str]:
    """Examples of what a prompt says of time, with the names of events that take most tokens."""
    names = event_names(config) if config.tells_time else ()
    tokens = {name: len(backbone.token_ids([name])[0]) for name in set(names)}
    return example_words(config, sorted(names, key=lambda name: (-tokens[name], name)))


def _round_up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple
