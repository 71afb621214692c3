"""Forecasts that need no training, which every model has to beat.

Inputs: the past of a table of R rows and N channels, and windows, each named by its channel [W] and its origin [W], the
row of its first forecast step. Outputs: forecasts [W, H]. Nothing at or after the origin is looked at. A missing source
value is filled as in a context (timellm.data.gaps), or gives NaN if it is not to be filled.
"""

from __future__ import annotations

import numpy as np

from timellm.data.gaps import Past

LAST_VALUE = "Last value"
SEASONAL_NAIVE = "Seasonal naive"


def last_value(past: Past, *, channel: np.ndarray, origin: np.ndarray, horizon: int) -> np.ndarray:
    """The value before the origin, repeated: float [W, H]."""
    return seasonal_naive(past, channel=channel, origin=origin, horizon=horizon, season=1)


def seasonal_naive(past: Past, *, channel: np.ndarray, origin: np.ndarray, horizon: int, season: int) -> np.ndarray:
    """The last whole season before the origin, repeated: float [W, H]; `season` is in rows."""
    source = np.asarray(origin)[:, None] - season + np.arange(horizon) % season
    # Rows before the first do not exist; a negative index would wrap round to the future.
    values = past.before(np.asarray(origin), channel=np.asarray(channel), rows_WK=np.maximum(source, 0))
    return np.where(source >= 0, values, np.nan)


def in_sample_naive_error(values: np.ndarray, season: int) -> np.ndarray:
    """Mean absolute error of the seasonal naive over training rows [R, N]: [N], the denominator of MASE.

    NaN for a channel without two values a season apart.
    """
    steps = np.abs(values[season:] - values[:-season])
    count = np.sum(~np.isnan(steps), axis=0)
    return np.divide(np.nansum(steps, axis=0), count, out=np.full(values.shape[1], np.nan), where=count > 0)
