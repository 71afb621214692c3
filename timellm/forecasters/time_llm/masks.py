"""What the attention of Time-LLM may not use, to see how its forecast changes without it.

A forecast is asked for with these masks, and nothing is kept on the network: the next forecast without masks is the
same as before, to the bit.

Shapes: B windows, P patches, V prototypes, M d_model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Masks:
    """What is taken away; by default nothing."""

    prototypes: Tensor | None = None
    """bool [B, V], or [1, V] for all windows: a prototype's score is removed before the softmax, so that the others
    share its weight as they stand to each other. At least one prototype must stay in each window."""
    patches: Tensor | None = None
    """bool [B, P]: the embedding of a patch is replaced by the mean of its window's P embeddings before it attends.
    The embedding is linear, so this is what the window's mean patch becomes: the window's level and scale stay, and
    when in the window something happens is gone. A flat patch would be another shape, which few windows have."""
    even: bool = False
    """All prototypes get the same weight, so that every patch reaches the backbone as the same vector."""

    def without_patches(self, patches_BPM: Tensor) -> Tensor:
        """Patch embeddings [B, P, M] with the masked ones replaced."""
        if self.patches is None:
            return patches_BPM
        mean_B1M = patches_BPM.mean(dim=1, keepdim=True)
        return torch.where(self.patches[..., None], mean_B1M, patches_BPM)


NO_MASKS = Masks()


@dataclass(frozen=True)
class Opened:
    """Windows whose prompts have been read."""

    patches_BPM: Tensor
    """Their patch embeddings."""
    forecast: Callable[..., Tensor]
    """Their forecasts [B, H]. Takes masks, by default none, and patch embeddings to attend instead of their own."""
