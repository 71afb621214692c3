"""Two attentions side by side: the same prototypes by number, others by name."""

from __future__ import annotations

import numpy as np
import pytest

from tests.explain.readers import config_of, prepared_of, reader_of
from timellm.errors import DataError
from timellm.explain.comparison import Pairs, compare, same_prototypes
from timellm.explain.period import PeriodAttention


def read(csv, *, channel: int = 0, words=None, **changes) -> PeriodAttention:
    config = config_of(csv, **changes)
    return PeriodAttention.of(reader_of(config, words=words), prepared_of(config), channel=channel)


def test_channels_of_a_run_have_the_same_prototypes(hourly_csv):
    one, other = read(hourly_csv), read(hourly_csv, channel=1)
    found = compare(one, other)
    assert not found.by_name and found.labels == one.labels and found.left_out == 0
    np.testing.assert_array_equal(found.first_M, one.mean_V)
    np.testing.assert_array_equal(found.second_M, other.mean_V)


def test_attention_is_wholly_like_itself(hourly_csv):
    one = read(hourly_csv)
    found = compare(one, one)
    assert not found.nothing_in_common
    assert found.correlation == pytest.approx(1) and found.shared == found.counted == 20


def test_overlap_and_chance_are_counted_over_the_most_attended():
    first, second = np.arange(100.0), np.arange(100.0)[::-1]
    found = Pairs(tuple(map(str, range(100))), first, second, by_name=False, left_out=0)
    assert found.nothing_in_common
    assert found.shared == 0 and found.shared_by_chance == 4 and found.correlation == pytest.approx(-1)
    assert np.isnan(Pairs(("a", "b"), np.ones(2), first[:2], by_name=False, left_out=0).correlation)


def test_runs_with_other_prototypes_are_matched_by_their_nearest_word(hourly_csv):
    names = [["Red"], ["blue"], ["green"], ["red"], *([f"one{i}"] for i in range(16))]
    others = [["green"], ["blue"], ["Red "], *([f"two{i}"] for i in range(17))]
    one = read(hourly_csv, words=names, backbone="gpt2")
    other = read(hourly_csv, words=others)
    found = compare(one, other)
    assert found.by_name and found.labels == ("red", "blue", "green") and found.left_out == 16
    assert found.first_M[0] == pytest.approx(one.mean_V[0] + one.mean_V[3])
    assert found.second_M[0] == pytest.approx(other.mean_V[2])


def test_runs_without_a_common_word_cannot_be_compared(hourly_csv):
    one = read(hourly_csv, words=[[f"one{i}"] for i in range(20)], backbone="gpt2")
    other = read(hourly_csv, words=[["one1"], *([f"two{i}"] for i in range(19))])
    with pytest.raises(DataError, match=r"share 1 of their nearest words, .* choose a run with the same backbone"):
        compare(one, other)


def test_prototypes_drawn_at_random_are_the_same_only_with_the_same_seed(hourly_csv):
    spread, drawn = config_of(hourly_csv).model, config_of(hourly_csv, prototype_start="map").model
    assert same_prototypes(spread, spread, seeds=(0, 1))
    assert same_prototypes(drawn, drawn, seeds=(3, 3)) and not same_prototypes(drawn, drawn, seeds=(0, 1))
    assert not same_prototypes(spread, drawn, seeds=(0, 0))
