"""The forecasts of one channel of a run, window by window, beside those of the quick forecasters.

Inputs: a run's folder. Outputs: series with their timestamps, for a chart and a table. The quick forecasters forecast a
window when it is looked at, because that takes milliseconds; nothing but the run's own forecasts is kept.

Shapes: W windows, H horizon.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from timellm.data.windows import WindowIndex

if TYPE_CHECKING:
    from timellm.data.prepared import PreparedData
    from timellm.forecasters.protocol import Forecaster
    from timellm.forecasting.quick import QuickForecasters


@dataclass(frozen=True)
class RunForecasts:
    """What a run forecast in its test part."""

    prepared: PreparedData
    index: WindowIndex
    forecast_WH: np.ndarray
    own: str
    """Name of the run's own model."""
    quick: QuickForecasters

    def of(self, channel: str) -> ChannelForecasts:
        """The windows of one channel, in time order."""
        number = self.prepared.table.channels.index(channel)
        mine = np.flatnonzero(self.index.channel == number)
        return ChannelForecasts(self, number, mine[np.argsort(self.index.origin[mine], kind="stable")])

    def future(self, channel: str, own: pd.Series) -> dict[str, pd.Series]:
        """The forecasts of a channel beyond the data by model; `own` is the run's own."""
        number, end = self.prepared.table.channels.index(channel), len(self.prepared.values)
        return {self.own: own} | self._quick(number, end, own.index)

    def by(self, model: Forecaster, channel: str, moments: pd.DatetimeIndex) -> pd.Series:
        """The forecast of a channel for `moments` by another model, which begins where these do."""
        number, values = self.prepared.table.channels.index(channel), self.prepared.table.values
        origin = int(values.index.searchsorted(moments[0]))
        index = WindowIndex(np.array([number]), np.array([origin]), 0)
        return pd.Series(model.predict(self.prepared, index)[0], index=moments)

    def _quick(self, number: int, origin: int, moments: pd.DatetimeIndex) -> dict[str, pd.Series]:
        index = WindowIndex(np.array([number]), np.array([origin]), 0)
        found = self.quick.predict(self.prepared, index)
        return {name: pd.Series(row[0], index=moments) for name, row in found.items() if not np.isnan(row).all()}


@dataclass(frozen=True)
class ChannelForecasts:
    """The test windows of one channel."""

    run: RunForecasts
    number: int
    rows: np.ndarray
    """[W] places of the channel's windows among the run's, in time order."""

    def cutoffs(self) -> pd.DatetimeIndex:
        """Last measured moment of each window."""
        return self.run.prepared.table.values.index[self.run.index.origin[self.rows] - 1]

    def window(self, number: int, *, history: int) -> tuple[pd.Series, pd.Series, dict[str, pd.Series]]:
        """The last `history` rows before the cut-off, what came, and the forecasts by model; in original units."""
        place = int(self.rows[number])
        origin, table = int(self.run.index.origin[place]), self.run.prepared.table.values
        series = table.iloc[:, self.number]
        actual = series.iloc[origin : origin + self.run.prepared.horizon]
        own = pd.Series(self.run.forecast_WH[place], index=actual.index)
        quick = self.run._quick(self.number, origin, actual.index)
        return series.iloc[max(0, origin - history) : origin], actual, {self.run.own: own} | quick
