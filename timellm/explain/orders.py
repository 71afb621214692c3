"""In which order prototypes and patches are taken away: the most attended first, the least first, and random orders.

Inputs: attention of windows. Outputs: the place of every unit in every order, in each window.

Shapes: W windows, h heads, P patches, V prototypes, U units (P or V), O orders, K numbers removed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pandas as pd

from timellm.data.prepared import PreparedData
from timellm.data.windows import WindowIndex
from timellm.explain.reader import AttentionReader
from timellm.explain.removals import (
    DRAWS,
    DRAWS_AT_MAIN,
    LEAST,
    MAIN_SHARE,
    MOST,
    RANDOM,
    Unit,
    number_of,
    numbers_removed,
)

_SEED = 0


@dataclass(frozen=True)
class Attended:
    """How much attention says of each prototype and patch of windows."""

    prototypes_WV: np.ndarray
    """Mean attention over heads and patches."""
    patches_WP: np.ndarray
    """How far a patch's attention lies from the average of its window's patches, 0 to 1: total variation, mean over
    heads."""

    @classmethod
    def read(cls, reader: AttentionReader, prepared: PreparedData, index: WindowIndex) -> Self:
        """Of the windows in `index`, as the page shows attention."""
        prototypes, patches = [], []
        for _, weights_BhPV in reader.over(prepared, index):
            prototypes.append(weights_BhPV.mean(axis=(1, 2), dtype=np.float64))
            away_BhPV = weights_BhPV - weights_BhPV.mean(axis=2, keepdims=True)
            patches.append(0.5 * np.abs(away_BhPV).sum(axis=3, dtype=np.float64).mean(axis=1))
        return cls(np.concatenate(prototypes), np.concatenate(patches))


@dataclass(frozen=True)
class Orders:
    """Places of units in several orders, counted from 0."""

    unit: Unit
    names: tuple[str, ...]
    """[O] MOST, LEAST, and RANDOM once for each draw."""
    place_OWU: np.ndarray
    removed_K: np.ndarray
    wanted_OK: np.ndarray
    """Which orders are worked out with how many removed: most of the random ones only at the main share."""

    @classmethod
    def of(cls, unit: Unit, attended_WU: np.ndarray) -> Self:
        """The orders of units by what attention says of them.

        A random order gives the units of all windows other names, by one permutation. So it is what shuffled attention
        would be, with all that windows have in common.
        """
        units = attended_WU.shape[1]
        most_WU = np.argsort(np.argsort(-attended_WU, axis=1, kind="stable"), axis=1)
        drawn = np.random.default_rng(_SEED)
        random = [most_WU[:, drawn.permutation(units)] for _ in range(DRAWS_AT_MAIN)]
        removed_K = numbers_removed(units)
        names = (MOST, LEAST, *[RANDOM] * DRAWS_AT_MAIN)
        wanted_OK = np.ones((len(names), len(removed_K)), bool)
        at_main_K = removed_K == number_of(MAIN_SHARE, units)
        wanted_OK[2 + DRAWS :, ~at_main_K] = False
        return cls(unit, names, np.stack([most_WU, units - 1 - most_WU, *random]), removed_K, wanted_OK)

    def part(self, windows: slice) -> Self:
        """The orders of some of the windows."""
        return replace(self, place_OWU=self.place_OWU[:, windows])

    def __len__(self) -> int:
        """Masked forecasts of each window."""
        return int(self.wanted_OK.sum())


def rank_correlations(one_WP: np.ndarray, other_WP: np.ndarray) -> np.ndarray:
    """Spearman's correlation [W] of two rows; NaN where all numbers of one are equal."""
    one, other = (pd.DataFrame(values).rank(axis=1).to_numpy() for values in (one_WP, other_WP))
    one, other = (values - values.mean(axis=1, keepdims=True) for values in (one, other))
    scale_W = np.sqrt(np.square(one).sum(axis=1) * np.square(other).sum(axis=1))
    return np.divide((one * other).sum(axis=1), scale_W, out=np.full(len(one), np.nan), where=scale_W > 0)
