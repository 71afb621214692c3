"""Values outside their band: on the test part of a run, or on rows that came after its table.

Inputs: a run's forecasts with its intervals. Outputs: a frame of points, one a channel and row: unique_id, ds, y, yhat,
lower, upper, step and outside (above, below or empty). A point is held against the latest forecast that was made before
it: one step ahead wherever there is a window, and a later step behind the last one or in a gap. Its band is what was
known then. Of a band at 95 %, one value in twenty is expected outside.

Shapes: W windows, H horizon, P points, K steps in use, G levels of the grid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from timellm.data.gaps import Reach
from timellm.data.windows import WindowIndex
from timellm.errors import CheckpointError, DataError
from timellm.evaluation.intervals import NO_INTERVALS, adapt, at_levels
from timellm.forecasters.bounds import forecast_own
from timellm.forecasting.bands import Intervals, ends

if TYPE_CHECKING:
    from timellm.data.table import Table
    from timellm.forecasting.channel import RunForecasts
    from timellm.forecasting.fitted import FittedRun

COLUMNS = ("unique_id", "ds", "y", "yhat", "lower", "upper", "step", "outside")


def points_of_channel(forecasts: RunForecasts, channel: str, level: int) -> pd.DataFrame:
    """The points of one channel's test windows.

    Raises:
        CheckpointError: the run keeps no intervals.
        DataError: the channel has too few validation windows for a band at this level.
    """
    intervals, prepared = _checked(forecasts.intervals, channel, level), forecasts.prepared
    windows = forecasts.of(channel)
    index = WindowIndex(forecasts.index.channel[windows.rows], forecasts.index.origin[windows.rows], 0)
    row_P = np.arange(index.origin[0], index.origin[-1] + prepared.horizon)
    place_P = np.searchsorted(index.origin, row_P, side="right") - 1
    step_P = row_P - index.origin[place_P]
    kept = step_P < prepared.horizon
    row_P, place_P, step_P = row_P[kept], place_P[kept], step_P[kept]
    used_K, column_P = np.unique(step_P, return_inverse=True)
    said = intervals.said(prepared, index, forecasts.forecast_WH[windows.rows])
    actual_WK = prepared.values[index.origin[:, None] + used_K, windows.number]
    forecast_WK = said.forecast_WH[:, used_K]
    calibration = intervals.models[intervals.own]
    widths = adapt(
        said.steps(used_K).distances(actual_WK),
        origin_W=index.origin,
        step_K=used_K + 1,
        quantile_KG=calibration.by_step(windows.number, prepared.horizon)[used_K],
        end=int(row_P[-1]) + 1,
    )
    width_WK = np.stack([at_levels(width_KG, (level,))[:, 0] for width_KG in widths])[:-1]
    width_WH = np.zeros((len(index), prepared.horizon))
    width_WH[:, used_K] = width_WK
    lower_WH, upper_WH = (one[..., 0] for one in ends(prepared, index, said, width_WH[..., None]))
    return _points(
        channel,
        prepared.table.values.index[row_P],
        y=prepared.values[row_P, windows.number],
        yhat=forecast_WK[place_P, column_P],
        ends=(lower_WH[place_P, step_P], upper_WH[place_P, step_P]),
        step=step_P + 1,
    )


def new_points(run: FittedRun, table: Table, level: int) -> pd.DataFrame:
    """The points of all channels in the rows of `table` after the run's own table, each forecast one step ahead.

    Rows before which a context misses values are left out.

    Raises:
        CheckpointError: the run keeps no intervals.
        DataError: the table has no row after the run's own, or a channel has too few validation windows for the level.
    """
    last, moments = run.table.values.index[-1], table.values.index
    begin = int(moments.searchsorted(last, side="right"))
    if begin == len(moments):
        raise DataError(f"the table has no row after {last}, the end of the run's own; give one that has grown")
    prepared, context = run.prepared.continued(table), run.config.task.context
    found = []
    reach = Reach.of(prepared.values, run.config.missing)
    fits_NW, _ = reach.usable(context, horizon=0, begin=begin, end=len(moments))
    for number, channel in enumerate(run.table.channels):
        intervals = _checked(run.intervals, channel, level)
        origin_W = np.flatnonzero(fits_NW[number]) + begin
        index = WindowIndex(np.full(len(origin_W), number, np.int64), origin_W, 0)
        forecast_WH, quantiles_WHQ = forecast_own(run.forecaster, prepared, index)
        lower_WHL, upper_WHL = intervals.bands(prepared, index, forecast_WH, (level,), quantiles_WHQ=quantiles_WHQ)
        found.append(
            _points(
                channel,
                moments[origin_W],
                y=prepared.values[origin_W, number],
                yhat=forecast_WH[:, 0],
                ends=(lower_WHL[:, 0, 0], upper_WHL[:, 0, 0]),
                step=np.ones(len(origin_W), np.int64),
            )
        )
    return pd.concat(found, ignore_index=True)


def outside(points: pd.DataFrame) -> pd.DataFrame:
    """The points outside their band, the farthest first, measured in half-widths of the band."""
    chosen = points[points["outside"] != ""]
    half = (chosen["upper"] - chosen["lower"]) / 2
    beyond = np.maximum(chosen["lower"] - chosen["y"], chosen["y"] - chosen["upper"])
    return chosen.iloc[np.argsort(-(beyond / half.replace(0, np.nan)).fillna(np.inf).to_numpy(), kind="stable")]


def said_of(points: pd.DataFrame, level: int) -> str:
    """How many points lie outside, and how many are expected to, in a sentence."""
    known = int((points["y"].notna() & points["lower"].notna()).sum())
    count = int((points["outside"] != "").sum())
    if not known:
        return "No value can be held against a band."
    return (
        f"{count:,} of {known:,} values ({count / known:.1%}) lie outside the {level} % band; {100 - level} % are"
        " expected to, so look at the farthest first."
    )


def _checked(intervals: Intervals | None, channel: str, level: int) -> Intervals:
    if intervals is None:
        raise CheckpointError(NO_INTERVALS)
    reason = intervals.why_none(channel, level)
    if reason is not None:
        raise DataError(reason.rstrip(".")[0].lower() + reason.rstrip(".")[1:])
    return intervals


def _points(
    channel: str,
    moments: pd.DatetimeIndex,
    *,
    y: np.ndarray,
    yhat: np.ndarray,
    ends: tuple[np.ndarray, np.ndarray],
    step: np.ndarray,
) -> pd.DataFrame:
    lower, upper = ends
    where = np.select([y < lower, y > upper], ["below", "above"], default="")
    return pd.DataFrame(
        {
            "unique_id": channel, "ds": moments, "y": y, "yhat": yhat, "lower": lower, "upper": upper, "step": step,
            "outside": where,
        }
    )  # fmt: skip
