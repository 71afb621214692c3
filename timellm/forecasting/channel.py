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
from timellm.evaluation.intervals import band_columns
from timellm.forecasting.bands import Intervals, ends, with_bands

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
    intervals: Intervals | None = None
    """What bands are made of; None in a run of an earlier version."""

    def of(self, channel: str) -> ChannelForecasts:
        """The windows of one channel, in time order."""
        number = self.prepared.table.channels.index(channel)
        mine = np.flatnonzero(self.index.channel == number)
        return ChannelForecasts(self, number, mine[np.argsort(self.index.origin[mine], kind="stable")])

    def future(self, channel: str, own: pd.Series) -> dict[str, pd.Series]:
        """The forecasts of a channel beyond the data by model; `own` is the run's own."""
        number = self.prepared.table.channels.index(channel)
        origin = int(self.prepared.beyond(np.array([number])).origin[0])
        return {self.own: own} | self._quick(number, origin, own.index)

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

    def bands(self, number: int, levels: tuple[int, ...]) -> pd.DataFrame:
        """Ends of the own model's bands in a window, yhat-lo-80, yhat-hi-80 ..., as they were known at its cut-off.

        NaN where the run had too few validation windows, and everywhere in a run of an earlier version.
        """
        place = self.rows[number : number + 1]
        index = WindowIndex(self.run.index.channel[place], self.run.index.origin[place], 0)
        moments = self.run.prepared.table.values.index
        steps = moments[index.origin[0] : index.origin[0] + self.run.prepared.horizon]
        frame = pd.DataFrame(index=steps)
        if self.run.intervals is None:
            return frame.assign(**{name: np.nan for level in levels for name in band_columns(level)})
        every = WindowIndex(self.run.index.channel[self.rows], self.run.index.origin[self.rows], 0)
        width_HL = self.run.intervals.width_at(
            self.run.prepared, every, self.run.forecast_WH[self.rows], row=int(index.origin[0]), levels=levels
        )
        said = self.run.intervals.said(self.run.prepared, index, self.run.forecast_WH[place])
        return with_bands(frame, ends(self.run.prepared, index, said, width_HL[None]), levels)

    def errors(self, number: int) -> pd.Series:
        """Mean absolute error of every model in a window, the lowest first; NaN where it has no forecast."""
        _, actual, models = self.window(number, history=0)
        found = {name: float((forecast - actual).abs().mean()) for name, forecast in models.items()}
        return pd.Series(found).sort_values()
