"""Which prototypes patches attend to more, or less, where something holds of the patch: at night, on a peak ...

Inputs: attention over a test period (timellm.explain.period), and a condition. Outputs: for each prototype the mean
attention of the patches that meet it without that of all patches, with an interval.

Neighbouring windows share most of their rows, so windows that begin their forecasts within one context of each other
count as one block, and the standard error is that of a difference of two ratios over blocks (Cochran 1977, section
2.11; timellm.training.gain does this for horizons). What is called sure holds for all prototypes together with 95 %
(Holm 1979): of 1,000 that are compared, 50 would differ by chance alone.

Shapes: W windows, P patches, S patch length, V prototypes, K blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from timellm.errors import DataError
from timellm.explain.conditions import Condition
from timellm.explain.period import PeriodAttention

FEWEST_BLOCKS = 4
"""With fewer, the error of a mean over blocks is hardly known, and nothing is called sure."""
SURE = 0.05


@dataclass(frozen=True)
class Differences:
    """Mean attention where the condition holds, beside that of all patches."""

    mean_V: np.ndarray
    all_V: np.ndarray
    error_V: np.ndarray
    """Standard error of the difference; NaN with fewer than two blocks."""
    sure_V: np.ndarray
    """Whether the difference is sure."""
    patches: int
    """That meet the condition."""
    of: int
    """Patches in all."""
    blocks: int
    """Independent blocks that have such patches."""

    @property
    def difference_V(self) -> np.ndarray:
        """What is more, or less."""
        return self.mean_V - self.all_V

    @property
    def too_few(self) -> bool:
        """Whether there are too few blocks to call anything sure."""
        return self.blocks < FEWEST_BLOCKS

    @property
    def half_V(self) -> np.ndarray:
        """Half the width of each prototype's own 95 % interval; NaN where there are too few blocks."""
        if self.too_few:
            return np.full_like(self.error_V, np.nan)
        found: np.ndarray = self.error_V * stats.t.ppf(1 - SURE / 2, self.blocks - 1)
        return found

    def order(self) -> np.ndarray:
        """Prototypes, those that surely differ first, and the largest differences first among them and the others."""
        return np.lexsort((-np.abs(self.difference_V), ~self.sure_V))

    def sentence(self, period: PeriodAttention, condition: Condition) -> str:
        """How many patches were compared, and whether anything surely differs."""
        text = f"Of {self.of:,} patches in {period.windows_read}, {self.patches:,} {condition.words}."
        blocks = "1 independent block" if self.blocks == 1 else f"{self.blocks:,} independent blocks"
        text += f" Windows overlap; they make {blocks} of {period.prepared.context:,} rows"
        if self.too_few:
            return f"{text}, too few to call any difference sure (that takes {FEWEST_BLOCKS}): no intervals are shown."
        if not (sure := int(self.sure_V.sum())):
            return f"{text}. Nothing differs surely: all of these differences may be chance."
        best = int(self.order()[0])
        number, words = period.labels[best].split(": ", 1)
        return (
            f"{text}. {sure:,} of {len(self.sure_V):,} prototypes surely differ, most of all prototype {number} "
            f"({', '.join(words.split(', ')[:3])}): {self.mean_V[best]:.2%} of the attention here, "
            f"{self.all_V[best]:.2%} on average."
        )

    def frame(self, labels: tuple[str, ...]) -> pd.DataFrame:
        """A row for each prototype, in `order`; shares of attention."""
        columns = {
            "attention": self.mean_V, "average": self.all_V, "difference": self.difference_V,
            "low": self.difference_V - self.half_V, "high": self.difference_V + self.half_V, "sure": self.sure_V,
        }  # fmt: skip
        return pd.DataFrame(columns, index=pd.Index(labels, name="prototype")).iloc[self.order()]


def differences(period: PeriodAttention, condition: Condition) -> Differences:
    """Compare the patches that meet a condition with all patches.

    Raises:
        DataError: no patch meets it, or every one does.
    """
    meets_WP = condition.meets(period)
    if not meets_WP.any() or meets_WP.all():
        raise DataError(
            f"{'all' if meets_WP.any() else 'no'} patches of the test period {condition.words}, so there is nothing to"
            " compare; choose other patches"
        )
    block_W, count = blocks_of(period.index.origin, period.prepared.context)
    in_KN = (np.arange(count)[:, None] == np.repeat(block_W, meets_WP.shape[1])).astype(np.float32)
    weights_NV = period.weights_WPV.reshape(meets_WP.size, -1)
    all_, some = _Ratio.of(in_KN, weights_NV), _Ratio.of(in_KN * meets_WP.ravel(), weights_NV)
    blocks = int((some.patches_K > 0).sum())
    left_KV = some.left_KV - all_.left_KV
    error_V = np.full(left_KV.shape[1], np.nan)
    if blocks > 1:
        error_V = np.sqrt(np.square(left_KV).sum(axis=0) / (count * (count - 1)))
    sure_V = np.zeros(len(error_V), bool)
    if blocks >= FEWEST_BLOCKS:
        t_V = np.divide(some.mean_V - all_.mean_V, error_V, out=np.zeros_like(error_V), where=error_V > 0)
        sure_V = holm(2 * stats.t.sf(np.abs(t_V), blocks - 1))
    return Differences(some.mean_V, all_.mean_V, error_V, sure_V, int(meets_WP.sum()), meets_WP.size, blocks)


@dataclass(frozen=True)
class _Ratio:
    """Attention summed over patches, by the number of patches."""

    mean_V: np.ndarray
    left_KV: np.ndarray
    """What each block adds to the error of the mean, in units of one block."""
    patches_K: np.ndarray

    @classmethod
    def of(cls, counts_KN: np.ndarray, weights_NV: np.ndarray) -> _Ratio:
        sum_KV, patches_K = (counts_KN @ weights_NV).astype(np.float64), counts_KN.sum(axis=1, dtype=np.float64)
        mean_V = sum_KV.sum(axis=0) / patches_K.sum()
        return cls(mean_V, (sum_KV - patches_K[:, None] * mean_V) / patches_K.mean(), patches_K)


def blocks_of(origin_W: np.ndarray, context: int) -> tuple[np.ndarray, int]:
    """The block of each window [W], and how many blocks there are."""
    found, block_W = np.unique((origin_W - origin_W.min()) // context, return_inverse=True)
    return block_W, len(found)


def holm(p_V: np.ndarray) -> np.ndarray:
    """Which of many p-values are significant together, at 5 % for any false one (Holm 1979)."""
    order = np.argsort(p_V, kind="stable")
    passes = p_V[order] <= SURE / np.arange(len(p_V), 0, -1)
    passing = len(p_V) if passes.all() else int(np.argmin(passes))
    found = np.zeros(len(p_V), bool)
    found[order[:passing]] = True
    return found
