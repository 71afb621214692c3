"""Prototypes named by words."""

from __future__ import annotations

import torch

from timellm.config import ModelConfig
from timellm.forecasters.time_llm.backbone import load_backbone
from timellm.forecasters.time_llm.vocabulary import _distinct, nearest_words


def test_a_word_s_own_embedding_is_named_by_that_word():
    backbone = load_backbone(ModelConfig(layers=1), device="cpu")
    ids = [backbone.tokenizer(f" {word}")["input_ids"][0] for word in ("water", "price", "Monday")]
    named = nearest_words(backbone.word_embeddings()[ids], backbone)
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
    first, second = nearest_words(backbone.word_embeddings()[ids], backbone)
    assert first[0] == "rain" and "ing" not in second


def test_small_vocabulary_still_names_every_prototype(tiny_backbone):
    backbone = load_backbone(ModelConfig(backbone=str(tiny_backbone), layers=1), device="cpu")
    named = nearest_words(torch.randn(10, backbone.width), backbone, count=3)
    assert len(named) == 10 and all(named)


def test_the_nearest_word_stays_first_when_a_case_variant_follows():
    assert _distinct(["The", "price", "the", "cost"], 3) == ["The", "price", "cost"]
    assert _distinct(["The", "price", "cost", "THE"], 2) == ["The", "price"], "it is not dropped for a later variant"


def test_a_capital_word_s_own_embedding_is_named_by_it_first():
    """Its lower-case variant is among the nearest too, and must not move it back."""
    backbone = load_backbone(ModelConfig(layers=1), device="cpu")
    ids = [backbone.tokenizer(f" {word}")["input_ids"][0] for word in ("The", "Price", "Water")]
    named = nearest_words(backbone.word_embeddings()[ids], backbone)
    assert [words[0] for words in named] == ["The", "Price", "Water"]
