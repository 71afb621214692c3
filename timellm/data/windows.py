"""From a table's values to windows: chronological split, scaling by the training rows, and window indexing.

Pages use this, so it imports no torch.

Shapes: R rows, N channels, W windows. Every window is one channel's; it is named by its channel and its origin, the
row of its first forecast step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from timellm.config import TaskConfig
from timellm.data.gaps import Missing, Reach, blocks
from timellm.errors import DataError

Part = Literal["training", "validation", "test"]
SHARE_OF_SCALE = 0.3
"""Share of a channel's scale that the spread of every window has, because a context may be constant: what errors of a
window are divided by, so that windows of one channel that differ in size can be compared."""


@dataclass(frozen=True)
class Split:
    """Row boundaries of the three parts in time order; the test part ends at `test_end`."""

    train_end: int
    """End of the rows that are learned from."""
    validation_end: int
    test_end: int
    train_begin: int = 0
    unused: int = 0
    """Rows between those that are learned from and the validation part, which nothing is learned from."""

    @classmethod
    def of(cls, task: TaskConfig, rows: int) -> Self:
        """The boundaries that a task asks for in a table of `rows` rows.

        Raises:
            ConfigError: the split needs more rows than there are.
        """
        return cls.from_rows(task.split_rows(rows), training_rows=task.training_rows, side=task.training_side)

    @classmethod
    def from_rows(
        cls, rows: tuple[int, int, int], *, training_rows: int | None = None, side: Literal["last", "first"] = "last"
    ) -> Self:
        """Boundaries for (train, validation, test) row counts.

        Of the training part, only `training_rows` are learned from, at the `side` named; the other parts stay.
        """
        train, validation, test = rows
        left_out = 0 if training_rows is None else max(0, train - training_rows)
        ends = train + validation, train + validation + test
        if side == "first":
            return cls(train - left_out, *ends, unused=left_out)
        return cls(train, *ends, train_begin=left_out)

    @property
    def validation_begin(self) -> int:
        """First row of the validation part."""
        return self.train_end + self.unused

    def bounds(self, part: Part) -> tuple[int, int]:
        """First row and end row (exclusive) of a part."""
        return {
            "training": (self.train_begin, self.train_end),
            "validation": (self.validation_begin, self.validation_end),
            "test": (self.validation_end, self.test_end),
        }[part]


@dataclass(frozen=True)
class Scaler:
    """Z-score by channel, fitted on the training rows alone."""

    mean: np.ndarray
    """[N] in original units."""
    scale: np.ndarray
    """[N] standard deviation; 1 for a channel that is constant, so that it stays constant."""

    @classmethod
    def fit(cls, values_RN: np.ndarray, *, channels: tuple[str, ...]) -> Self:
        """Mean and standard deviation (divided by the count, as in the published protocol), missing values left out.

        Raises:
            DataError: a channel has no value at all in these rows.
        """
        empty = np.isnan(values_RN).all(axis=0)
        if empty.any():
            name = channels[int(np.flatnonzero(empty)[0])]
            raise DataError(
                f"channel '{name}' has no value in the {len(values_RN):,} training rows; leave it out with 'channels'"
                " or enlarge the training part with 'split'"
            )
        scale = np.nanstd(values_RN, axis=0)
        return cls(np.nanmean(values_RN, axis=0), np.where(scale > 0, scale, 1.0))

    def transform(self, values: np.ndarray) -> np.ndarray:
        """Original units to z-scores; the last axis is the channel."""
        return (values - self.mean) / self.scale

    def restore(self, scaled_WH: np.ndarray, *, channel: np.ndarray) -> np.ndarray:
        """Z-scores [W, H] of windows whose channels are `channel` [W] to original units."""
        return scaled_WH * self.scale[channel, None] + self.mean[channel, None]


@dataclass(frozen=True)
class WindowIndex:
    """Which windows there are: channel and origin row of each."""

    channel: np.ndarray
    """[W] int64."""
    origin: np.ndarray
    """[W] int64, row of the first forecast step."""
    left_out: int
    """Windows not listed because of missing values."""

    def __len__(self) -> int:
        return len(self.origin)

    def part(self, begin: int, end: int) -> WindowIndex:
        """The windows from one place of the list to another."""
        return WindowIndex(self.channel[begin:end], self.origin[begin:end], 0)

    def evenly(self, count: int) -> WindowIndex:
        """At most `count` windows, evenly spaced over the list."""
        if len(self) <= count:
            return self
        keep = np.linspace(0, len(self) - 1, count).round().astype(np.int64)
        return WindowIndex(self.channel[keep], self.origin[keep], self.left_out)


def index_windows(
    values_RN: np.ndarray, split: Split, *, part: Part, context: int, horizon: int, missing: Missing = "skip"
) -> WindowIndex:
    """Every usable window whose target lies in `part`, channel after channel, each in time order; perhaps none.

    A context may reach back before the part (as in the published benchmarks), never a target. Which windows are usable
    says timellm.data.gaps; why there is none, timellm.data.usable.
    """
    begin, end = split.bounds(part)
    begin = max(begin, context)
    end = max(begin, end - horizon + 1)
    channels, origins = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for first, some_RN in blocks(values_RN):
        fits, whole = Reach.of(some_RN, missing).usable(context, horizon=horizon, begin=begin, end=end)
        channel, position = np.nonzero(fits & whole)
        channels.append(channel + first)
        origins.append(position + begin)
    channel, origin = np.concatenate(channels), np.concatenate(origins)
    return WindowIndex(channel, origin, values_RN.shape[1] * (end - begin) - len(origin))
