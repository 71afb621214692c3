"""A table's size, and what follows from it: its windows, and the memory of the table and of its scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from timellm.config import RunConfig

_SCORED_PART, _SCORED_WINDOW = 44 * 2**20, 1_100
"""Bytes that scoring holds at its peak, for a part of the windows, and for every window: the errors of each model in
each window, while they are compared (docs/measurements.md)."""
_QUANTILE_BLOCK, _KEPT_QUANTILE = 32_000_000, 6
"""Bytes that bands of a model's own quantiles take beside that: for windows that are worked on at once, and for each
quantile of a test window, which is read from its file in half precision, and sorted."""


@dataclass(frozen=True)
class TableSize:
    """What of a table decides memory and time."""

    rows: int
    channels: int


def joined(tables: Sequence[TableSize], *, gap: int) -> TableSize:
    """The size of tables that are put below each other, with `gap` empty rows between them (timellm.data.joined)."""
    rows = sum(one.rows for one in tables) + gap * max(0, len(tables) - 1)
    return TableSize(rows, max((one.channels for one in tables), default=0))


def table_bytes(table: TableSize) -> float:
    """The table as read, scaled, and cut on the device."""
    return 8 * table.rows * table.channels * 4


def scoring_bytes(config: RunConfig, table: TableSize) -> float:
    """What the scoring of all test windows holds at its peak, beside the table."""
    windows, kept = test_windows(config, table), config.task.horizon * len(config.quantiles)
    quantiles = _QUANTILE_BLOCK + _KEPT_QUANTILE * windows * kept if kept else 0
    return _SCORED_PART + _SCORED_WINDOW * windows + quantiles


def training_windows(config: RunConfig, table: TableSize) -> int:
    """Windows of the training part; 0 when it is too short for one, or nothing is known of the table."""
    return _windows(config, table, part=0, before=config.task.context)


def validation_windows(config: RunConfig, table: TableSize) -> int:
    """Windows of the validation part; 0 when it is too short for one, or nothing is known of the table."""
    return _windows(config, table, part=1, before=0)


def test_windows(config: RunConfig, table: TableSize) -> int:
    """Windows of the test part; 0 when it is too short for one, or nothing is known of the table."""
    return _windows(config, table, part=2, before=0)


def _windows(config: RunConfig, table: TableSize, *, part: int, before: int) -> int:
    if not table.rows:
        return 0
    channels, rows = len(config.data.channels) or table.channels, config.task.split_rows(table.rows)[part]
    if part == 0 and config.task.training_rows is not None:
        rows = min(rows, config.task.training_rows)
    return channels * max(0, rows - before - config.task.horizon + 1)
