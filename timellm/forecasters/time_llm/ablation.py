"""What stands in place of a part of Time-LLM, so that a run without that part shows what the part is worth.

In place of the language model: nothing, or one trained layer (the same layers with random weights are those of
timellm.forecasters.time_llm.random_weights). In place of the reprogramming attention: a linear map. Tan et al. (NeurIPS
2024, arXiv 2406.16964) compare in the same way. What reads patches is called as `PromptedBackbone` is: prompts and
patches in, hidden states at the patches out.

Shapes: B batch, L prompt tokens, P patches, K tokens and patches, M d_model, D backbone width, h heads.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from timellm.forecasters.time_llm.backbone import Backbone


class LinearMap(nn.Module):
    """Patches to the backbone's width by one linear map, in place of prototypes and reprogramming attention."""

    def __init__(self, *, d_model: int, width: int):
        super().__init__()
        self.linear = nn.Linear(d_model, width)

    def forward(self, patches_BPM: Tensor) -> Tensor:
        """[B, P, M] -> [B, P, D]."""
        return self.linear(patches_BPM)


class PatchesAlone(nn.Module):
    """Nothing in place of the language model: the head gets the patches as they are."""

    longest = 0
    """Tokens of the longest prompt."""

    def __init__(self, backbone: Backbone):
        super().__init__()
        self.backbone = backbone

    def forward(self, prompts: list[list[int]], *, patches_BPD: Tensor, settled: bool = False) -> Tensor:
        """[B, P, D], as it comes in."""
        return patches_BPD


class TrainedLayer(nn.Module):
    """One trained layer in place of the language model: attention, and in a transformer block a feed-forward part.

    It reads what the language model reads: the word embeddings of the prompt, and the patches behind them. Every patch
    sees the whole prompt and every patch. The norm comes before each part and after the last one, as in GPT-2 and
    LLaMA; positions are sines (Vaswani et al. 2017), so that a prompt may have any length. Always float32.
    """

    def __init__(self, backbone: Backbone, *, feed_forward: bool, examples: list[str]):
        """`examples` are a few prompts, none where the prompt is left out."""
        super().__init__()
        self.backbone = backbone
        width = backbone.width
        self.heads = math.gcd(backbone.model.config.num_attention_heads, width)
        self.norm = nn.LayerNorm(width)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.feed_forward = (
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
            if feed_forward
            else None
        )
        self.last_norm = nn.LayerNorm(width)
        # As in PromptedBackbone: room for the longest example and a little more.
        self.longest = max(map(len, backbone.token_ids(examples))) + 4 if examples else 0

    def forward(self, prompts: list[list[int]], *, patches_BPD: Tensor, settled: bool = False) -> Tensor:
        """Hidden states [B, P, D] at the patches; `settled` pads every batch to the same length."""
        patches, device = patches_BPD.shape[1], patches_BPD.device
        lengths_B1 = torch.tensor([[len(ids)] for ids in prompts], device=device)
        length = max(int(lengths_B1.max()), self.longest if settled else 0)
        pad = self.backbone.pad_token_id
        ids_BL = torch.tensor([ids + [pad] * (length - len(ids)) for ids in prompts], dtype=torch.long, device=device)
        with torch.no_grad():
            words_BLD = self.backbone.model.get_input_embeddings()(ids_BL).float()
        at_L, at_P = torch.arange(length, device=device), torch.arange(patches, device=device)
        # Positions of patches continue at the true end of each prompt.
        positions_BK = torch.cat([at_L.expand(len(prompts), -1), lengths_B1 + at_P], dim=1)
        read_BKD = self.norm(torch.cat([words_BLD, patches_BPD], dim=1)) + _sines(positions_BK, patches_BPD.shape[2])
        seen_BK = torch.cat([at_L < lengths_B1, at_P.expand(len(prompts), -1) >= 0], dim=1)
        mixed_BhPd = F.scaled_dot_product_attention(
            self._per_head(self.query(read_BKD[:, length:])),
            self._per_head(self.key(read_BKD)),
            self._per_head(self.value(read_BKD)),
            attn_mask=seen_BK[:, None, None],
        )
        hidden_BPD = patches_BPD + self.out(mixed_BhPd.transpose(1, 2).flatten(2))
        if self.feed_forward is not None:
            hidden_BPD = hidden_BPD + self.feed_forward(hidden_BPD)
        return self.last_norm(hidden_BPD)

    def _per_head(self, rows_BKD: Tensor) -> Tensor:
        """[B, K, D] -> [B, h, K, D / h]."""
        return rows_BKD.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def _sines(positions_BK: Tensor, width: int) -> Tensor:
    """Sines and cosines [B, K, D] of positions, of wavelengths from 2 pi to 20,000 pi."""
    rates = torch.exp(torch.arange(0, width, 2, device=positions_BK.device) * (-math.log(10_000.0) / width))
    angles = positions_BK[..., None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=-1)[..., :width]
