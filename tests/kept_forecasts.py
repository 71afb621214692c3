"""The forecasts of a finished run's test windows, all at once, for tests on small tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from timellm.forecasting.artifacts import RunFolder


@dataclass(frozen=True)
class KeptForecasts:
    """Actual values and forecasts of W test windows of H steps, in original units."""

    channel: np.ndarray
    """[W] number of the channel."""
    origin: np.ndarray
    """[W] row of the first forecast step."""
    actual: np.ndarray
    """[W, H], NaN where missing."""
    forecast: dict[str, np.ndarray]
    """Model -> [W, H]; the run's own comes first."""


def kept_forecasts(folder: RunFolder) -> KeptForecasts:
    """What came in the test windows, the run's own forecasts and those of the quick forecasters."""
    prepared = folder.prepared()
    index, forecast_WH = folder.test_windows(prepared)
    # What came is never a filled value: an earlier version's windows may have gaps in their targets.
    actual = sliding_window_view(prepared.table.values.to_numpy(np.float64), prepared.horizon, axis=0)
    return KeptForecasts(
        index.channel,
        index.origin,
        actual[index.origin, index.channel],
        {folder.scores().own: forecast_WH, **folder.quick().predict(prepared, index)},
    )
