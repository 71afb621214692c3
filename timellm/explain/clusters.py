"""Patches that attend alike, found by k-means.

Inputs: the profile of a run, with its sample of patches. Outputs: clusters, and what the patches of each have in
common.

Shapes: N patches of the sample, P patches of a window, h heads, V prototypes, C clusters, Q coordinates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.cluster.vq import kmeans2
from scipy.spatial.distance import cdist

from timellm.explain.calendar_names import calendar_name
from timellm.explain.profiles import AttentionProfile, PatchSample

MOST_CLUSTERS = 8
_FEWEST_PATCHES = 30
_COORDINATES, _STARTS = 32, 3
_SAMPLES_SHOWN = 12


@dataclass(frozen=True)
class PatchCluster:
    """Patches that attend alike."""

    name: str
    """Its number and, where that is clear, what its times have in common: "cluster 2: mostly Saturday", "cluster 3"."""
    share: float
    """Of the sampled patches."""
    moved: float
    """Share of its attention that an average patch of the cluster gives to other prototypes than the run does."""
    raised: tuple[int, ...]
    """Prototypes that rise most above the run's average, greatest rise first."""
    mean_S: np.ndarray
    """Average shape, in standard deviations of the window."""
    shapes_KS: np.ndarray
    """Shapes of some of its patches, drawn at random."""


@dataclass(frozen=True)
class PatchClusters:
    """Clusters of a run's patches, the largest first."""

    clusters: tuple[PatchCluster, ...]
    separation: float
    """Mean silhouette: near 1 where the clusters lie apart, near 0 where they run into each other."""
    patches: int
    """Patches in the sample."""
    _middle_A: np.ndarray
    _axes_AQ: np.ndarray
    _centres_CQ: np.ndarray

    def of(self, weights_hPV: np.ndarray) -> np.ndarray:
        """[P] the cluster whose centre is nearest to each patch of a window, counted from 0."""
        points_PQ = (_points(weights_hPV.transpose(1, 0, 2)) - self._middle_A) @ self._axes_AQ
        return cdist(points_PQ, self._centres_CQ).argmin(axis=1)

    def frame(self, words: Sequence[Sequence[str]]) -> pd.DataFrame:
        """One row a cluster; `words` name the prototypes."""
        rows = [
            {
                "cluster": number,
                "name": one.name,
                "share": one.share,
                "attention_moved": one.moved,
                "raised": "; ".join(f"{prototype + 1}: {', '.join(words[prototype])}" for prototype in one.raised),
            }
            | {f"mean_{row}": float(value) for row, value in enumerate(one.mean_S, start=1)}
            for number, one in enumerate(self.clusters, start=1)
        ]
        return pd.DataFrame(rows).set_index("cluster")


def cluster_patches(profile: AttentionProfile) -> PatchClusters | None:
    """K-means of the sampled patches by the square roots of their weights, every head counted; None for under 30.

    The distance between two patches is then the Hellinger distance of their attention. The number of clusters, 2 to
    8, is the one with the greatest mean silhouette.
    """
    sample = profile.sample
    count = len(sample.weights_NhV)
    if count < _FEWEST_PATCHES:
        return None
    points_NA = _points(sample.weights_NhV)
    middle_A = points_NA.mean(axis=0)
    axes_AQ = _main_axes(points_NA - middle_A)
    points_NQ = (points_NA - middle_A) @ axes_AQ
    apart_NN = cdist(points_NQ, points_NQ)
    found = [_kmeans(points_NQ, size) for size in range(2, MOST_CLUSTERS + 1)]
    scores = [silhouette(apart_NN, label_N) for label_N in found]
    label_N = _largest_first(found[int(np.argmax(scores))])
    numbers = range(label_N.max() + 1)
    centres_CQ = np.stack([points_NQ[label_N == number].mean(axis=0) for number in numbers])
    clusters = tuple(_cluster(number, label_N == number, sample, profile) for number in numbers)
    return PatchClusters(clusters, float(max(scores)), count, middle_A, axes_AQ, centres_CQ)


def silhouette(apart_NN: np.ndarray, label_N: np.ndarray) -> float:
    """Mean over points of (b - a) / max(a, b): a the mean distance to its own cluster, b to the nearest other one.

    A point alone in its cluster counts 0 (Rousseeuw 1987); so does everything where there is one cluster only.
    """
    sizes_C = np.bincount(label_N)
    if len(sizes_C) < 2:
        return 0.0
    total_NC = apart_NN @ np.eye(len(sizes_C))[label_N]
    row = np.arange(len(label_N))
    own_N = total_NC[row, label_N] / np.maximum(sizes_C[label_N] - 1, 1)
    mean_NC = total_NC / sizes_C
    mean_NC[row, label_N] = np.inf
    other_N = mean_NC.min(axis=1)
    greater_N = np.maximum(np.maximum(own_N, other_N), np.finfo(float).tiny)
    return float(np.where(sizes_C[label_N] > 1, (other_N - own_N) / greater_N, 0.0).mean())


def _points(weights_NhV: np.ndarray) -> np.ndarray:
    return np.sqrt(weights_NhV).reshape(len(weights_NhV), -1)


def _main_axes(centred_NA: np.ndarray) -> np.ndarray:
    """The first principal axes [A, Q]: distances along the rest are noise, and k-means is quick with few."""
    values_N, vectors_NN = np.linalg.eigh(centred_NA @ centred_NA.T)
    kept = values_N[::-1][:_COORDINATES] > values_N[-1] * 1e-9
    main_NQ = vectors_NN[:, ::-1][:, :_COORDINATES][:, kept]
    return centred_NA.T @ main_NQ / np.sqrt(values_N[::-1][:_COORDINATES][kept])


def _kmeans(points_NQ: np.ndarray, size: int) -> np.ndarray:
    """Labels [N] of the best of some starts, numbered without a gap."""
    best, label_N = np.inf, np.zeros(len(points_NQ), int)
    for seed in range(_STARTS):
        centres_CQ, found_N = kmeans2(points_NQ, size, minit="++", missing="warn", rng=seed)
        spread = float(np.square(points_NQ - centres_CQ[found_N]).sum())
        if spread < best:
            best, label_N = spread, np.unique(found_N, return_inverse=True)[1]
    return label_N


def _largest_first(label_N: np.ndarray) -> np.ndarray:
    order = np.argsort(-np.bincount(label_N), kind="stable")
    return np.argsort(order)[label_N]


def _cluster(number: int, of_N: np.ndarray, sample: PatchSample, profile: AttentionProfile) -> PatchCluster:
    rise_hV = sample.weights_NhV[of_N].mean(axis=0) - profile.mean_hV
    rise_V = rise_hV.mean(axis=0)
    members = np.flatnonzero(of_N)
    shown = np.random.default_rng(number).permutation(members)[:_SAMPLES_SHOWN]
    name = calendar_name(sample.times_N[of_N], among=sample.times_N)
    return PatchCluster(
        name=f"cluster {number + 1}: {name}" if name else f"cluster {number + 1}",
        share=float(of_N.mean()),
        moved=float(np.abs(rise_hV).sum(axis=1).mean() / 2),
        raised=tuple(int(one) for one in np.argsort(-rise_V, kind="stable")[:3] if rise_V[one] > 0),
        mean_S=sample.shapes_NS[members].mean(axis=0),
        shapes_KS=sample.shapes_NS[shown],
    )
