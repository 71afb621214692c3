"""A language model that has learned nothing: its layers with the random weights from which a training begins."""

from __future__ import annotations

import torch
from transformers import PreTrainedModel

_SEED = 0  # the weights are not saved, so a loaded run must draw the same ones


@torch.no_grad()
def draw_weights_anew(model: PreTrainedModel) -> None:
    """Give `model` the random weights from which its training began: matrices drawn, norms at 1, biases at 0.

    Its word embeddings stay, because prototypes and prompt are made of them. The draws are the same each time.
    """
    generator = torch.Generator().manual_seed(_SEED)
    words = model.get_input_embeddings().weight
    deviation = getattr(model.config, "initializer_range", 0.02)
    for name, weight in model.named_parameters():
        if weight is words:
            continue
        if weight.dim() > 1:
            weight.copy_(torch.empty(weight.shape).normal_(0.0, deviation, generator=generator))
        else:
            weight.fill_(0.0 if name.endswith("bias") else 1.0)
