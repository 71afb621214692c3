"""Forecasts that need no training, which every model has to beat.

In: values [R, N] (rows, channels) and windows, each named by its channel [W] and its origin [W], the row of its first
forecast step. Out: forecasts [W, H]. Nothing at or after the origin is looked at; a missing source value gives NaN.
"""

from __future__ import annotations

import numpy as np

LAST_VALUE = "Last value"
SEASONAL_NAIVE = "Seasonal naive"


def last_value(values: np.ndarray, *, channel: np.ndarray, origin: np.ndarray, horizon: int) -> np.ndarray:
    """The value before the origin, repeated: float [W, H]."""
    return seasonal_naive(values, channel=channel, origin=origin, horizon=horizon, season=1)


def seasonal_naive(
    values: np.ndarray, *, channel: np.ndarray, origin: np.ndarray, horizon: int, season: int
) -> np.ndarray:
    """The last whole season before the origin, repeated: float [W, H]; `season` is in rows."""
    source = np.asarray(origin)[:, None] - season + np.arange(horizon) % season
    # Rows before the first do not exist; a negative index would wrap round to the future.
    return np.where(source >= 0, values[np.maximum(source, 0), np.asarray(channel)[:, None]], np.nan)


def in_sample_naive_error(values: np.ndarray, season: int) -> np.ndarray:
    """Mean absolute error of the seasonal naive over training rows [R, N]: [N], the denominator of MASE.

    NaN for a channel without two values a season apart.
    """
    steps = np.abs(values[season:] - values[:-season])
    count = np.sum(~np.isnan(steps), axis=0)
    return np.divide(np.nansum(steps, axis=0), count, out=np.full(values.shape[1], np.nan), where=count > 0)
