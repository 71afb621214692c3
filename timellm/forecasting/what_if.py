"""What if: a run's forecast beyond its data with other values of the columns known ahead.

A forecaster sees the values without the effect of these columns, up to the end of the data. So its own part of the
forecast does not depend on what the columns say later: another future only exchanges one effect for another, which
takes milliseconds for every kind of forecaster. The forecaster itself works in four cases: the run has no forecast,
because these values were missing; its prompt says what is known ahead; it is made of other runs; or a bound cuts its
forecast off, so that the value below it is not known.

Shapes: H horizon, N channels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from timellm.data.effects import moment
from timellm.data.known import Known
from timellm.data.prepared import PreparedData
from timellm.data.table import Table
from timellm.data.windows import WindowIndex
from timellm.forecasters.bounds import within_bounds
from timellm.forecasters.registry import kind_of

KNOWN_AHEAD = "Known ahead: "
"""How the note of a run begins that says what was decided about these columns."""


@dataclass(frozen=True)
class Scenario:
    """A forecast beside the one of other values."""

    original: pd.DataFrame | None
    """`unique_id, ds, yhat`; None where the run has none."""
    changed: pd.DataFrame
    """`unique_id, ds, yhat` with the values given."""

    def of(self, channel: str) -> tuple[pd.Series | None, pd.Series]:
        """Both forecasts of a channel by moment."""
        original = None if self.original is None else _of(self.original, channel)
        return original, _of(self.changed, channel)

    def frame(self) -> pd.DataFrame:
        """Both in one frame, with their difference where there are two: a row each channel and moment."""
        if self.original is None:
            return self.changed
        both = self.original.rename(columns={"yhat": "yhat_original"})
        return both.assign(yhat=self.changed["yhat"], difference=self.changed["yhat"] - self.original["yhat"])


class WhatIf:
    """The values known ahead beyond a run's data, to be changed."""

    def __init__(self, prepared: PreparedData, future: pd.DataFrame, forecast: Callable[[Table], pd.DataFrame]) -> None:
        """`future` is the run's forecast, perhaps of no channel; `forecast` makes one for a table with other values."""
        assert prepared.table.known is not None, "the run has columns known ahead"
        self._prepared, self._known, self._forecast = prepared, prepared.table.known, forecast
        self._future = future[["unique_id", "ds", "yhat"]].reset_index(drop=True)
        self.moments = prepared.table.future_index(prepared.horizon)

    @property
    def for_all_channels(self) -> bool:
        """Whether one value holds for all channels; else each has its own."""
        return not self._known.by_channel

    def values(self, channel: str) -> pd.DataFrame:
        """The values of the table for the horizon, [H, columns]; missing where the table does not say them."""
        return self._known.frame(self.moments, channel=self._number(channel))

    def scenario(self, values: pd.DataFrame, channel: str) -> Scenario:
        """The forecast with other values; in a long table they are those of `channel`, and the others keep theirs.

        Raises:
            DataError: a value is missing; names column and row.
        """
        table = self._prepared.table
        told = replace(table, known=self._known.with_frame(values, channel=self._number(channel)))
        if self._future.empty:
            return Scenario(None, self._forecast(told))
        names = list(self._future["unique_id"].unique())
        numbers = [table.channels.index(name) for name in names]
        index = WindowIndex(np.array(numbers, np.int64), np.full(len(numbers), len(table.values), np.int64), 0)
        original_NH = self._future["yhat"].to_numpy(np.float64).reshape(len(names), -1)
        config = self._prepared.config
        if config.tells_known or kind_of(config.kind).of_runs or self._is_cut_off(original_NH, index):
            return Scenario(self._future, self._forecast(told).reset_index(drop=True))
        before_HN, after_HN = (self._effect(one) for one in (table, told))
        moved_NH = original_NH + (after_HN - before_HN)[:, numbers].T
        changed_NH = within_bounds(moved_NH, self._prepared, index)
        return Scenario(self._future, self._future.assign(yhat=changed_NH.ravel()))

    def missing(self, values: pd.DataFrame) -> str:
        """The first missing value in words, such as "price at 2024-02-01"; empty if there is none."""
        gaps = values.isna()
        if not gaps.to_numpy().any():
            return ""
        name = str(gaps.any().idxmax())
        return f"{name} at {moment(pd.Timestamp(gaps[name].idxmax()))}"

    def beyond_training(self, values: pd.DataFrame, channel: str) -> list[str]:
        """Columns with values outside of what the training rows had, each with their range, in words."""
        rows, number = self._prepared.split.train_end, self._number(channel)
        found = []
        for place, name in enumerate(self._known.names):
            if name in self._known.categories:
                continue
            seen = self._known.values_SNK[:rows, number if self._known.by_channel else 0, place]
            low, high = np.nanmin(seen), np.nanmax(seen)
            given = values[name].to_numpy(np.float64)
            if (given < low).any() or (given > high).any():
                found.append(f"{name} (trained on {low:.5g} to {high:.5g})")
        return found

    def _is_cut_off(self, original_NH: np.ndarray, index: WindowIndex) -> bool:
        """Whether a bound may have cut off a value; days that are closed have no other value than zero."""
        task = self._prepared.config.task
        bounds = [bound for bound in (task.lower_bound, task.upper_bound) if bound is not None]
        closed_NH = np.isnan(original_NH)
        if task.closed_days:  # what no bound but a closed day takes to zero
            closed_NH |= within_bounds(np.ones_like(original_NH), self._prepared, index) == 0
        return bool((np.isin(original_NH, bounds) & ~closed_NH).any())

    def _effect(self, table: Table) -> np.ndarray:
        prepared = self._prepared
        assert prepared.effects is not None
        effect = prepared.effects.of(table, ahead=prepared.horizon, missing=prepared.config.missing)
        return effect[len(table.values) :]

    def _number(self, channel: str) -> int:
        return self._prepared.table.channels.index(channel)

    @property
    def categories(self) -> dict[str, tuple[str, ...]]:
        """The texts of each column of texts."""
        return dict(self._known.categories)


def known_of(prepared: PreparedData) -> Known | None:
    """The columns known ahead that a run uses; None where it uses none."""
    return prepared.table.known if prepared.effects is not None or prepared.config.tells_known else None


def _of(frame: pd.DataFrame, channel: str) -> pd.Series:
    return frame[frame["unique_id"] == channel].set_index("ds")["yhat"].rename(channel)
