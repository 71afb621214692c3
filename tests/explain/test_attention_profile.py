"""A run's average attention, its entropy and its clusters, against plain NumPy over every window."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from timellm.config import RunConfig
from timellm.data.prepared import PreparedData
from timellm.data.table import load_table
from timellm.explain.attention import window_attention
from timellm.explain.clusters import cluster_patches, silhouette
from timellm.explain.ordering import ORDERS, grouped, shown_prototypes
from timellm.explain.profiles import attention_profile, effective_number, over_heads
from timellm.explain.reader import AttentionReader
from timellm.forecasters.time_llm.patching import PatchEmbedding
from timellm.forecasters.time_llm.reprogramming import Reprogramming

V, WIDTH = 20, 16


def opened(hourly_csv, scores):
    """A reader of random weights, and its data."""
    config = RunConfig.create(
        hourly_csv, context=48, horizon=12, d_model=8, d_ff=8, heads=2, prototypes=V, attention_scores=scores
    )
    model = config.model
    torch.manual_seed(0)
    embedding = PatchEmbedding(patch_length=model.patch_length, stride=model.stride, d_model=8, dropout=0.0)
    attention = Reprogramming(d_model=8, heads=2, keys=8, width=WIDTH, dropout=0.0, cosine=scores == "cosine")
    tensors = {f"patch_embedding.{name}": one for name, one in embedding.state_dict().items()}
    tensors |= {f"reprogramming.{name}": one for name, one in attention.state_dict().items()}
    words = [[f"word{number}", "price"] for number in range(V)]
    reader = AttentionReader(model, tensors, prototypes_VD=torch.randn(V, WIDTH), words=words)
    return reader, PreparedData.of(load_table(config.data), config)


@pytest.fixture(scope="module", params=["cosine", "dot"])
def run(request, hourly_csv):
    """Reader, data, profile, and the attention [W, h, P, V] of every test window."""
    reader, prepared = opened(hourly_csv, request.param)
    every = np.concatenate([weights for _, weights in reader.over(prepared, prepared.windows("test"))])
    return reader, prepared, attention_profile(reader, prepared), every


def test_average_is_that_of_all_patches_of_the_test_windows(run):
    _, _, profile, every_WhPV = run
    assert profile.windows == profile.all_windows == len(every_WhPV)
    np.testing.assert_allclose(profile.mean_hV, every_WhPV.mean(axis=(0, 2)), rtol=1e-5)
    np.testing.assert_allclose(profile.average(1), every_WhPV[:, 1].mean(axis=(0, 1)), rtol=1e-5)
    np.testing.assert_allclose(profile.average(None), every_WhPV.mean(axis=(0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(profile.average("max"), every_WhPV.max(axis=1).mean(axis=(0, 1)), rtol=1e-5)
    np.testing.assert_allclose(profile.mean_hV.sum(axis=1), 1, rtol=1e-5)


def test_effective_number_is_the_exponential_of_the_entropy_and_decides_what_is_even(run):
    _, _, profile, every_WhPV = run
    entropy = -(every_WhPV * np.log(every_WhPV)).sum(axis=-1)
    assert profile.effective == pytest.approx(np.exp(entropy).mean(), rel=1e-5)
    assert profile.practically_even == (profile.effective > 0.9 * V)
    assert replace(profile, effective_h=np.array([0.91 * V, 0.91 * V])).practically_even
    assert not replace(profile, effective_h=np.array([0.99 * V, 0.79 * V])).practically_even


def test_effective_number_counts_equal_weights_and_bears_zeros():
    assert effective_number(np.full(7, 1 / 7)) == pytest.approx(7)
    assert effective_number(np.array([[0.0, 1.0, 0.0], [0.5, 0.5, 0.0]])) == pytest.approx([1, 2])


def test_sample_holds_patches_with_their_time_and_shape(run):
    reader, prepared, profile, every_WhPV = run
    sample, index = profile.sample, prepared.windows("test")
    patches = every_WhPV.swapaxes(1, 2).reshape(-1, 2, V)
    times = prepared.table.values.index
    for number in (0, 57, len(sample.weights_NhV) - 1):
        (place,) = np.flatnonzero((patches == sample.weights_NhV[number]).all(axis=(1, 2)))[:1]
        window, patch = divmod(int(place), len(reader.spans_P2))
        begin = int(index.origin[window]) - 48
        rows = np.minimum(np.arange(16) + reader.spans_P2[patch, 0], 47)
        assert sample.times_N[number] == times[begin + rows[8]]
        values = prepared.values[begin : begin + 48, index.channel[window]]
        np.testing.assert_allclose(sample.shapes_NS[number], (values[rows] - values.mean()) / values.std(), rtol=1e-6)


def test_window_attention_over_heads(run):
    reader, prepared, profile, _ = run
    found = window_attention(reader, prepared, channel="price")
    np.testing.assert_array_equal(found.matrix("max"), np.maximum(found.weights[0], found.weights[1]))
    np.testing.assert_allclose(found.matrix(), (found.weights[0] + found.weights[1]) / 2, rtol=1e-6)
    numbers = found.frame("max", less=profile.average("max")).drop(columns=["start", "end"])
    np.testing.assert_allclose(numbers, found.matrix("max") - profile.average("max"), rtol=1e-6)


@pytest.mark.parametrize("order", ORDERS)
def test_prototypes_shown_are_distinct_and_as_many_as_asked_for(run, order):
    reader, prepared, profile, _ = run
    weights_PV = window_attention(reader, prepared, channel="load").matrix(1)
    few = shown_prototypes(profile, weights_PV, head=1, count=5, order=order)
    assert len(set(few.tolist())) == len(few) == 5
    all_of_them = shown_prototypes(profile, weights_PV, head=1, count=V, order=order)
    assert sorted(all_of_them.tolist()) == list(range(V))
    most = set(np.argsort(-weights_PV.sum(axis=0))[:5].tolist())
    if order == "changed":
        far = np.abs(weights_PV - profile.mean_hV[1]).sum(axis=0)
        assert few.tolist() == np.argsort(-far).tolist()[:5]
    else:
        assert set(few.tolist()) == most


def test_grouped_rows_that_are_alike_lie_together_and_a_flat_one_is_borne():
    rise, noise = np.arange(50.0), np.random.default_rng(0).normal(0, 0.01, (6, 50))
    rows = np.stack([rise, -rise, rise * 2, -rise, rise + 5, np.zeros(50)]) + noise
    rows[5] = 0
    order = grouped(rows).tolist()
    kinds = ["up" if one in (0, 2, 4) else "down" if one in (1, 3) else "flat" for one in order]
    assert sorted(order) == list(range(6))
    assert sum(left != right for left, right in itertools.pairwise(kinds)) == 2
    assert grouped(rows[:2]).tolist() == [0, 1]


def planted(profile, kinds_N, times_N):
    """The profile with patches that attend to one prototype each, by their kind."""
    weights = np.full((len(kinds_N), 2, V), 0.01)
    weights[np.arange(len(kinds_N)), :, kinds_N] = 0.81
    weights += np.random.default_rng(1).uniform(0, 0.002, weights.shape)
    weights /= weights.sum(axis=-1, keepdims=True)
    sample = replace(
        profile.sample, weights_NhV=weights, times_N=times_N, shapes_NS=np.repeat(kinds_N[:, None], 16, axis=1)
    )
    return replace(profile, sample=sample, mean_hV=weights.mean(axis=0))


def test_clusters_are_those_that_were_planted_the_largest_first_and_named_by_the_calendar(run):
    times = pd.date_range("2024-01-01", periods=420, freq="6h")
    kinds = np.where(times.day_of_week == 5, 7, np.where(times.hour == 12, 3, 11))
    found = cluster_patches(planted(run[2], kinds, times))
    assert [one.raised[0] for one in found.clusters] == [11, 3, 7]
    assert [one.share for one in found.clusters] == pytest.approx([np.mean(kinds == kind) for kind in (11, 3, 7)])
    assert [one.name for one in found.clusters][1:] == ["cluster 2: mostly 12 to 13 h", "cluster 3: mostly Saturday"]
    assert found.separation > 0.8
    assert all((one.shapes_KS == one.raised[0]).all() for one in found.clusters)
    weights = np.full((2, 3, V), 0.01)
    weights[:, [0, 1, 2], [7, 11, 3]] = 0.81
    assert found.of(weights).tolist() == [2, 0, 1]
    frame = found.frame(run[0].words)
    assert frame["raised"].str.startswith(("12: word11", "4: word3", "8: word7")).all()


def test_clusters_without_a_calendar_get_a_number_only(run):
    kinds = np.random.default_rng(2).choice([3, 7], 400)
    found = cluster_patches(planted(run[2], kinds, pd.date_range("2024-01-01", periods=400, freq="h")))
    assert [one.name for one in found.clusters] == ["cluster 1", "cluster 2"]


def test_moved_attention_is_half_the_sum_of_absolute_differences(run):
    times = pd.date_range("2024-01-01", periods=300, freq="h")
    profile = planted(run[2], np.repeat([3, 7], [200, 100]), times)
    first = cluster_patches(profile).clusters[0]
    mean = profile.sample.weights_NhV[:200].mean(axis=0)
    assert first.moved == pytest.approx(np.abs(mean - profile.mean_hV).sum(axis=1).mean() / 2)


def test_too_few_patches_have_no_clusters(run):
    times = pd.date_range("2024-01-01", periods=29, freq="h")
    assert cluster_patches(planted(run[2], np.arange(29) % 2, times)) is None


def test_silhouette_is_that_of_its_formula():
    points, label = np.array([0.0, 1.0, 5.0, 6.0, 20.0]), np.array([0, 0, 1, 1, 2])
    apart = np.abs(points[:, None] - points)
    expected = [(5.5 - 1) / 5.5, (4.5 - 1) / 4.5, (4.5 - 1) / 4.5, (5.5 - 1) / 5.5, 0]
    assert silhouette(apart, label) == pytest.approx(np.mean(expected))
    assert silhouette(apart, np.zeros(5, int)) == 0


def test_mean_and_maximum_over_heads_keep_further_axes():
    weights = np.random.default_rng(0).random((2, 3, 4, 5))
    assert over_heads(weights, None).shape == over_heads(weights, "max").shape == over_heads(weights, 1).shape
