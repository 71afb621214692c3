"""Windows picked out of a run's arrays for a chart and a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from timellm.data.table import Table
    from timellm.forecasting.scores import WindowForecasts


@dataclass(frozen=True)
class ChannelWindows:
    """The test windows of one channel in time order."""

    table: Table
    forecasts: WindowForecasts
    channel: str

    def rows(self) -> np.ndarray:
        """Positions of the channel's windows in the arrays, in time order."""
        mine = np.flatnonzero(self.forecasts.channel == self.forecasts.channels.index(self.channel))
        return mine[np.argsort(self.forecasts.origin[mine], kind="stable")]

    def cutoffs(self) -> pd.DatetimeIndex:
        """Last measured moment of each window."""
        return self.table.values.index[self.forecasts.origin[self.rows()] - 1]

    def window(self, number: int, *, context: int) -> tuple[pd.Series, pd.Series, dict[str, pd.Series]]:
        """Context, actual values and forecasts by model of the `number`-th window, in original units."""
        row = int(self.rows()[number])
        origin, horizon = int(self.forecasts.origin[row]), self.forecasts.actual.shape[1]
        index = self.table.values.index[origin : origin + horizon]
        history = self.table.values[self.channel].iloc[max(0, origin - context) : origin]
        actual = pd.Series(self.forecasts.actual[row], index=index, name=self.channel)
        models = {name: pd.Series(values[row], index=index) for name, values in self.forecasts.forecast.items()}
        return history, actual, models


def window_ends(index: pd.DatetimeIndex, context: int, most: int = 400) -> list[pd.Timestamp]:
    """Moments at which a window of `context` rows can end, evenly spaced, the end of the data among them."""
    last = len(index) - 1
    rows = np.unique(np.linspace(min(context - 1, last), last, most).round().astype(int))
    return list(index[rows])


def long_frame(channel: str, actual: pd.Series, models: dict[str, pd.Series]) -> pd.DataFrame:
    """One window as rows: unique_id, ds, y, yhat of the first model, and a column for each other model."""
    (_, first), *others = models.items()
    frame = pd.DataFrame({"unique_id": channel, "ds": actual.index, "y": actual.to_numpy(), "yhat": first.to_numpy()})
    return frame.assign(**{name: values.to_numpy() for name, values in others})
