"""Prototypes named by words."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from timellm.config import ModelConfig
from timellm.forecasters.time_llm.backbone import load_backbone
from timellm.forecasters.time_llm.prototypes import MappedPrototypes
from timellm.forecasters.time_llm.start_words import SHAPES, start_words
from timellm.forecasters.time_llm.unlisted import NOT_SHOWN, unlisted
from timellm.forecasters.time_llm.vocabulary import (
    _distinct,
    centred,
    cosines,
    heaviest_words,
    name_prototypes,
    random_cosine,
    readable_words,
    words_at,
)


@pytest.fixture(scope="module")
def smollm2():
    return load_backbone(ModelConfig(layers=1), device="cpu")


@pytest.fixture(scope="module")
def words(smollm2):
    return readable_words(smollm2)


def embeddings(backbone, *spellings: str) -> torch.Tensor:
    """Embeddings of words without the average of all words."""
    ids = [backbone.tokenizer(f" {word}")["input_ids"][0] for word in spellings]
    return backbone.word_embeddings()[ids] - readable_words(backbone).centre_D


def nearest_words(centred_VD: torch.Tensor, backbone, *, count: int = 5) -> list[list[str]]:
    return name_prototypes(centred_VD, readable_words(backbone), count=count).words


def test_a_word_s_own_embedding_is_named_by_that_word(smollm2):
    named = nearest_words(embeddings(smollm2, "water", "price", "Monday"), smollm2)
    assert [words[0] for words in named] == ["water", "price", "Monday"]


def test_names_are_words_and_told_once():
    backbone = load_backbone(ModelConfig(layers=1), device="cpu")
    prototypes = torch.randn(300, backbone.width, generator=torch.Generator().manual_seed(0))
    for words in nearest_words(prototypes, backbone, count=5):
        assert len(words) == 5 == len({word.casefold() for word in words})
        assert all(len(word) >= 3 and word.isalpha() for word in words)


def test_wordpiece_continuations_are_no_words():
    backbone = load_backbone(ModelConfig(backbone="all-minilm-l6-v2", layers=1), device="cpu")
    ids = backbone.tokenizer.convert_tokens_to_ids(["rain", "##ing"])
    centred_VD = backbone.word_embeddings()[ids] - readable_words(backbone).centre_D
    first, second = nearest_words(centred_VD, backbone)
    assert first[0] == "rain" and "ing" not in second


def test_small_vocabulary_still_names_every_prototype(tiny_backbone):
    backbone = load_backbone(ModelConfig(backbone=str(tiny_backbone), layers=1), device="cpu")
    named = nearest_words(torch.randn(10, backbone.width), backbone, count=3)
    assert len(named) == 10 and all(named)


def test_the_nearest_word_stays_first_when_a_case_variant_follows():
    rated = [("The", 0.9), ("price", 0.8), ("the", 0.7), ("cost", 0.6), ("THE", 0.5)]
    assert _distinct(rated) == [("The", 0.9), ("price", 0.8), ("cost", 0.6)]


def test_a_capital_word_s_own_embedding_is_named_by_it_first(smollm2):
    """Its lower-case variant is among the nearest too, and must not move it back."""
    named = nearest_words(embeddings(smollm2, "Monday", "Price", "Water"), smollm2)
    assert [words[0] for words in named] == ["Monday", "Price", "Water"]


def test_words_of_grammar_and_offensive_ones_name_nothing_and_are_known_as_such(smollm2, words):
    offensive = next(spelling for spelling in words.spellings if unlisted(spelling) == "offensive word")
    names = name_prototypes(embeddings(smollm2, "with", offensive, "rise"), words)
    assert names.unlisted == ["stop word", "offensive word", None]
    assert min(names.nearest) > 0.9999
    assert names.words[2][0] == "rise" and names.cosines[2][0] == pytest.approx(names.nearest[2])
    for listed, cosine in zip(names.words[:2], names.cosines[:2], strict=True):
        assert len(listed) == 5 and not any(map(unlisted, listed)) and max(cosine) < 0.99
    assert words_at(embeddings(smollm2, "with", offensive, "rise"), words) == ["with", NOT_SHOWN, "rise"]


@pytest.mark.parametrize("word", ["the", "With", "THEIR", "because"])
def test_words_of_grammar_are_unlisted_in_any_case(word):
    assert unlisted(word) == "stop word"


def test_words_that_say_something_of_a_series_are_listed():
    assert not [word for word in [*SHAPES.split(), "above", "below", "before", "after"] if unlisted(word)]


def test_cosines_of_names_are_those_of_numpy(smollm2, words):
    prototypes_VD = embeddings(smollm2, "harbour", "train")[:2] * 0.3 + embeddings(smollm2, "rain", "price")
    names = name_prototypes(prototypes_VD, words)
    shared_Dk, words_WD = words.shared_Dk.numpy(), words.directions_WD.numpy()
    left_VD = prototypes_VD.numpy() - prototypes_VD.numpy() @ shared_Dk @ shared_Dk.T
    cosine_VW = left_VD @ words_WD.T / np.linalg.norm(left_VD, axis=1, keepdims=True)
    for row, listed, cosine in zip(cosine_VW, names.words, names.cosines, strict=True):
        assert cosine == sorted(cosine, reverse=True)
        np.testing.assert_allclose([row[words.spellings.index(word)] for word in listed], cosine, atol=1e-5)


def test_an_untrained_map_gives_dense_mixtures_and_start_words_give_words(smollm2, words):
    torch.manual_seed(3)
    limit = random_cosine(words)
    with torch.no_grad():
        start_VD = MappedPrototypes(smollm2.word_embeddings(), count=300)()
    mapped = name_prototypes(centred(start_VD, at_words=False), words)
    started = name_prototypes(start_words(smollm2, count=300, start="spread"), words)
    assert 0.2 < limit < 0.3
    assert np.mean(np.array(mapped.nearest) <= limit) > 0.95
    assert min(started.nearest) > 0.9999
    assert len({names[0] for names in mapped.words}) > 250, "no name stands on many"


def test_start_words_are_known_again_in_half_precision(smollm2, words):
    start_VD = start_words(smollm2, count=200, start="shapes")
    found = words_at(start_VD.half().float(), words)
    assert None not in found and {"rise", "peak", "weekend"} <= {word.casefold() for word in found}


def test_heaviest_words_are_those_with_the_largest_weights_of_either_sign(smollm2, words):
    weights_VA = torch.zeros(1, len(smollm2.word_embeddings()))
    for word, weight in (("rise", -3.0), ("fall", 2.0), ("the", 9.0), ("Fall", 1.5), ("price", 1.0)):
        weights_VA[0, smollm2.tokenizer(f" {word}")["input_ids"][0]] = weight
    assert heaviest_words(weights_VA, words, count=3) == [[("rise", -3.0), ("fall", 2.0), ("price", 1.0)]]


def test_cosine_of_a_small_turn_keeps_its_digits():
    first_VD = torch.randn(3, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    across_VD = torch.randn(3, 64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    across_VD -= (across_VD * F.normalize(first_VD, dim=1)).sum(1, keepdim=True) * F.normalize(first_VD, dim=1)
    second_VD = F.normalize(first_VD, dim=1) * np.cos(1e-5) + F.normalize(across_VD, dim=1) * np.sin(1e-5)
    np.testing.assert_allclose(np.arccos(cosines(5 * first_VD, second_VD)), 1e-5, rtol=1e-3)
