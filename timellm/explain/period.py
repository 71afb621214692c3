"""Attention over a run's test period, read once: what the views over many windows are made of.

Inputs: a run folder and one channel. Outputs: mean attention by head, how many prototypes heads attend to, how alike
heads are, and the attention of every patch, mean of heads. Windows are thinned evenly where all would take too much
time or memory.

Shapes: W windows, T context, h heads, P patches, S patch length, V prototypes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from timellm.data.calendar import Grain, grain_of, row_starts
from timellm.data.prepared import PreparedData
from timellm.data.windows import WindowIndex
from timellm.errors import DataError
from timellm.explain.heads import Heads
from timellm.explain.reader import AttentionReader
from timellm.forecasters.time_llm.patching import NORM_EPSILON
from timellm.forecasting.artifacts import RunFolder

MOST_WINDOWS = 300
"""Windows that are read at most: neighbours share nearly all of their rows."""
_MOST_VALUES = 16_000_000


@dataclass(frozen=True)
class PeriodAttention:
    """Attention of one channel's windows of the test period."""

    prepared: PreparedData
    reader: AttentionReader
    index: WindowIndex
    """The windows that were read."""
    windows: int
    """Windows that the channel has in the test period."""
    heads: Heads
    """Each number is the mean over the windows."""
    weights_WPV: np.ndarray
    """Mean of heads, float32."""

    @classmethod
    def open(cls, run_dir: str | Path, channel: str) -> Self:
        """That of a finished run.

        Raises:
            CheckpointError: the run folder is incomplete or damaged.
            ConfigError: the run has no such attention.
            DataError: the channel is not there, or has no window in the test period.
        """
        folder = RunFolder(Path(run_dir))
        reader, prepared = AttentionReader.open(run_dir), folder.prepared()
        if channel not in prepared.table.channels:
            raise DataError(f"there is no channel '{channel}'; the run has {', '.join(prepared.table.channels)}")
        return cls.of(reader, prepared, channel=prepared.table.channels.index(channel))

    @classmethod
    def of(cls, reader: AttentionReader, prepared: PreparedData, *, channel: int) -> Self:
        """Read the windows of the channel with this number.

        Raises:
            DataError: it has no window in the test period.
        """
        every = prepared.windows("test")
        mine = np.flatnonzero(every.channel == channel)
        if not len(mine):
            raise DataError(
                f"channel '{prepared.table.channels[channel]}' has no window in the test period without missing values;"
                " choose another channel"
            )
        heads, patches, prototypes = reader.config.heads, len(reader.spans_P2), len(reader.prototypes_VD)
        most = max(1, min(MOST_WINDOWS, _MOST_VALUES // (patches * prototypes)))
        index = WindowIndex(every.channel[mine], every.origin[mine], 0).evenly(most)
        weights_WPV = np.empty((len(index), patches, prototypes), np.float32)
        total, done = (
            Heads(np.zeros((heads, patches, prototypes)), np.zeros((heads, patches)), np.zeros((heads,) * 2)),
            0,
        )
        for part, weights_BhPV in reader.over(prepared, index):
            weights_WPV[done : done + len(part)] = weights_BhPV.mean(axis=1)
            found = Heads.of(weights_BhPV)
            total.weights_hPV[:] += found.weights_hPV * len(part)
            total.effective_hP[:] += found.effective_hP * len(part)
            total.alike_hh[:] += found.alike_hh * len(part)
            done += len(part)
        mean = Heads(total.weights_hPV / done, total.effective_hP / done, total.alike_hh / done)
        return cls(prepared, reader, index, len(mine), mean, weights_WPV)

    @property
    def mean_V(self) -> np.ndarray:
        """Mean attention to each prototype over heads, patches and windows."""
        return self.heads.weights_hPV.mean(axis=(0, 1))

    @property
    def windows_read(self) -> str:
        """How many windows were read, of how many."""
        return f"{len(self.index):,} of {self.windows:,} windows of the test period"

    @property
    def labels(self) -> tuple[str, ...]:
        """Number (from 1) and nearest words of each prototype."""
        return labels(self.reader.words)

    @property
    def grain(self) -> Grain:
        """The finest part of the calendar that differs from row to row."""
        return grain_of(self.prepared.table.offset)

    def of_middles(self, part: str) -> np.ndarray:
        """A part of the calendar (hour, day_of_week, month) at the middle row of each patch, [W, P]."""
        starts = row_starts(self.prepared.table, 1)
        middle_P = self.reader.spans_P2.sum(axis=1) // 2
        rows_WP = self.index.origin[:, None] - self.prepared.context + middle_P
        return getattr(starts, part).to_numpy()[rows_WP]

    def nearest_patch(self, index: pd.DatetimeIndex, begin: pd.Timestamp, end: pd.Timestamp) -> int:
        """Number (from 1) of the patch, of a window over `index`, that lies nearest to a stretch of time."""
        middles = index[(self.reader.spans_P2.sum(axis=1) // 2).clip(max=len(index) - 1)]
        return 1 + int(np.abs((middles - (begin + (end - begin) / 2)).total_seconds()).argmin())

    def patches(self) -> np.ndarray:
        """The values that each patch covers, [W, P, S], z-scored by window; the last ones repeat their last value."""
        rows_WT = self.index.origin[:, None] + np.arange(-self.prepared.context, 0)
        context_WT = self.prepared.scaled_past.before(self.index.origin, channel=self.index.channel, rows_WK=rows_WT)
        return patches_of(context_WT, self.reader)


def patches_of(context_WT: np.ndarray, reader: AttentionReader) -> np.ndarray:
    """The values that each patch of these contexts covers, [W, P, S], z-scored by window."""
    centred_WT = context_WT - context_WT.mean(axis=1, keepdims=True)
    scaled_WT = centred_WT / np.sqrt(centred_WT.var(axis=1, keepdims=True) + NORM_EPSILON)
    return scaled_WT[:, reader.rows_PS]


def labels(words: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Number (from 1) and nearest words of each prototype."""
    return tuple(f"{number}: {', '.join(nearest)}" for number, nearest in enumerate(words, start=1))
