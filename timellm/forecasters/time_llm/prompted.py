"""Prompts and patches through the frozen backbone: hidden states, or attention, at the patches come out.

For a causal backbone the prompt comes first and never sees the patches, so its keys and values depend on no trained
weight: they are computed without gradient, and only the P patch positions carry one. The tokens that all prompts share
(description and task) are computed once and kept. Both are exact. A bidirectional backbone (BERT) has no such order, so
prompt and patches run together. Every padded position is masked and positions continue at each prompt's true length.
A forecast therefore never depends on its batch (the published code pads without a mask).

Shapes: B batch, P patches, D backbone width, L prompt tokens, h heads.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from timellm.errors import BackboneError
from timellm.forecasters.time_llm.backbone import Backbone
from timellm.forecasters.time_llm.pass_sizes import LENGTHS
from timellm.forecasters.time_llm.precision import in_arithmetic
from timellm.forecasters.time_llm.prompt import shared_start
from timellm.forecasters.time_llm.prompt_reader import PromptReader


class PromptedBackbone:
    """Runs patches behind prompts through a backbone; not a module, because nothing in it trains."""

    def __init__(self, backbone: Backbone, *, examples: list[str]):
        """`examples` are a few prompts, none if there is no prompt; the tokens that all start with are computed once.

        They are found once, because a prefix chosen for each batch would let rounding make a forecast depend on its
        batch.
        """
        self.backbone = backbone
        ids = backbone.token_ids(examples) if examples else [[]]
        self.shared_ids = shared_start(ids)
        self._reader = PromptReader(backbone, shared_ids=self.shared_ids)
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
        return in_arithmetic(partial(self._hidden, read, tokens), patches_BPD, dtype=self.backbone.dtype)

    def keeping(self) -> AbstractContextManager[None]:
        """While this is open, keys and values of prompts are kept, up to a bound."""
        return self._reader.keeping()

    def behind(self, prompts: list[list[int]], *, patches: int) -> Callable[[Tensor], Tensor]:
        """The same prompts, settled and read once: a function of patches [B, P, D], for many of them behind one."""
        tokens = self._tokens(prompts, patches=patches, settled=True)
        read = self._together
        if self.backbone.causal:
            read = partial(self._after_cached_prompt, cache=self._read(tokens))

        return partial(in_arithmetic, partial(self._hidden, read, tokens), dtype=self.backbone.dtype)

    @torch.no_grad()
    def attention(self, prompt: list[int], *, patches_1PD: Tensor) -> list[Tensor]:
        """Attention of one window's patches in each layer, [h, P, L + P] in float32: to its tokens and its patches.

        The backbone's attention must be the library's "eager" one; no other gives its weights.

        Raises:
            BackboneError: prompt and patches together exceed the backbone's positions, or its code gives no weights.
        """
        patches = patches_1PD.shape[1]
        self.backbone.check_length(len(prompt), patches=patches)
        read = self._after_cached_prompt if self.backbone.causal else self._together
        output = read(self._pad([prompt], len(prompt)), patches_1PD.to(self.backbone.dtype), output_attentions=True)
        found = [layer for layer in output.attentions or () if layer is not None]
        if len(found) != self.backbone.layers:
            raise BackboneError(f"the code of {self.backbone.name} does not give the weights of its attention")
        return [layer[0, :, -patches:].float() for layer in found]

    def _hidden(self, read: Callable[..., Any], tokens: _Tokens, patches_BPD: Tensor) -> Tensor:
        """Hidden states at the patches, which come last."""
        hidden: Tensor = read(tokens, patches_BPD).last_hidden_state
        return hidden[:, -patches_BPD.shape[1] :]

    def _tokens(self, prompts: list[list[int]], *, patches: int, settled: bool) -> _Tokens:
        longest = max(map(len, prompts))
        self.backbone.check_length(longest, patches=patches)
        # No tokens at all need no room.
        settled = settled and longest > 0
        length = max(_round_up(longest, 16), self._room) if settled else _round_up(longest, LENGTHS)
        return self._pad(prompts, length, settled=settled)

    def _together(self, tokens: _Tokens, patches_BPD: Tensor, **asked: bool) -> Any:
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
            **asked,
        )

    def _after_cached_prompt(
        self, tokens: _Tokens, patches_BPD: Tensor, cache: DynamicCache | None = None, **asked: bool
    ) -> Any:
        """Patches alone, against the keys and values of their prompts, which are read now unless `cache` has them."""
        mask_BL, positions_BP = tokens.mask, tokens.patch_positions(patches_BPD.shape[1])
        cache = self._read(tokens) if cache is None else cache
        return self.backbone.model(
            inputs_embeds=patches_BPD,
            attention_mask=torch.cat([mask_BL, mask_BL.new_ones(positions_BP.shape)], dim=1),
            position_ids=positions_BP,
            past_key_values=cache,
            use_cache=False,  # it is read, and not kept
            **asked,
        )

    def _read(self, tokens: _Tokens) -> DynamicCache | None:
        """Keys and values of the prompts, closed to writing; None without prompts."""
        length = tokens.ids.shape[1]
        return self._reader.read(tokens.prompts, length=length, lasting=tokens.settled) if length else None

    def _pad(self, prompts: list[list[int]], length: int, *, settled: bool = True) -> _Tokens:
        pad, device = self.backbone.pad_token_id, self.backbone.device
        ids_BL = torch.tensor([ids + [pad] * (length - len(ids)) for ids in prompts], dtype=torch.long, device=device)
        lengths_B1 = torch.tensor([[len(ids)] for ids in prompts], device=device)
        mask_BL = (torch.arange(length, device=device) < lengths_B1).long()
        return _Tokens([tuple(ids) for ids in prompts], ids_BL, mask_BL, lengths_B1, settled)


@dataclass(frozen=True)
class _Tokens:
    """Prompts, and the same padded at the end: ids [B, L], their mask [B, L], their true lengths [B, 1]."""

    prompts: list[tuple[int, ...]]
    ids: Tensor
    mask: Tensor
    lengths: Tensor
    settled: bool
    """Whether nothing trains on them, and they may be read again."""

    def patch_positions(self, patches: int) -> Tensor:
        """Positions [B, P] of the patches: they continue at the true end of each prompt."""
        return self.lengths + torch.arange(patches, device=self.lengths.device)


def _round_up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple
