"""The records of a table between reading and the regular grid, on which repairs work.

Shapes: E records, C columns of values (the channels of a wide table, 1 of a long one).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pandas as pd

MOST_PLACES = 5


@dataclass(frozen=True)
class Entries:
    """Records with their numbers; timestamps may repeat, be uneven and out of order."""

    times: pd.Series
    """[E] datetime64[us], indexed by the record of the file that each comes from."""
    series: np.ndarray
    """[E] int64, place of each record's series in `names`; 0 throughout in a wide table."""
    names: tuple[str, ...]
    """Channels."""
    values: np.ndarray
    """[E, C] float64, NaN where missing."""
    long: bool
    """Whether a record belongs to one series, and has one value."""
    utc: bool
    """Whether the file gave offsets from UTC, so that the times are UTC already."""
    place: Callable[[int], str]
    """From a record to where it stands, such as "column 'date', line 12"."""

    def __len__(self) -> int:
        return len(self.series)

    @property
    def newest_first(self) -> bool:
        """Whether most records of a series stand after later ones."""
        order = np.argsort(self.series, kind="stable")
        steps = np.diff(self.times.to_numpy()[order])[np.diff(self.series[order]) == 0].astype(np.int64)
        return int((steps < 0).sum()) > int((steps > 0).sum())

    def only(self, kept: np.ndarray) -> Self:
        """The records for which `kept` [E] holds."""
        return replace(self, times=self.times[kept], series=self.series[kept], values=self.values[kept])

    def by_channel(self, cells: np.ndarray) -> dict[str, int]:
        """Cells [E, C], counted or marked, by channel; channels without any are left out."""
        if self.long:
            counts = np.bincount(self.series, weights=cells[:, 0], minlength=len(self.names))
        else:
            counts = cells.sum(axis=0)
        return {name: int(count) for name, count in zip(self.names, counts, strict=True) if count}

    def places(self, records: np.ndarray) -> tuple[str, ...]:
        """The first moments among records, marked [E] or [E, C]."""
        marked = records if records.ndim == 1 else records.any(axis=1)
        moments = pd.DatetimeIndex(self.times[marked].unique()).sort_values()[:MOST_PLACES]
        return tuple(map(str, moments))

    def channel(self, name: str) -> pd.Series:
        """The known values of a channel by their moments, in order."""
        place = self.names.index(name)
        rows = self.series == place if self.long else np.ones(len(self), bool)
        values = self.values[rows, 0 if self.long else place]
        return pd.Series(values, index=pd.DatetimeIndex(self.times[rows]), name=name).sort_index(kind="stable").dropna()
