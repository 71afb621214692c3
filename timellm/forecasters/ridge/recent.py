"""How the channels of a table moved lately: what the map of a channel can be told of the others.

For 1, 2, 4 and 8 rows, the mean of so many of the last rows less that of twice as many. Such differences do not drift,
so that they mean the same in every part of a table; how high another channel lies does not. Each is divided by its
root mean square over the training rows, and no more than three of these count: one wild cell moves no forecast far.

A cell that is missing repeats the last value before it, whatever the run does with gaps: only what was known when a
forecast begins is read. A channel of which nothing is known yet did not move.

Shapes: B origins, P places in the table (its rows and the one after them), N channels, R columns (of one span for all
channels, then of the next span).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from timellm.data.prepared import PreparedData
from timellm.forecasters.ridge import limits

_MOST = 3.0


@dataclass(frozen=True)
class Recent:
    """What a usual movement of each channel is."""

    usual_R: np.ndarray
    """Root mean squares, 0 for a channel that never moves. Float64."""

    @classmethod
    def of(cls, prepared: PreparedData) -> Self | None:
        """As the training rows of a table have it; None if it has one channel, or too many."""
        channels = len(prepared.table.channels)
        if not 1 < channels <= limits.MOST_RECENT_CHANNELS:
            return None
        moved, (begin, end) = _movements(prepared), prepared.split.bounds("training")
        columns = channels * limits.RECENT_COLUMNS
        squared_R, size = np.zeros(columns), max(1, limits.BATCH_VALUES // columns)
        for first in range(begin, end + 1, size):
            squared_R += np.square(moved(np.arange(first, min(first + size, end + 1)))).sum(axis=0)
        return cls(np.sqrt(squared_R / (end + 1 - begin)))

    def on(self, prepared: PreparedData) -> Callable[[np.ndarray], np.ndarray]:
        """What gives the movements [B, R] before origins [B] of a table with the same channels, in usual movements."""
        moved, usual_R = _movements(prepared), np.where(self.usual_R > 0, self.usual_R, np.inf)
        return lambda origin_B: (moved(origin_B) / usual_R).clip(-_MOST, _MOST)


def _movements(prepared: PreparedData) -> Callable[[np.ndarray], np.ndarray]:
    """What gives the movements [B, R] before origins [B], in z-scores."""
    known_RN = pd.DataFrame(prepared.scaler.transform(prepared.seen)).ffill().to_numpy()
    since_N = np.isnan(known_RN).sum(axis=0)
    sums_PN = np.zeros((len(known_RN) + 1, known_RN.shape[1]))
    np.cumsum(np.nan_to_num(known_RN), axis=0, out=sums_PN[1:])

    def moved(origin_B: np.ndarray) -> np.ndarray:
        def mean(rows: int) -> np.ndarray:
            return (sums_PN[origin_B] - sums_PN[np.maximum(origin_B - rows, 0)]) / rows

        spans = []
        for rows in limits.RECENT_ROWS:
            is_known_BN = origin_B[:, None] >= since_N + 2 * rows  # nothing is said before
            spans.append(np.where(is_known_BN, mean(rows) - mean(2 * rows), 0.0))
        return np.concatenate(spans, axis=1)

    return moved
