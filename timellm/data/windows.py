"""From a table's values to windows: chronological split, scaling by the training rows, and window indexing.

Pages use this, so it imports no torch.

Shapes: R rows, N channels, W windows. Every window is one channel's; it is named by its
channel and its origin, the row of its first forecast step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from timellm.errors import DataError

Part = Literal["training", "validation", "test"]


@dataclass(frozen=True)
class Split:
    """Row boundaries of the three parts in time order; the test part ends at `test_end`."""

    train_end: int
    validation_end: int
    test_end: int

    @classmethod
    def from_rows(cls, rows: tuple[int, int, int]) -> Self:
        """Boundaries for (train, validation, test) row counts."""
        train, validation, test = rows
        return cls(train, train + validation, train + validation + test)

    def bounds(self, part: Part) -> tuple[int, int]:
        """First row and end row (exclusive) of a part."""
        return {
            "training": (0, self.train_end),
            "validation": (self.train_end, self.validation_end),
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
    """Windows not listed because they touch a missing value."""

    def __len__(self) -> int:
        return len(self.origin)

    def evenly(self, count: int) -> WindowIndex:
        """At most `count` windows, evenly spaced over the list."""
        if len(self) <= count:
            return self
        keep = np.linspace(0, len(self) - 1, count).round().astype(np.int64)
        return WindowIndex(self.channel[keep], self.origin[keep], self.left_out)


def index_windows(values_RN: np.ndarray, split: Split, *, part: Part, context: int, horizon: int) -> WindowIndex:
    """Every window whose target lies in `part`, channel after channel, each in time order.

    A context may reach back before the part (as in the published benchmarks), never a target.

    Raises:
        DataError: the part holds no usable window; says by how much it is too short, or that values are missing.
    """
    begin, end = split.bounds(part)
    origins = np.arange(max(begin, context), end - horizon + 1)
    if len(origins) == 0:
        need = horizon + (context if part == "training" else max(0, context - begin))
        raise DataError(
            f"the {part} part has {end - begin:,} rows, but one window needs {need:,}"
            f" (context {context}, horizon {horizon}); lower them, change 'split', or bring more rows"
        )
    # Missing values in rows [a, b) are gaps[b] - gaps[a].
    gaps = np.vstack([np.zeros((1, values_RN.shape[1]), np.int64), np.isnan(values_RN).cumsum(axis=0)])
    whole_WN = gaps[origins + horizon] == gaps[origins - context]
    channel, position = np.nonzero(whole_WN.T)
    if len(position) == 0:
        raise DataError(
            f"every window of the {part} part touches a missing value; fill gaps with 'missing=interpolate', lower"
            " 'context', or leave out the channels that are mostly missing"
        )
    return WindowIndex(channel.astype(np.int64), origins[position], int(whole_WN.size - len(position)))
