"""Gaps in a table: how far a window can reach at each origin, with gaps left alone or filled from a window's own past.

With `missing=skip` a window that touches a missing value is left out. With `missing=interpolate` the gaps of a context
are filled by what was known before its origin, the row of its first forecast step:

- a gap with known values on both sides before the origin is filled linearly; the left one may lie before the context;
- a gap that reaches the origin is filled with the last known value, because its right end is not known yet;
- a context before which nothing is known, or that holds no known value, is left out.

A target is never filled: a window whose target misses a value is left out either way.

Shapes: R rows, N channels. An array over origins has R + 1 columns: the last origin is the row after the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

Missing = Literal["skip", "interpolate"]

_BLOCK_VALUES = 4_000_000


@dataclass(frozen=True)
class Reach:
    """The windows that can be cut at each origin, int32 [N, R + 1]."""

    back: np.ndarray
    """Rows of the longest usable context."""
    since: np.ndarray
    """Rows since the last known value; a usable context is longer."""
    ahead: np.ndarray
    """Known rows from the origin on."""

    @classmethod
    def of(cls, values_RN: np.ndarray, missing: Missing) -> Self:
        """Reach of every origin of a table with NaN where a value is missing."""
        known_NR = ~np.isnan(np.ascontiguousarray(values_RN.T))
        channels, rows = known_NR.shape
        row = np.arange(rows, dtype=np.int32)
        origin = np.arange(rows + 1, dtype=np.int32)
        ahead = np.zeros((channels, rows + 1), np.int32)
        # From the right: the first missing row at or after each row.
        np.minimum.accumulate(np.where(known_NR, np.int32(rows), row)[:, ::-1], axis=1, out=ahead[:, :rows][:, ::-1])
        ahead[:, :rows] -= row
        if missing == "skip":
            back = origin - 1 - _latest(~known_NR)
            return cls(back, np.broadcast_to(np.int32(0), back.shape), ahead)
        first = np.where(known_NR.any(axis=1), known_NR.argmax(axis=1), rows).astype(np.int32)
        return cls(np.maximum(origin - first[:, None], 0), origin - 1 - _latest(known_NR), ahead)

    def usable(self, context: int, *, horizon: int, begin: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        """Whether context and target are usable, bool [N, W] each, for the origins `begin` to `end` (exclusive)."""
        at = slice(begin, end)
        fits = (self.back[:, at] >= context) & (self.since[:, at] < context)
        return fits, self.ahead[:, at] >= horizon


def blocks(values_RN: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """A few channels of a table at a time, with the number of the first: what is counted of them stays small."""
    size = max(1, _BLOCK_VALUES // max(1, len(values_RN)))
    for begin in range(0, values_RN.shape[1], size):
        yield begin, values_RN[:, begin : begin + size]


def _latest(which_NR: np.ndarray) -> np.ndarray:
    """The last row before each origin for which `which_NR` holds, [N, R + 1]; -1 if there is none."""
    channels, rows = which_NR.shape
    found = np.full((channels, rows + 1), -1, np.int32)
    np.maximum.accumulate(np.where(which_NR, np.arange(rows, dtype=np.int32), np.int32(-1)), axis=1, out=found[:, 1:])
    return found
