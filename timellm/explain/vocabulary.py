"""Prototypes named by words: for each prototype, the vocabulary's words whose embeddings point the same way.

Shapes: V prototypes, W vocabulary, D backbone width.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from timellm.model.backbone import Backbone

_CHUNK = 256  # prototypes compared at once; V x W cosines of a large vocabulary do not fit in memory together


@torch.inference_mode()
def nearest_words(prototypes_VD: Tensor, backbone: Backbone, *, count: int = 5) -> list[list[str]]:
    """The `count` nearest words of every prototype by cosine, nearest first, spelling variants told once.

    The average embedding is taken off both sides first: embeddings share one large common direction, and with it every
    prototype has the same neighbours.
    """
    words_WD = backbone.word_embeddings()
    centre_D = words_WD.mean(dim=0)
    directions_WD = F.normalize(words_WD - centre_D, dim=1)
    ids, spellings = _readable(backbone, words_WD.shape[0])
    directions_WD = directions_WD[ids.to(directions_WD.device)]
    named: list[list[str]] = []
    for chunk_VD in prototypes_VD.float().split(_CHUNK):
        cosine_VW = F.normalize(chunk_VD - centre_D, dim=1) @ directions_WD.T
        for nearest in cosine_VW.topk(min(6 * count, len(spellings)), dim=1).indices.tolist():
            named.append(_distinct([spellings[i] for i in nearest], count))
    return named


def _readable(backbone: Backbone, size: int) -> tuple[Tensor, list[str]]:
    """Ids and spellings of tokens that a reader can take for a word or a number: others say nothing in a label."""
    ids, spellings = [], []
    special = set(backbone.tokenizer.all_special_ids)
    for token in range(min(size, len(backbone.tokenizer))):
        spelling = backbone.tokenizer.decode([token]).removeprefix("##").strip()
        if token not in special and spelling and "\ufffd" not in spelling and spelling.isprintable():
            ids.append(token)
            spellings.append(spelling)
    return torch.tensor(ids), spellings


def _distinct(spellings: list[str], count: int) -> list[str]:
    """The first `count` spellings that differ in more than case."""
    return list({spelling.casefold(): spelling for spelling in reversed(spellings)}.values())[::-1][:count]
