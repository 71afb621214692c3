"""Prototypes named by words: for each prototype, the vocabulary's words whose embeddings point the same way.

Shapes: V prototypes, W vocabulary, D backbone width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from timellm.forecasters.time_llm.backbone import Backbone

_CHUNK = 256  # prototypes compared at once; V x W cosines of a large vocabulary do not fit in memory together


@dataclass(frozen=True)
class Words:
    """The readable words of a vocabulary."""

    spellings: list[str]
    centre_D: Tensor
    """Average of their embeddings."""
    centred_WD: Tensor
    """Their embeddings without it, float32 on the CPU."""
    shared_Dk: Tensor
    """Directions that tell how frequent a word is, and not what it means."""
    directions_WD: Tensor
    """What remains of the embeddings without these directions, of unit length."""

    def directions(self, rows_VD: Tensor) -> Tensor:
        """Directions [V, D] of other embeddings, for comparison with those of the words; writes over `rows_VD`."""
        return _without(rows_VD.sub_(self.centre_D), self.shared_Dk)


@torch.inference_mode()
def readable_words(backbone: Backbone) -> Words:
    """The words that a reader can take for one, with the directions in which their embeddings differ.

    Embeddings share an average and a few directions that tell how frequent a word is; with them, two prototypes in
    three would be called "and". Average and leading D / 100 directions are taken off (Mu & Viswanath, ICLR'18).
    """
    embeddings_WD = backbone.model.get_input_embeddings().weight.detach()
    ids, spellings = _readable(backbone, embeddings_WD.shape[0])
    centred_WD = embeddings_WD[ids.to(embeddings_WD.device)].cpu().float()
    centre_D = centred_WD.mean(dim=0)
    centred_WD -= centre_D
    shared_Dk = torch.linalg.eigh(centred_WD.T @ centred_WD).eigenvectors[:, -max(1, centred_WD.shape[1] // 100) :]
    return Words(spellings, centre_D, centred_WD, shared_Dk, _without(centred_WD.clone(), shared_Dk))


@torch.inference_mode()
def nearest_words(prototypes_VD: Tensor, backbone: Backbone, *, count: int = 5) -> list[list[str]]:
    """The `count` nearest words of every prototype by cosine, nearest first; spelling variants are listed once."""
    words = readable_words(backbone)
    named: list[list[str]] = []
    for chunk_VD in prototypes_VD.float().cpu().split(_CHUNK):
        cosine_VW = words.directions(chunk_VD.clone()) @ words.directions_WD.T
        for nearest in cosine_VW.topk(min(6 * count, len(words.spellings)), dim=1).indices.tolist():
            named.append(_distinct([words.spellings[i] for i in nearest], count))
    return named


def _without(rows: Tensor, shared_Dk: Tensor) -> Tensor:
    rows -= (rows @ shared_Dk) @ shared_Dk.T
    return F.normalize(rows, dim=1, out=rows)


def _readable(backbone: Backbone, size: int) -> tuple[Tensor, list[str]]:
    """Ids and spellings of the tokens that a reader can take for a word: they start one and have three letters or more.

    A vocabulary without enough of them (a toy's) is taken as it is, but for what cannot be printed.
    """
    tokenizer = backbone.tokenizer
    special = set(tokenizer.all_special_ids)
    ids = [i for i in range(min(size, len(tokenizer))) if i not in special]
    raw = dict(zip(ids, tokenizer.convert_ids_to_tokens(ids), strict=True))
    # Tokenizers mark either the start of a word (a space as "Ġ" or "▁") or its continuation ("##").
    marks_start = any(token.startswith(("Ġ", "▁")) for token in raw.values())
    spelt = {i: tokenizer.decode([i]).removeprefix("##").strip() for i in ids}
    printable = [i for i in ids if spelt[i] and "\ufffd" not in spelt[i] and spelt[i].isprintable()]
    words = [
        i
        for i in printable
        if (raw[i].startswith(("Ġ", "▁")) if marks_start else not raw[i].startswith("##"))
        and len(spelt[i]) >= 3
        and spelt[i].isalpha()
    ]
    chosen = words if len(words) >= 1000 else printable
    return torch.tensor(chosen), [spelt[i] for i in chosen]


def _distinct(spellings: list[str], count: int) -> list[str]:
    """The first `count` spellings that differ in more than case; of case variants the nearest one, in its place."""
    nearest: dict[str, str] = {}
    for spelling in spellings:
        nearest.setdefault(spelling.casefold(), spelling)
    return list(nearest.values())[:count]
