"""The words at which prototypes start, and their embeddings.

Inputs: a backbone and how many prototypes there are. Outputs: prototypes [V, D], each one word's embedding without the
average of all words, all of them scaled together to deviation 1.

Shapes: V prototypes, W words, D backbone width.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from timellm.forecasters.time_llm.backbone import Backbone
from timellm.forecasters.time_llm.vocabulary import Words, readable_words

SHAPES = (
    "rise fall increase decrease growth decline peak trough high low up down flat steady stable constant spike drop"
    " jump surge crash dip rebound recovery slow fast gradual sudden sharp smooth rough noisy volatile calm cycle"
    " periodic seasonal trend wave oscillation pulse plateau slope steep curve linear turning change shift step level"
    " average normal extreme outlier maximum minimum zero positive negative strong weak large small begin end early"
    " late morning noon afternoon evening night midnight dawn day hour minute weekday weekend Monday Tuesday Wednesday"
    " Thursday Friday Saturday Sunday week month quarter year January February March April May June July August"
    " September October November December spring summer autumn winter holiday"
)
"""Words for shapes and times of a series."""
_ROUNDS = 4
"""Of k-means: more of them move few words."""


@torch.inference_mode()
def start_words(backbone: Backbone, *, count: int, start: Literal["spread", "shapes"]) -> Tensor:
    """Prototypes [V, D] in float32 at `count` words of the backbone's vocabulary; the same ones at every call.

    spread: the vocabulary is divided into `count` clusters by spherical k-means (Dhillon and Modha 2001), and each
    gives the word nearest to its centre. shapes: the words of `SHAPES` that the vocabulary has come first.
    """
    words = readable_words(backbone)
    wanted = {word.casefold() for word in SHAPES.split()} if start == "shapes" else set()
    first = _first_of_each(words)
    named = [place for spelling, place in first.items() if spelling in wanted][:count]
    others = torch.tensor([place for spelling, place in first.items() if spelling not in wanted], dtype=torch.long)
    spread = others[_spread(words.directions_WD[others], count - len(named))] if count > len(named) else others[:0]
    chosen = torch.cat([torch.tensor(named, dtype=torch.long), spread])
    start_VD = words.centred_WD[chosen]
    return (start_VD / start_VD.std()).clone()


def _first_of_each(words: Words) -> dict[str, int]:
    """The place of each word among the words; of spellings that differ in case, the one in small letters."""
    places: dict[str, int] = {}
    for place, spelling in enumerate(words.spellings):
        known = places.get(spelling.casefold())
        if known is None or (spelling.islower() and not words.spellings[known].islower()):
            places[spelling.casefold()] = place
    return places


def _spread(directions_WD: Tensor, count: int) -> Tensor:
    """Places [count] of words, one for each of `count` clusters of directions; repeated if there are fewer words."""
    size = len(directions_WD)
    order = torch.randperm(size, generator=torch.Generator().manual_seed(0))
    if size <= count:
        return order.repeat(-(-count // max(size, 1)))[:count]
    centres_VD = directions_WD[order[:count]]
    for _ in range(_ROUNDS):
        member_W = (directions_WD @ centres_VD.T).argmax(dim=1)
        summed_VD = torch.zeros_like(centres_VD).index_add_(0, member_W, directions_WD)
        empty_V = torch.bincount(member_W, minlength=count) == 0
        centres_VD = torch.where(empty_V[:, None], centres_VD, F.normalize(summed_VD, dim=1))
    cosine_VW = centres_VD @ directions_WD.T
    member_W = cosine_VW.argmax(dim=0)
    # Only its own members stand for a cluster, so that no word is taken twice; an empty cluster takes a free word.
    cosine_VW[member_W[None, :] != torch.arange(count)[:, None]] = -2.0
    best = cosine_VW.max(dim=1)
    chosen_V = best.indices
    missing_V = best.values <= -2.0
    taken = set(chosen_V[~missing_V].tolist())
    free = [place for place in order.tolist() if place not in taken]
    chosen_V[missing_V] = torch.tensor(free[: int(missing_V.sum())], dtype=torch.long)
    return chosen_V
