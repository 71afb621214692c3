"""The forecast of a run beyond its data, as its folder keeps it.

Inputs: a fitted run and its folder. Outputs: forecast and quantiles in the folder, and notes on what is missing.
"""

from __future__ import annotations

from timellm.data.prepared import PreparedData
from timellm.errors import DataError
from timellm.evaluation.own_quantiles import Predicted
from timellm.forecasters.protocol import own_levels
from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.bands import spreads
from timellm.forecasting.fitted import FittedRun
from timellm.training.evaluation_batch import evaluated_windows


def future_windows(prepared: PreparedData) -> int:
    """Windows that are calculated for the forecast beyond the data: one of each channel."""
    return evaluated_windows(len(prepared.table.channels))


def forecast_future(run: FittedRun, folder: RunFolder, *, write: bool) -> list[str]:
    """Forecast every channel whose end is usable; says which are not, because their forecast would be invented.

    All processes of a run call this, and the main one alone is told to `write`.
    """
    usable = run.usable_channels(run.table)
    unknown: list[str] = []
    try:
        run.check_known(run.table)
    except DataError as error:
        usable, unknown = (), [f"There is no forecast beyond the data: {error}."]
    ahead = run.ahead(run.table, usable)
    if write:
        folder.save_future(ahead.frame())
        if ahead.quantiles_NHQ is not None:
            spread_N = spreads(ahead.prepared, ahead.index)
            said = Predicted(ahead.forecast_NH, spread_N, ahead.quantiles_NHQ, own_levels(run.forecaster))
            folder.save_future_quantiles(ahead.index, said, channels=run.table.channels)
    forecast = set(usable)
    left_out = [
        f"There is no forecast of '{name}': values are missing in its last {run.config.task.context:,} rows."
        for name in run.table.channels
        if name not in forecast
    ]
    return unknown or [*ahead.notes, *left_out]
