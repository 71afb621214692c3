"""Time-LLM assembled: reads like Figure 2 of the paper (ICLR'24, arXiv 2310.01728).

One channel's window in, its forecast out, both in the window's own units. What is registered here trains and is saved;
the frozen backbone is held beside it.

Shapes: B batch, T context, H horizon, P patches, M d_model, V prototypes, D backbone width, L prompt tokens.

For a causal backbone the prompt comes first and never sees the patches, so its keys and values depend on no trained
weight: they are computed without gradient, and only the P patch positions carry one. The tokens that all prompts share
(description and task) are computed once and kept. Both are exact. A bidirectional backbone (BERT) has no such order, so
prompt and patches run together. Every padded position is masked and positions continue at each prompt's true length;
a forecast therefore never depends on what it was batched with (the published code pads without a mask).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from timellm.config import ModelConfig
from timellm.model.backbone import Backbone
from timellm.model.head import ForecastHead
from timellm.model.patching import PatchEmbedding, instance_norm
from timellm.model.prompt import PromptTemplate
from timellm.model.prototypes import DirectPrototypes, MappedPrototypes
from timellm.model.reprogramming import Reprogramming


class TimeLLM(nn.Module):
    """The adapters around a frozen backbone."""

    def __init__(self, config: ModelConfig, *, backbone: Backbone, description: str):
        super().__init__()
        self.config = config
        self.template = PromptTemplate(description, config.context, config.horizon, config.prompt_style)
        self.patch_embedding = PatchEmbedding(
            patch_length=config.patch_length, stride=config.stride, d_model=config.d_model, dropout=config.dropout
        )
        source = {"direct": DirectPrototypes, "map": MappedPrototypes}[config.prototype_source]
        self.prototypes = source(backbone.word_embeddings().cpu(), count=config.prototypes)
        self.reprogramming = Reprogramming(
            d_model=config.d_model,
            heads=config.heads,
            keys=config.d_ff,
            width=backbone.width,
            dropout=config.attention_dropout,
        )
        # A backbone narrower than d_ff has fewer channels to keep.
        self.kept = min(config.d_ff, backbone.width)
        self.head = ForecastHead(
            patches=config.patches, channels=self.kept, horizon=config.horizon, dropout=config.dropout
        )
        self.reader = PromptedBackbone(backbone)
        self.to(backbone.device)

    def forward(self, context_BT: Tensor) -> Tensor:
        """[B, T] -> [B, H].

        Raises:
            BackboneError: prompt and patches together exceed the backbone's positions.
        """
        normed_BT, mean_B1, deviation_B1 = instance_norm(context_BT)
        prompts = self.reader.backbone.token_ids(self.template.texts(normed_BT))
        patches_BPM = self.patch_embedding(self.patch_input(normed_BT))
        reprogrammed_BPD = self.reprogramming(patches_BPM, prototypes_VD=self.prototypes())
        hidden_BPD = self.reader(prompts, patches_BPD=reprogrammed_BPD)
        return self.head(hidden_BPD[..., : self.kept]) * deviation_B1 + mean_B1

    def patch_input(self, normed_BT: Tensor) -> Tensor:
        """What is cut into patches: the normalised window [B, T], rounded if the configuration says so."""
        return normed_BT.bfloat16().float() if self.config.round_patches else normed_BT


class PromptedBackbone:
    """Runs patches behind prompts through a backbone; not a module, because nothing in it trains."""

    def __init__(self, backbone: Backbone):
        self.backbone = backbone
        self._prefix_ids: list[int] = []
        self._prefix: list[tuple[Tensor, Tensor]] = []  # keys and values [1, heads, tokens, size] of each layer

    def __call__(self, prompts: list[list[int]], *, patches_BPD: Tensor) -> Tensor:
        """Hidden states [B, P, D] in float32 at the patches."""
        longest = max(map(len, prompts))
        self.backbone.check_length(longest, patches=patches_BPD.shape[1])
        patches = patches_BPD.to(self.backbone.dtype)
        run = self._after_cached_prompt if self.backbone.causal else self._together
        return run(prompts, patches).float()

    def _together(self, prompts: list[list[int]], patches_BPD: Tensor) -> Tensor:
        """Prompt and patches in one bidirectional pass."""
        ids_BL, mask_BL, positions_BP = self._padded(prompts, patches_BPD.shape[1])
        embedded_BLD = self.backbone.model.get_input_embeddings()(ids_BL)
        token_positions = torch.arange(ids_BL.shape[1], device=ids_BL.device).expand_as(ids_BL)
        return self.backbone.model(
            inputs_embeds=torch.cat([embedded_BLD, patches_BPD], dim=1),
            attention_mask=torch.cat([mask_BL, mask_BL.new_ones(positions_BP.shape)], dim=1),
            # A padded position is masked; it only needs some position the model has.
            position_ids=torch.cat([token_positions, positions_BP], dim=1),
        ).last_hidden_state[:, ids_BL.shape[1] :]

    def _after_cached_prompt(self, prompts: list[list[int]], patches_BPD: Tensor) -> Tensor:
        """Patches alone, against the keys and values of their prompts."""
        ids_BL, mask_BL, positions_BP = self._padded(prompts, patches_BPD.shape[1])
        with torch.no_grad():
            cache = self._prompt_cache(prompts, ids_BL, mask_BL)
        return self.backbone.model(
            inputs_embeds=patches_BPD,
            attention_mask=torch.cat([mask_BL, mask_BL.new_ones(positions_BP.shape)], dim=1),
            position_ids=positions_BP,
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state

    def _prompt_cache(self, prompts: list[list[int]], ids_BL: Tensor, mask_BL: Tensor) -> DynamicCache:
        shared = self._shared_prefix(prompts)
        cache = DynamicCache(
            [
                (key.expand(len(prompts), -1, -1, -1), value.expand(len(prompts), -1, -1, -1))
                for key, value in self._prefix
            ]
        )
        rest_BL = ids_BL[:, shared:]
        self.backbone.model(
            input_ids=rest_BL,
            attention_mask=mask_BL,
            position_ids=torch.arange(shared, ids_BL.shape[1], device=ids_BL.device).expand_as(rest_BL),
            past_key_values=cache,
            use_cache=True,
        )
        return cache

    def _shared_prefix(self, prompts: list[list[int]]) -> int:
        """Length of the kept prefix, found on token ids because tokenizers may merge across any border of the text."""
        start, end = min(prompts), max(prompts)  # the two that differ first differ most
        common = next(
            (i for i, pair in enumerate(zip(start, end, strict=False)) if pair[0] != pair[1]), min(len(start), len(end))
        )
        common = min(common, min(map(len, prompts)) - 1)  # at least one token is left to run
        kept = self._prefix_ids
        if not kept or start[: len(kept)] != kept or common < len(kept):
            self._keep_prefix(start[:common])
        return len(self._prefix_ids)

    def _keep_prefix(self, ids: list[int]) -> None:
        self._prefix_ids, self._prefix = ids, []
        if ids:
            cache = DynamicCache()
            self.backbone.model(
                input_ids=torch.tensor([ids], device=self.backbone.device), past_key_values=cache, use_cache=True
            )
            self._prefix = [(layer.keys, layer.values) for layer in cache.layers]

    def _padded(self, prompts: list[list[int]], patches: int) -> tuple[Tensor, Tensor, Tensor]:
        """Token ids [B, L] padded at the end, their mask [B, L], and the patches' positions [B, P]."""
        device = self.backbone.device
        lengths = torch.tensor([len(ids) for ids in prompts], device=device)
        longest = int(lengths.max())
        pad = self.backbone.pad_token_id
        ids_BL = torch.tensor([ids + [pad] * (longest - len(ids)) for ids in prompts], device=device)
        steps = torch.arange(longest, device=device)
        mask_BL = (steps < lengths[:, None]).long()
        return ids_BL, mask_BL, lengths[:, None] + torch.arange(patches, device=device)
