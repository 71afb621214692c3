"""What a run's attention is like over its test windows: its average, how concentrated it is, and a sample of patches.

Inputs: a run's reader and its prepared data. Outputs: the average against which one window is compared, the number of
prototypes that a patch effectively attends to, and patches with their times and shapes for `timellm.explain.clusters`.

Shapes: W windows, T context, h heads, P patches, V prototypes, N patches of the sample, S rows of a patch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import torch

from timellm.data.prepared import PreparedData
from timellm.data.windows import WindowIndex
from timellm.explain.reader import AttentionReader
from timellm.forecasters.time_llm.attention_history import effective

Head = int | Literal["max"] | None
"""A head counted from 0, the maximum over heads, or None for their mean."""

EVEN = 0.9
"""Attention is practically even when a patch effectively attends to more than this share of all prototypes."""
_MOST_WINDOWS = 200
_MOST_PATCHES = 1000
_MOST_WEIGHTS = 8_000_000


def over_heads(weights_hPV: np.ndarray, head: Head) -> np.ndarray:
    """[P, V] of one head, or the mean or the maximum over heads; the axes after the first may be any."""
    if head is None:
        return weights_hPV.mean(axis=0)
    return weights_hPV.max(axis=0) if head == "max" else weights_hPV[head]


def effective_number(weights: np.ndarray) -> np.ndarray:
    """Exp of the entropy along the last axis: V where all V weights are equal, 1 where one prototype has them all."""
    found: np.ndarray = effective(torch.from_numpy(weights)).numpy()
    return found


@dataclass(frozen=True)
class PatchSample:
    """Patches of test windows, drawn at random with a fixed seed."""

    weights_NhV: np.ndarray
    times_N: pd.DatetimeIndex
    """The middle row of each patch."""
    shapes_NS: np.ndarray
    """Values as the patch embedding gets them: less their window's mean, divided by its standard deviation."""


@dataclass(frozen=True)
class AttentionProfile:
    """A run's attention over its test windows, evenly spaced if there are many."""

    mean_hV: np.ndarray
    """Average over windows and patches; each row sums to 1."""
    largest_V: np.ndarray
    """Average over windows and patches of the maximum over heads."""
    effective_h: np.ndarray
    """Prototypes that a patch effectively attends to, by head, averaged over windows and patches."""
    windows: int
    """Windows that were read, of `all_windows`."""
    all_windows: int
    sample: PatchSample
    prototypes_VD: np.ndarray
    """Embeddings of the prototypes."""

    @property
    def prototypes(self) -> int:
        """V."""
        return self.mean_hV.shape[1]

    @property
    def effective(self) -> float:
        """Prototypes that a patch effectively attends to, averaged over heads."""
        return float(self.effective_h.mean())

    @property
    def practically_even(self) -> bool:
        """Whether the patches hardly prefer any prototype."""
        return self.effective > EVEN * self.prototypes

    def average(self, head: Head) -> np.ndarray:
        """[V] what a patch of the run gives each prototype on average."""
        return self.largest_V if head == "max" else over_heads(self.mean_hV, head)


def attention_profile(reader: AttentionReader, prepared: PreparedData) -> AttentionProfile:
    """The profile of a run over its test windows.

    Raises:
        DataError: the run has no usable test window.
    """
    every = prepared.windows("test")
    index = every.evenly(_MOST_WINDOWS)
    heads, patches, prototypes = reader.config.heads, len(reader.spans_P2), len(reader.prototypes_VD)
    window_N, patch_N = _drawn(len(index), patches, most=max(1, _MOST_WEIGHTS // (heads * prototypes)))
    kept = np.empty((len(window_N), heads, prototypes), np.float32)
    mean_hV, largest_V = np.zeros((heads, prototypes)), np.zeros(prototypes)
    effective_h, begin = np.zeros(heads), 0
    for part, weights_WhPV in reader.over(prepared, index):
        mean_hV += weights_WhPV.sum(axis=(0, 2), dtype=np.float64)
        largest_V += weights_WhPV.max(axis=1).sum(axis=(0, 1), dtype=np.float64)
        effective_h += effective_number(weights_WhPV).sum(axis=(0, 2), dtype=np.float64)
        here = (window_N >= begin) & (window_N < begin + len(part))
        kept[here] = weights_WhPV[window_N[here] - begin, :, patch_N[here]]
        begin += len(part)
    count = len(index) * patches
    sample = _sample(kept, prepared, index=index, window_N=window_N, rows_NS=reader.rows_PS[patch_N])
    return AttentionProfile(
        mean_hV=mean_hV / count,
        largest_V=largest_V / count,
        effective_h=effective_h / count,
        windows=len(index),
        all_windows=len(every),
        sample=sample,
        prototypes_VD=reader.prototypes_VD.float().numpy(),
    )


def _drawn(windows: int, patches: int, *, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Window and patch of each patch of the sample, in time order within a window."""
    count = min(_MOST_PATCHES, most, windows * patches)
    drawn = np.sort(np.random.default_rng(0).choice(windows * patches, size=count, replace=False))
    return drawn // patches, drawn % patches


def _sample(
    weights_NhV: np.ndarray, prepared: PreparedData, *, index: WindowIndex, window_N: np.ndarray, rows_NS: np.ndarray
) -> PatchSample:
    origin_N, channel_N = index.origin[window_N], index.channel[window_N]
    rows_NT = origin_N[:, None] + np.arange(-prepared.context, 0)
    values_NT = prepared.past.before(origin_N, channel=channel_N, rows_WK=rows_NT)
    deviation_N1 = np.maximum(values_NT.std(axis=1, keepdims=True), 1e-12)
    shapes_NS = np.take_along_axis((values_NT - values_NT.mean(axis=1, keepdims=True)) / deviation_N1, rows_NS, axis=1)
    middle_N = origin_N - prepared.context + rows_NS[:, rows_NS.shape[1] // 2]
    return PatchSample(weights_NhV, prepared.table.values.index[middle_N], shapes_NS)
