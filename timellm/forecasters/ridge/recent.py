"""How the channels of a table moved lately: what the map of a channel can be told of the others.

For 1, 2, 4 and 8 rows, the mean of so many of the last rows less that of twice as many. Such differences do not drift,
so that they mean the same in every part of a table; how high another channel lies does not. Each is divided by its
root mean square over the training rows, and no more than three of these count: one wild cell moves no forecast far.

A cell that is missing repeats the last value before it, whatever the run does with gaps: only what was known when a
forecast begins is read. A channel of which nothing is known yet did not move.

Shapes: P places in the table (its rows and the one after them), N channels, R columns (four of each channel).
"""

from __future__ import annotations

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
        if not 1 < len(prepared.table.channels) <= limits.MOST_RECENT_CHANNELS:
            return None
        begin, end = prepared.split.bounds("training")
        return cls(np.sqrt(np.square(_moved(prepared)[begin : end + 1]).mean(axis=0)))

    def columns(self, prepared: PreparedData) -> np.ndarray:
        """The movements [P, R] before each place of a table with the same channels, as shares of the usual ones."""
        usual_R = np.where(self.usual_R > 0, self.usual_R, np.inf)
        return (_moved(prepared) / usual_R).clip(-_MOST, _MOST)


def _moved(prepared: PreparedData) -> np.ndarray:
    """The movements [P, R] in z-scores: of one span for all channels, then of the next span."""
    known_RN = pd.DataFrame(prepared.scaler.transform(prepared.seen)).ffill().to_numpy()
    sums_PN = np.zeros((len(known_RN) + 1, known_RN.shape[1]))
    np.cumsum(np.nan_to_num(known_RN), axis=0, out=sums_PN[1:])
    since_N = np.isnan(known_RN).sum(axis=0)
    place_P = np.arange(len(sums_PN))

    def mean(rows: int) -> np.ndarray:
        return (sums_PN - sums_PN[np.maximum(place_P - rows, 0)]) / rows

    spans = []
    for rows in limits.RECENT_ROWS:
        moved_PN = mean(rows) - mean(2 * rows)
        # Before so many values are known, nothing is said.
        spans.append(np.where(place_P[:, None] >= since_N + 2 * rows, moved_PN, 0.0))
    return np.concatenate(spans, axis=1)
