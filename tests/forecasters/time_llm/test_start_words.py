"""Prototypes that start at words, and attention that tells them apart."""

from __future__ import annotations

import pytest
import torch

from timellm.config import ModelConfig
from timellm.forecasters.time_llm.backbone import load_backbone
from timellm.forecasters.time_llm.network import TimeLLM
from timellm.forecasters.time_llm.patching import instance_norm
from timellm.forecasters.time_llm.start_words import SHAPES, start_words
from timellm.forecasters.time_llm.vocabulary import name_prototypes, readable_words


@pytest.fixture(scope="module")
def backbone():
    return load_backbone(ModelConfig(layers=1), device="cpu")


def names(prototypes_VD, backbone) -> list[str]:
    return [words[0].casefold() for words in name_prototypes(prototypes_VD, readable_words(backbone), count=1).words]


def test_spread_words_are_different_ones(backbone):
    found = names(start_words(backbone, count=200, start="spread"), backbone)
    assert len(set(found)) == 200


def test_words_for_shapes_come_first(backbone):
    found = names(start_words(backbone, count=150, start="shapes"), backbone)
    known = {word.casefold() for word in SHAPES.split()} & set(found)
    assert {"rise", "fall", "peak", "flat", "morning", "weekend"} <= known
    assert set(found[: len(known)]) == known


def test_start_is_the_same_at_every_call_and_of_deviation_1(backbone):
    first, second = (start_words(backbone, count=50, start="spread") for _ in range(2))
    assert torch.equal(first, second)
    assert float(first.std()) == pytest.approx(1.0)


def test_a_small_vocabulary_gives_each_prototype_a_word(tiny_backbone):
    toy = load_backbone(ModelConfig(backbone=str(tiny_backbone), layers=1), device="cpu")
    assert start_words(toy, count=1000, start="shapes").shape == (1000, toy.width)


def effective(network: TimeLLM) -> float:
    """Median over patches and heads of exp(entropy): to how many prototypes a patch attends."""
    windows_BT = torch.randn(8, 96, generator=torch.Generator().manual_seed(0)).cumsum(1)
    patches = network.patch_embedding(instance_norm(windows_BT)[0])
    weights = network.eval().reprogramming.attention(patches, prototypes_VD=network.prototypes())
    return float((-(weights * weights.clamp_min(1e-30).log()).sum(-1)).exp().median())


def test_attention_by_directions_is_on_few_prototypes_and_that_by_products_on_all(backbone):
    def build(**settings) -> TimeLLM:
        torch.manual_seed(0)
        config = ModelConfig(layers=1, context=96, horizon=12, prototypes=200, **settings)
        return TimeLLM(config, backbone=backbone, description="Load.")

    with torch.no_grad():
        assert effective(build()) < 100
        assert effective(build(prototype_start="map", attention_scores="dot")) > 195
