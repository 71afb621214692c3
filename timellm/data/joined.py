"""Several tables as one, to be learned from together: one list of windows, no window across two tables.

Inputs: prepared tables, each with its own split and scale. Outputs: their z-scored values below each other, with the
windows of all of them. Channels stand side by side by their number alone, so the joined table has as many as the widest
one, and its timestamps are made up: nothing that reads the calendar or a channel's name may learn from it.

A large table must not drown a small one. In training, a table's share of the windows is in proportion to the square
root of its number of windows: windows of a large table are thinned evenly, those of a small one are repeated. There are
as many as all tables have together. Of the validation windows each table has an equal share.

Shapes: R rows, N channels, W windows, K tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import pandas as pd

from timellm.config import RunConfig
from timellm.data.joined_settings import balanced
from timellm.data.prepared import PreparedData
from timellm.data.table import Table
from timellm.data.windows import Part, Scaler, Split, WindowIndex
from timellm.errors import DataError

_FIRST, _STEP = "2000-01-01", "h"


@dataclass(frozen=True)
class JoinedTables(PreparedData):
    """Several tables that are learned from together."""

    parts: Mapping[Part, WindowIndex] = field(default_factory=dict)
    """Windows to learn from and to validate on."""
    counts: tuple[tuple[int, int], ...] = ()
    """Of each table: training windows that it has, and how many of the list are its own."""

    @classmethod
    def join(cls, tables: Sequence[PreparedData], config: RunConfig) -> Self:
        """Join tables that were prepared with the context and horizon of `config`.

        Raises:
            DataError: a table has no training or validation window.
        """
        widest, gap = max(len(one.table.channels) for one in tables), config.task.horizon
        rows = [len(one.values) for one in tables]
        begins = np.cumsum([0, *(count + gap for count in rows)])[:-1]
        values_RN = np.full((int(begins[-1]) + rows[-1], widest), np.nan)
        for one, begin in zip(tables, begins, strict=True):
            scaled = one.scaler.transform(one.seen)
            values_RN[begin : begin + len(scaled), : scaled.shape[1]] = scaled
        index = pd.date_range(_FIRST, periods=len(values_RN), freq=_STEP, name="ds")
        names = [f"channel {number}" for number in range(1, widest + 1)]
        table = Table(pd.DataFrame(values_RN, index=index, columns=names), _STEP, "ds", "wide", ())
        training = [one.windows("training") for one in tables]
        counts = balanced([len(one) for one in training])
        each = max(1, config.trained.validation_windows // len(tables))
        parts: dict[Part, WindowIndex] = {
            "training": _joined([_sized(one, count) for one, count in zip(training, counts, strict=True)], begins),
            "validation": _joined([one.windows("validation").evenly(each) for one in tables], begins),
        }
        whole = Split(len(values_RN), len(values_RN), len(values_RN))
        scaler = Scaler(np.zeros(widest), np.ones(widest))
        found = tuple((len(one), count) for one, count in zip(training, counts, strict=True))
        return cls(table, config, values_RN, whole, scaler, parts=parts, counts=found)

    def windows(self, part: Part) -> WindowIndex:
        """The windows of all tables.

        Raises:
            DataError: they are asked for the test part, which is never learned from.
        """
        if part not in self.parts:
            raise DataError("joined tables have no test part; score what was learned on one table")
        return self.parts[part]

    @property
    def changed_rules(self) -> str:
        """None: no earlier version joined tables."""
        return ""


def _sized(index: WindowIndex, count: int) -> WindowIndex:
    """As many windows: evenly thinned, or repeated in their order."""
    if count <= len(index):
        return index.evenly(count)
    again = np.arange(count) % len(index)
    return WindowIndex(index.channel[again], index.origin[again], 0)


def _joined(parts: Sequence[WindowIndex], begins: np.ndarray) -> WindowIndex:
    channel = np.concatenate([one.channel for one in parts])
    origin = np.concatenate([one.origin + begin for one, begin in zip(parts, begins, strict=True)])
    return WindowIndex(channel, origin, 0)
