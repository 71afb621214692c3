"""Gaps in a table: how far a window can reach at each origin, and what a window's own past puts into them.

With `missing=skip` a window that touches a missing value is left out. Otherwise the gaps of a context are filled by
what was known before its origin, the row of its first forecast step:

- `interpolate`: a gap with known values on both sides before the origin is filled linearly; the left one may lie before
  the context. One that reaches the origin repeats the last known value, because its right end is not known yet. So this
  differs from window to window, and is never done on the table as a whole;
- `previous`: the last known value;
- `seasonal:24`: the value 24 rows before, or 48, 72 ... where that one is missing, too;
- a context with a row that cannot be filled so, or that holds no known value, is left out.

A target is never filled: a window whose target misses a value is left out either way.

Shapes: R rows, N channels. An array over origins has R + 1 columns: the last origin is the row after the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

Missing = str
"""skip, interpolate, previous or seasonal:ROWS."""

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
        values_NR = np.ascontiguousarray(values_RN.T)
        known_NR = ~np.isnan(values_NR)
        channels, rows = known_NR.shape
        row = np.arange(rows, dtype=np.int32)
        origin = np.arange(rows + 1, dtype=np.int32)
        ahead = np.zeros((channels, rows + 1), np.int32)
        ahead[:, :rows] = _following(~known_NR) - row
        if missing == "skip":
            back = origin - 1 - _latest(~known_NR)
            return cls(back, np.broadcast_to(np.int32(0), back.shape), ahead)
        since = origin - 1 - _latest(known_NR)
        if season := season_of(missing):
            return cls(origin - 1 - _latest(np.isnan(_seasonal(values_NR, season))), since, ahead)
        first = np.where(known_NR.any(axis=1), known_NR.argmax(axis=1), rows).astype(np.int32)
        return cls(np.maximum(origin - first[:, None], 0), since, ahead)

    def usable(self, context: int, *, horizon: int, begin: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        """Whether context and target are usable, bool [N, W] each, for the origins `begin` to `end` (exclusive)."""
        at = slice(begin, end)
        fits = (self.back[:, at] >= context) & (self.since[:, at] < context)
        return fits, self.ahead[:, at] >= horizon


@dataclass(frozen=True)
class Past:
    """A table as it was known before any origin, as NumPy arrays or as tensors.

    What can be read at an origin follows from that origin alone: whatever stands at or after it changes nothing.
    """

    values_NR: Any
    """Values, with a gap between two known ones filled linearly."""
    last_NR: Any | None
    """Last known row up to each row, 0 before the first one; None where nothing is filled."""

    @classmethod
    def of(cls, values_RN: np.ndarray, missing: Missing) -> Self:
        """The past of a table with NaN where a value is missing, in float64."""
        values_NR = np.ascontiguousarray(values_RN.T)
        gap_NR = np.isnan(values_NR)
        if missing == "skip" or not gap_NR.any():
            return cls(values_NR, None)
        if season := season_of(missing):
            return cls(_seasonal(values_NR, season), None)
        last_NR = _latest(~gap_NR)[:, 1:]
        if missing == "previous":
            row_NR = np.maximum(last_NR, 0)  # row 0 is missing where nothing is known yet
            return cls(np.take_along_axis(values_NR, row_NR, axis=1), None)
        following_NR = _following(~gap_NR)
        channel, row = np.nonzero(gap_NR & (last_NR >= 0) & (following_NR < len(values_RN)))
        left, right = last_NR[channel, row], following_NR[channel, row]
        share = (row - left) / (right - left)
        filled_NR = values_NR.copy()  # the transposed table may be the table itself
        filled_NR[channel, row] = (1 - share) * values_NR[channel, left] + share * values_NR[channel, right]
        # Row 0 is missing where nothing is known yet, so that it reads as missing; -1 would be the table's end.
        return cls(filled_NR, np.maximum(last_NR, 0))

    def before(self, origin: Any, *, channel: Any, rows_WK: Any) -> Any:
        """Values [W, K] of `rows_WK`, all of them before `origin` [W], of the channels `channel` [W]."""
        return self.values_NR[channel[:, None], self.read_from(origin, channel=channel, rows_WK=rows_WK)]

    def read_from(self, origin: Any, *, channel: Any, rows_WK: Any) -> Any:
        """The rows whose values stand for `rows_WK` at `origin`, [W, K].

        Rows after the last one that was known then lie in a gap whose right end came later: they repeat its value.
        """
        if self.last_NR is None:
            return rows_WK
        return rows_WK.clip(max=self.last_NR[channel, origin - 1][:, None])


def last_context(values_R: np.ndarray, *, rows: int, missing: Missing) -> np.ndarray:
    """The last `rows` values of a channel with their gaps filled; as they are, with NaN, where no window can end."""
    values_R1, end = values_R[:, None], len(values_R)
    fits, _ = Reach.of(values_R1, missing).usable(rows, horizon=0, begin=end, end=end + 1)
    if not fits.all():
        return values_R[-rows:]
    rows_1T = np.arange(end - rows, end)[None]
    return Past.of(values_R1, missing).before(np.array([end]), channel=np.array([0]), rows_WK=rows_1T)[0]


def filled_at_the_end(values_RN: np.ndarray, missing: Missing) -> np.ndarray:
    """The table [R, N] as a window that ends with it sees it; NaN stays where nothing can be filled."""
    past = Past.of(values_RN, missing)
    rows = np.broadcast_to(np.arange(len(values_RN)), past.values_NR.shape)
    if past.last_NR is not None and len(values_RN):
        rows = rows.clip(max=past.last_NR[:, -1:])
    return np.take_along_axis(past.values_NR, rows, axis=1).T


def season_of(missing: Missing) -> int:
    """Rows of the season by which gaps are filled; 0 where they are treated in another way."""
    how, _, rows = missing.partition(":")
    return int(rows) if how == "seasonal" else 0


def blocks(values_RN: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """A few channels of a table at a time, with the number of the first: what is counted of them stays small."""
    size = max(1, _BLOCK_VALUES // max(1, len(values_RN)))
    for begin in range(0, values_RN.shape[1], size):
        yield begin, values_RN[:, begin : begin + size]


def _seasonal(values_NR: np.ndarray, season: int) -> np.ndarray:
    """Values with each missing one replaced by the latest known one a whole number of seasons before."""
    channels, rows = values_NR.shape
    if season >= rows:
        return values_NR
    seasons = -(-rows // season)
    padded = np.full((channels, seasons * season), np.nan)
    padded[:, :rows] = values_NR
    by_season = padded.reshape(channels, seasons, season)
    place = np.where(np.isnan(by_season), 0, np.arange(seasons)[:, None])
    latest = np.maximum.accumulate(place, axis=1)  # season 0 is missing where none is known yet
    return np.take_along_axis(by_season, latest, axis=1).reshape(channels, -1)[:, :rows]


def _latest(which_NR: np.ndarray) -> np.ndarray:
    """The last row before each origin for which `which_NR` holds, [N, R + 1]; -1 if there is none."""
    channels, rows = which_NR.shape
    found = np.full((channels, rows + 1), -1, np.int32)
    np.maximum.accumulate(np.where(which_NR, np.arange(rows, dtype=np.int32), np.int32(-1)), axis=1, out=found[:, 1:])
    return found


def _following(which_NR: np.ndarray) -> np.ndarray:
    """The first row from each row on for which `which_NR` holds, [N, R]; R if there is none."""
    rows = np.int32(which_NR.shape[1])
    candidates_NR = np.where(which_NR, np.arange(rows, dtype=np.int32), rows)
    return np.minimum.accumulate(candidates_NR[:, ::-1], axis=1)[:, ::-1]
