"""Which prototypes a picture shows, and in which order.

Inputs: the weights of a window and the profile of its run. Outputs: numbers of prototypes, from the top down.

Shapes: P patches, V prototypes, K prototypes shown, A features.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from timellm.explain.profiles import AttentionProfile, Head, over_heads

Order = Literal["attended", "changed", "attention", "embedding"]
ORDERS: tuple[Order, ...] = get_args(Order)
"""Most attended first; furthest from the run's average first; and the most attended, in an order in which prototypes
lie together that patches of the run attend alike, or whose embeddings are alike."""


def shown_prototypes(
    profile: AttentionProfile, weights_PV: np.ndarray, *, head: Head, count: int, order: Order
) -> np.ndarray:
    """Numbers [K] of at most `count` prototypes; `weights_PV` are those of `head`."""
    if order == "changed":
        far_V = np.abs(weights_PV - profile.average(head)).sum(axis=0)
        return np.argsort(-far_V, kind="stable")[:count]
    top_K = np.argsort(-weights_PV.sum(axis=0), kind="stable")[:count]
    if order == "attended":
        return top_K
    if order == "embedding":
        return top_K[grouped(profile.prototypes_VD[top_K])]
    sampled_NV = over_heads(profile.sample.weights_NhV.transpose(1, 0, 2), head)
    return top_K[grouped(sampled_NV[:, top_K].T)]


def grouped(features_KA: np.ndarray) -> np.ndarray:
    """An order [K] in which rows that correlate lie together: the leaves of an average-linkage tree.

    A row without any variation correlates with none.
    """
    if len(features_KA) < 3:
        return np.arange(len(features_KA))
    centred = features_KA - features_KA.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    unit = np.divide(centred, length, out=np.zeros_like(centred), where=length > 0)
    apart = np.clip(1 - unit @ unit.T, 0, 2)
    np.fill_diagonal(apart, 0)
    return leaves_list(linkage(squareform(apart, checks=False), "average"))
