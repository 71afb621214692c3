"""Text prototypes: the few "words" that patches are rewritten in, made from the backbone's word embeddings.

Shapes: V prototypes, W vocabulary, D backbone width.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from timellm.config import ModelConfig
from timellm.forecasters.time_llm.backbone import Backbone
from timellm.forecasters.time_llm.start_words import start_words


class MappedPrototypes(nn.Module):
    """The paper's prototypes: a trained linear map over the whole vocabulary (section 3.1, E' from E)."""

    def __init__(self, word_embeddings_WD: Tensor, *, count: int):
        super().__init__()
        # Not registered: the embeddings belong to the frozen backbone and must not be trained or saved.
        self._words_DW = [word_embeddings_WD.T]
        self.map = nn.Linear(word_embeddings_WD.shape[0], count)

    def forward(self) -> Tensor:
        """[V, D]."""
        return self.map(self._words_DW[0]).T

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
        self._words_DW = [fn(self._words_DW[0])]
        return super()._apply(fn, recurse)


class DirectPrototypes(nn.Module):
    """The same prototypes as free weights.

    Departure from the paper: the map has V x W weights, but its image has rank D < W, so any V x D matrix is reachable
    and V x D weights span the same functions. The optimiser takes another path.
    """

    def __init__(self, start_VD: Tensor):
        super().__init__()
        self.weight = nn.Parameter(start_VD.clone().contiguous())

    def forward(self) -> Tensor:
        """[V, D]."""
        return self.weight


def prototypes_of(config: ModelConfig, backbone: Backbone, *, first: bool) -> nn.Module:
    """The prototypes that the settings name; without `first`, direct ones are zero, for others to be put in place."""
    count = config.prototypes
    if config.prototype_source == "map":
        return MappedPrototypes(backbone.word_embeddings(), count=count)
    if not first:
        return DirectPrototypes(torch.zeros(count, backbone.width))
    if config.prototype_start == "map":
        with torch.no_grad():
            return DirectPrototypes(MappedPrototypes(backbone.word_embeddings(), count=count)())
    return DirectPrototypes(start_words(backbone, count=count, start=config.prototype_start))
