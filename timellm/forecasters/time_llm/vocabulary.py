"""Prototypes named by words: for each prototype, the vocabulary's words whose embeddings point the same way.

Words of grammar and offensive ones are not listed as names (`unlisted`), but a prototype that is one of them is known
as such.

Shapes: V prototypes, W readable words, D backbone width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from timellm.forecasters.time_llm.backbone import Backbone
from timellm.forecasters.time_llm.kept_dictionary import SAME_WORD
from timellm.forecasters.time_llm.unlisted import NOT_SHOWN, Unlisted, unlisted

_CHUNK = 256  # prototypes compared at once; V x W cosines of a large vocabulary do not fit in memory together
_LOOKED_AT = 12  # words for each one that is listed: the others are unlisted or spelling variants
_MIXTURES, _QUANTILE = 500, 0.99


@dataclass(frozen=True)
class Words:
    """The readable words of a vocabulary."""

    spellings: list[str]
    ids_W: Tensor
    """Their places in the backbone's vocabulary."""
    centre_D: Tensor
    """Average of their embeddings."""
    centred_WD: Tensor
    """Their embeddings without it, float32 on the CPU."""
    shared_Dk: Tensor
    """Directions that tell how frequent a word is, and not what it means."""
    directions_WD: Tensor
    """What remains of the embeddings without these directions, of unit length."""

    def cosines(self, centred_VD: Tensor) -> Iterator[Tensor]:
        """Cosines [V, W] of other rows with the words, some rows at a time."""
        for chunk_VD in centred_VD.float().cpu().split(_CHUNK):
            yield _without(chunk_VD.clone(), self.shared_Dk) @ self.directions_WD.T


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
    return Words(spellings, ids, centre_D, centred_WD, shared_Dk, _without(centred_WD.clone(), shared_Dk))


@dataclass(frozen=True)
class Names:
    """The words nearest to prototypes, one entry for each of them."""

    words: list[list[str]]
    """Listed words, nearest first; spelling variants are listed once."""
    cosines: list[list[float]]
    """Cosines of the prototype with these words."""
    nearest: list[float]
    """Cosine with the nearest word, listed or not."""
    unlisted: list[Unlisted | None]
    """Why that word is not listed; None if it is."""


def centred(prototypes_VD: Tensor, *, at_words: bool) -> Tensor:
    """Prototypes as words are compared with them: without what all share.

    Those that start `at_words` start without the average of all words and stay as they are. Of others, mixtures of all
    words, their own average is taken off. It changes no attention, because it adds the same to the scores of all
    prototypes; with it, 287 of 1,000 prototypes of a trained map had one name.
    """
    prototypes_VD = prototypes_VD.float().cpu()
    return prototypes_VD if at_words else prototypes_VD - prototypes_VD.mean(dim=0)


@torch.inference_mode()
def name_prototypes(centred_VD: Tensor, words: Words, *, count: int = 5) -> Names:
    """Name every prototype by its `count` nearest words by cosine."""
    names = Names([], [], [], [])
    for cosine_VW in words.cosines(centred_VD):
        nearest = cosine_VW.topk(min(_LOOKED_AT * count, len(words.spellings)), dim=1)
        for cosines, places in zip(nearest.values.tolist(), nearest.indices.tolist(), strict=True):
            spellings = [words.spellings[place] for place in places]
            listed = _distinct([(one, cos) for one, cos in zip(spellings, cosines, strict=True) if not unlisted(one)])
            names.words.append([spelling for spelling, _ in listed[:count]])
            names.cosines.append([cosine for _, cosine in listed[:count]])
            names.nearest.append(cosines[0])
            names.unlisted.append(unlisted(spellings[0]))
    return names


@torch.inference_mode()
def words_at(centred_VD: Tensor, words: Words) -> list[str | None]:
    """The word that each prototype is by `SAME_WORD`, `NOT_SHOWN` for an offensive one; None if it is none."""
    found: list[str | None] = []
    for cosine_VW in words.cosines(centred_VD):
        nearest = cosine_VW.max(dim=1)
        for cosine, place in zip(nearest.values.tolist(), nearest.indices.tolist(), strict=True):
            spelling = words.spellings[place]
            shown = NOT_SHOWN if unlisted(spelling) == "offensive word" else spelling
            found.append(shown if cosine >= SAME_WORD else None)
    return found


def cosines(first_VD: Tensor, second_VD: Tensor) -> list[float]:
    """Cosine [V] of each row with the same row of the other; exact for small angles, too."""
    between_VD = F.normalize(first_VD.double(), dim=1) - F.normalize(second_VD.double(), dim=1)
    return (1 - between_VD.square().sum(dim=1) / 2).tolist()


@torch.inference_mode()
def random_cosine(words: Words) -> float:
    """The cosine with its nearest word that 99 of 100 random mixtures of all words do not exceed.

    Mixtures are sums over all words with weights from a normal distribution: what a prototype of the paper's map is
    before training. Measured: 0.23 for SmolLM2 (30,589 words of width 576) and 0.33 for MiniLM (21,361 of 384); 99 of
    100 prototypes of an untrained map reach at most 0.22 and 0.32, directions that know nothing of the words 0.21 and
    0.25, and a word has a cosine of 0.6 with its nearest other word in the median.
    """
    weights_MW = torch.randn(_MIXTURES, len(words.spellings), generator=torch.Generator().manual_seed(0))
    nearest_M = (F.normalize(weights_MW @ words.directions_WD, dim=1) @ words.directions_WD.T).amax(dim=1)
    return float(nearest_M.quantile(_QUANTILE))


@torch.inference_mode()
def heaviest_words(weights_VA: Tensor, words: Words, *, count: int = 5) -> list[list[tuple[str, float]]]:
    """The `count` listed words with the largest weights, of either sign, in a map [V, A] over the whole vocabulary."""
    found: list[list[tuple[str, float]]] = []
    for chunk_VA in weights_VA.split(_CHUNK):
        weights_VW = chunk_VA[:, words.ids_W.to(chunk_VA.device)].float().cpu()
        places_VK = weights_VW.abs().topk(min(_LOOKED_AT * count, len(words.spellings)), dim=1).indices
        for places, weights in zip(places_VK.tolist(), weights_VW.gather(1, places_VK).tolist(), strict=True):
            spellings = [words.spellings[place] for place in places]
            listed = [(one, weight) for one, weight in zip(spellings, weights, strict=True) if not unlisted(one)]
            found.append(_distinct(listed)[:count])
    return found


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


def _distinct(rated: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """The spellings that differ in more than case, each with its number; of case variants the first, in its place."""
    first: dict[str, tuple[str, float]] = {}
    for spelling, number in rated:
        first.setdefault(spelling.casefold(), (spelling, number))
    return list(first.values())
