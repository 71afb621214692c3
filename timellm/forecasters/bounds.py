"""What every forecaster's output keeps to: bounds that are set, and zero on closed weekdays.

Inputs: forecasts or ends of bands, of any forecaster. Outputs: the same within the bounds of the task. Everything that
shows, scores or writes a forecast calls `forecast`, so that no forecaster has bounds of its own.

Shapes: W windows, H horizon, Q quantiles; more axes may follow.
"""

from __future__ import annotations

import numpy as np

from timellm.data.prepared import PreparedData
from timellm.data.windows import WindowIndex
from timellm.forecasters.protocol import GivesQuantiles, OnBatch, Predictor, ignore_batch, own_levels


def forecast(
    forecaster: Predictor, prepared: PreparedData, index: WindowIndex, *, on_batch: OnBatch = ignore_batch
) -> np.ndarray:
    """Forecasts [W, H] of the windows in `index` within the bounds of the task, in original units; NaN stays NaN."""
    return within_bounds(forecaster.predict(prepared, index, on_batch=on_batch), prepared, index)


def forecast_own(
    forecaster: Predictor, prepared: PreparedData, index: WindowIndex, *, on_batch: OnBatch = ignore_batch
) -> tuple[np.ndarray, np.ndarray | None]:
    """As `forecast`, with the model's own quantiles [W, H, Q] if it gives any.

    These are as the model says: the bounds hold for the ends of the bands that are made of them.
    """
    if not isinstance(forecaster, GivesQuantiles) or not own_levels(forecaster):
        return forecast(forecaster, prepared, index, on_batch=on_batch), None
    forecast_WH, quantiles_WHQ = forecaster.predict_own(prepared, index, on_batch=on_batch)
    return within_bounds(forecast_WH, prepared, index), quantiles_WHQ


def within_bounds(values: np.ndarray, prepared: PreparedData, index: WindowIndex) -> np.ndarray:
    """Values [W, H, ...] of the rows that windows forecast, within the bounds of the task; NaN stays NaN."""
    task = prepared.config.task
    if task.closed_days:
        closed_WH = np.isin(_weekdays(prepared)[index.origin[:, None] + np.arange(prepared.horizon)], task.closed_days)
        closed = closed_WH.reshape(closed_WH.shape + (1,) * (values.ndim - 2))
        values = np.where(closed & ~np.isnan(values), 0.0, values)
    if task.lower_bound is None and task.upper_bound is None:
        return values
    return np.clip(values, task.lower_bound, task.upper_bound)


def _weekdays(prepared: PreparedData) -> np.ndarray:
    """Weekday of every row and of those after the table's end, Monday is 0."""
    table = prepared.table
    ahead = table.future_index(prepared.horizon).day_of_week
    return np.concatenate([table.values.index.day_of_week, ahead])
