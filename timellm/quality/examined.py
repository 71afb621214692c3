"""A table as the checks look at it, with what several of them need worked out once.

Inputs: a `Table` and the task that it is meant for. Outputs: `Examined`, and a `Channel` for each of those that the
statistical checks look at. These look at as many channels as hold eight million values together, at least 8 and at most
64, evenly spaced, so that no table takes much longer than a million rows of 8 channels.

Shapes: R rows, N channels, K known values of one channel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from timellm.config import TaskConfig
from timellm.data.seasonality import calendar_units, shown_seasons
from timellm.data.table import Table
from timellm.quality.finding import MOST_SPANS, Span

_MOST_VALUES, _FEWEST_CHANNELS, _MOST_CHANNELS = 8_000_000, 8, 64
_SAMPLE = 20_000
"""Rows of a channel by which quantiles are estimated: the share of 1 % is then known to a tenth of itself."""
_MOST_SEASONS, _LATEST = 8, 2**15
"""Channels, and their latest rows, in which seasons are looked for: three weeks of minutes, three years of hours."""
_CLIPPED = 0.01
_CORRELATED = 0.2
"""Autocorrelation below which a season is not named: it would explain less than a twenty-fifth of the variance. The
largest of a thousand correlations of unrelated rows is about 3.3 standard errors, so that 4 are needed, too."""
_CYCLES = 6
"""Times that a season must be seen, unless it is one of the calendar: a random walk swings back two or three times."""
OFTEN = 0.95
"""A value in this share of the rows makes a channel nearly constant: repeating it is right in 19 of 20 rows, so that
the errors of good and bad models are nearly alike."""


@dataclass(frozen=True)
class Channel:
    """One channel, its values in one piece of memory."""

    name: str
    values_R: np.ndarray

    @cached_property
    def known_R(self) -> np.ndarray:
        """Whether each value is known."""
        return ~np.isnan(self.values_R)

    @cached_property
    def kept_K(self) -> np.ndarray:
        """The known values."""
        return self.values_R if self.known_R.all() else self.values_R[self.known_R]

    @cached_property
    def sample(self) -> np.ndarray:
        """Some of the known values, drawn at random: evenly spaced ones could all lie at one hour."""
        if len(self.kept_K) <= _SAMPLE:
            return self.kept_K
        return self.kept_K[np.random.default_rng(0).integers(len(self.kept_K), size=_SAMPLE)]

    @cached_property
    def commonest(self) -> tuple[float, int]:
        """The commonest value and how often it stands there; (NaN, 0) for a channel without values."""
        if not len(self.kept_K):
            return np.nan, 0
        values, counts = np.unique(self.sample, return_counts=True)
        value = float(values[counts.argmax()])
        return value, int(np.count_nonzero(self.kept_K == value))

    @property
    def is_flat(self) -> bool:
        """Whether it is empty, constant or nearly constant: what other checks say of such a channel misleads."""
        return self.commonest[1] >= OFTEN * len(self.kept_K)


@dataclass(frozen=True)
class Examined:
    """A table, the task that it is meant for, and what checks share."""

    table: Table
    task: TaskConfig
    filled: bool = False
    """Whether gaps in what a model sees are filled, so that only missing values to forecast cost windows."""

    @property
    def index(self) -> pd.DatetimeIndex:
        """Timestamps of the rows."""
        return self.table.values.index

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of all channels."""
        return self.table.channels

    @cached_property
    def values_RN(self) -> np.ndarray:
        """All values, float64, NaN where missing."""
        return self.table.values.to_numpy(np.float64)

    @cached_property
    def known_count_N(self) -> np.ndarray:
        """Known values of each channel."""
        return len(self.values_RN) - np.isnan(self.values_RN).sum(axis=0)

    @cached_property
    def empty_rows_R(self) -> np.ndarray:
        """Rows in which no channel has a value."""
        return np.isnan(self.values_RN).all(axis=1)

    @cached_property
    def absent_R(self) -> np.ndarray:
        """Rows that the file does not have; where that is not known any more, rows without any value."""
        lines = self.table.lines
        return lines.absent if lines is not None else self.empty_rows_R

    @cached_property
    def channels(self) -> tuple[Channel, ...]:
        """The channels that statistical checks look at."""
        rows, count = self.values_RN.shape
        most = min(count, max(_FEWEST_CHANNELS, min(_MOST_CHANNELS, _MOST_VALUES // max(rows, 1))))
        chosen = np.unique(np.linspace(0, count - 1, most).round().astype(int))
        return tuple(Channel(self.names[at], np.ascontiguousarray(self.values_RN[:, at])) for at in chosen)

    @cached_property
    def lively(self) -> tuple[Channel, ...]:
        """Those of `channels` that are not flat."""
        return tuple(one for one in self.channels if not one.is_flat)

    @cached_property
    def calendar(self) -> dict[str, int]:
        """Rows in an hour, a day, a week and a year, as far as these are whole numbers."""
        return calendar_units(self.table.frequency)

    @cached_property
    def seasons(self) -> dict[str, tuple[tuple[int, float], ...]]:
        """Seasons that the latest rows of the first lively channels show: rows and autocorrelation, by channel."""
        return {one.name: self._seasons_of(one) for one in self.lively[:_MOST_SEASONS]}

    def _seasons_of(self, channel: Channel) -> tuple[tuple[int, float], ...]:
        values_R = channel.values_R[-_LATEST:]
        # One outlier would hide a season.
        values_R = np.clip(values_R, *np.quantile(channel.sample, (_CLIPPED, 1 - _CLIPPED)))
        found = shown_seasons(values_R[:, None], frequency=self.table.frequency)
        known = int(channel.known_R[-_LATEST:].sum())
        least = max(_CORRELATED, 4 / np.sqrt(max(known, 1)))
        calendar = set(self.calendar.values())
        return tuple(one for one in found if one[1] >= least and (one[0] in calendar or one[0] * _CYCLES <= known))

    @property
    def window(self) -> int:
        """Rows of a window: context and horizon."""
        return self.task.context + self.task.horizon

    @property
    def touched(self) -> int:
        """Rows of a window that must not touch a gap."""
        return self.task.horizon if self.filled else self.window

    def span(self, first: int, last: int, channel: str | None = None) -> Span:
        """The place of the rows `first` to `last`."""
        lines, index = self.table.lines, self.index
        line = lines.line(first, channel) if lines is not None else None
        return Span(index[first], index[last], int(first), int(last), line)

    def spans(self, stretches: np.ndarray, channel: str | None = None) -> tuple[Span, ...]:
        """The places of the first stretches [stretches, 2] of rows, as many as a finding names."""
        return tuple(self.span(int(first), int(last), channel) for first, last in stretches[:MOST_SPANS])


def runs(chosen_R: np.ndarray) -> np.ndarray:
    """Stretches in which `chosen_R` holds: first and last row of each, [stretches, 2]."""
    padded = np.zeros(len(chosen_R) + 2, np.int8)
    padded[1:-1] = chosen_R
    edges = np.flatnonzero(np.diff(padded))
    return np.stack([edges[::2], edges[1::2] - 1], axis=1)


def windows_left_out(missing: np.ndarray, *, rows: int, window: int) -> tuple[int, int]:
    """How many windows of `window` rows touch one of the missing stretches [stretches, 2], and how many there are."""
    possible = max(0, rows - window + 1)
    begins = np.concatenate([[0], missing[:, 1] + 1])
    ends = np.concatenate([missing[:, 0], [rows]])
    usable = int(np.maximum(ends - begins - window + 1, 0).sum())
    return possible - usable, possible
