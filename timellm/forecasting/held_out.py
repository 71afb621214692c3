"""The test windows on which a run's bands are measured: an evenly spaced part, with what every model says of them.

Inputs: forecasts and quantiles that the run keeps, and the other forecasters. Outputs: the windows of one channel at
a time.

Shapes: W windows, H horizon, L levels of the card.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from timellm.data.prepared import PreparedData
from timellm.data.windows import WindowIndex
from timellm.evaluation.coverage import CARD_LEVELS, CoverageSums
from timellm.evaluation.own_quantiles import Predicted
from timellm.files.parquetfile import read_parquet_in_batches
from timellm.forecasters.bounds import forecast as bounded_forecast
from timellm.forecasters.bounds import within_bounds
from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.bands import ends, spreads
from timellm.forecasting.calibration_windows import evenly_by_channel, most_cutoffs
from timellm.forecasting.kept_forecasts import TEST_FORECASTS
from timellm.forecasting.kept_quantiles import KeptQuantiles
from timellm.forecasting.scoring import ScoredModels

ROUND_OWN = "\0round"
"""Stands for bands round the forecast of a model whose bands are made of its quantiles; no model has such a name."""
_COLUMNS = 2048
"""Channels times steps that adapt at once, times what is held of each: the forecast and quantiles."""


@dataclass(frozen=True)
class TestWindows:
    """An evenly spaced part of the test windows, channel after channel."""

    index: WindowIndex
    places: np.ndarray
    """[W] places among all test windows."""
    forecast_WH: np.ndarray
    """The run's own forecasts, float32."""
    kept: KeptQuantiles

    def of(self, channel: int) -> slice:
        """Where the windows of a channel are."""
        begin, end = np.searchsorted(self.index.channel, [channel, channel + 1])
        return slice(int(begin), int(end))


def thinned(prepared: PreparedData, index: WindowIndex, kept: KeptQuantiles) -> TestWindows:
    """At most so many windows of each channel as bands adapt to; their forecasts are to be filled in."""
    places = evenly_by_channel(index, most=most_cutoffs(prepared))
    some = WindowIndex(index.channel[places], index.origin[places], 0)
    return TestWindows(some, places, np.empty((len(places), prepared.horizon), np.float32), kept)


def kept_forecasts(folder: RunFolder, prepared: PreparedData, places: np.ndarray) -> np.ndarray:
    """The run's own forecasts [W, H] of some test windows."""
    most = len(prepared.windows("test"))
    path = folder.path / TEST_FORECASTS
    _, batches = read_parquet_in_batches(path, most_rows=most, most_values=most * (prepared.horizon + 2))
    forecast_WH, done = np.empty((len(places), prepared.horizon), np.float32), 0
    for batch in batches:
        here = (places >= done) & (places < done + len(batch))
        rows_BH = batch["yhat"].flatten().to_numpy(zero_copy_only=False).reshape(len(batch), -1)
        forecast_WH[here] = rows_BH[places[here] - done]
        done += len(batch)
    return forecast_WH


@dataclass(frozen=True)
class ChannelWindows:
    """The test windows of one channel, with what every model says of them."""

    channel: int
    index: WindowIndex
    actual_WH: np.ndarray
    said: dict[str, Predicted]
    score_WH: np.ndarray
    """The distances of actual values from what the own model says."""

    @classmethod
    def of(
        cls, models: ScoredModels, prepared: PreparedData, test: TestWindows, channel: int, actual: np.ndarray
    ) -> ChannelWindows:
        """Those of one channel; `actual` are the values [R, N, H] after every row."""
        rows = test.of(channel)
        index = test.index.part(rows.start, rows.stop)
        actual_WH, own_WH = actual[index.origin, index.channel], test.forecast_WH[rows].astype(np.float64)
        spread_W = spreads(prepared, index)
        said = {
            name: Predicted(bounded_forecast(row, prepared, index), spread_W) for name, row in models.others.items()
        }
        own = Predicted(own_WH, spread_W)
        if test.kept.levels:
            said[ROUND_OWN] = own
            own = test.kept.of(index, own_WH, spread_W)
        return cls(channel, index, actual_WH, said | {models.own.name: own}, own.distances(actual_WH))

    def add(self, prepared: PreparedData, sums: CoverageSums, model: str, width_WHL: np.ndarray) -> None:
        """Add a model's bands with these half-widths [W, H, L], or [1, H, L] for all windows."""
        width_WHL = np.broadcast_to(width_WHL, (len(self.index), *width_WHL.shape[1:]))
        sums.add(self.channel, self.actual_WH, *ends(prepared, self.index, self.said[model], width_WHL))

    def add_own(self, prepared: PreparedData, sums: CoverageSums, model: str) -> None:
        """Add the bands that a model's quantiles make as they are."""
        bands = (within_bounds(one, prepared, self.index) for one in self.said[model].own_ends(CARD_LEVELS))
        sums.add(self.channel, self.actual_WH, *bands)


def alike(test: TestWindows, horizon: int) -> Iterator[list[int]]:
    """Channels, a few at a time, whose windows have the same origins."""
    group: list[int] = []
    for channel in np.unique(test.index.channel).tolist():
        same = group and np.array_equal(test.index.origin[test.of(channel)], test.index.origin[test.of(group[0])])
        if group and (not same or (len(group) + 1) * horizon * (1 + len(test.kept.levels)) > _COLUMNS):
            yield group
            group = []
        group.append(channel)
    if group:
        yield group
