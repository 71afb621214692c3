"""The intervals of a run: the calibrations of its own model and of the others beside it, in one file.

Inputs: a run's folder. Outputs: bands in original units, at any level: round forecasts, or made of the own quantiles of
the run's model (timellm.evaluation.own_quantiles).

intervals.parquet  one row a model, channel and group of steps: model, unique_id, windows, first_step, quantiles [G] and
                   adapted [G], in spreads (timellm.evaluation.intervals) or, of a model with quantiles of its own,
                   in their normal scores; the schema's metadata has the levels, and those of its own quantiles

Shapes: W windows, H horizon, N channels, S groups of steps, G levels of the grid, L levels asked for, Q quantiles.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from timellm.data.windows import WindowIndex
from timellm.errors import CheckpointError, one_line
from timellm.evaluation.intervals import GRID, Calibration, adapt, at_levels, band_columns, window_spread
from timellm.evaluation.own_quantiles import Predicted
from timellm.files.parquetfile import read_parquet, write_parquet
from timellm.forecasters.bounds import within_bounds
from timellm.forecasters.contexts import contexts_of
from timellm.forecasting.calibration_windows import evenly_by_channel, most_cutoffs
from timellm.forecasting.kept_quantiles import KeptQuantiles

if TYPE_CHECKING:
    from timellm.data.prepared import PreparedData

INTERVALS = "intervals.parquet"
MOST_MODELS = 64
_FACTS = "timellm.intervals"
_READ_AT_ONCE = 2_000_000
"""Values of contexts that are read at once."""


@dataclass(frozen=True)
class Intervals:
    """Calibrations by the name of the model."""

    models: Mapping[str, Calibration]
    own: str
    """The run's own model."""
    channels: tuple[str, ...]
    quantile_levels: tuple[float, ...] = ()
    """Those of the own model's quantiles, of which its bands are made; empty where they lie round its forecasts."""
    kept: KeptQuantiles | None = None
    """Its quantiles of windows of the run's own table."""

    def said(
        self,
        prepared: PreparedData,
        index: WindowIndex,
        forecast_WH: np.ndarray,
        quantiles_WHQ: np.ndarray | None = None,
    ) -> Predicted:
        """What the own model says of windows, of which bands are made.

        Without `quantiles_WHQ`, of a model that has some, those that the run keeps of its own table.

        Raises:
            CheckpointError: a window's quantiles are needed and not kept.
        """
        spread_W = spreads(prepared, index)
        if not self.quantile_levels:
            return Predicted(forecast_WH, spread_W)
        if quantiles_WHQ is not None:
            return Predicted(forecast_WH, spread_W, quantiles_WHQ, self.quantile_levels)
        assert self.kept is not None, "a run with quantiles is read with those that it keeps"
        mine = WindowIndex(self._channels_of(prepared, index), index.origin, 0)
        return self.kept.of(mine, forecast_WH, spread_W)

    def bands(
        self,
        prepared: PreparedData,
        index: WindowIndex,
        forecast_WH: np.ndarray,
        levels: tuple[int, ...],
        *,
        quantiles_WHQ: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper ends [W, H, L] of the own model's bands, adapted to the whole test part; see `said`."""
        width_WHL = self.models[self.own].half_width(
            self._channels_of(prepared, index), levels, horizon=forecast_WH.shape[1]
        )
        return ends(prepared, index, self.said(prepared, index, forecast_WH, quantiles_WHQ), width_WHL)

    def beyond(self, prepared: PreparedData, forecast: pd.DataFrame, levels: tuple[int, ...]) -> pd.DataFrame:
        """A forecast beyond a table's data, unique_id, ds, yhat, with its bands."""
        names = list(dict.fromkeys(forecast["unique_id"]))
        numbers = np.array([prepared.table.number_of[name] for name in names], np.int64)
        index = prepared.beyond(numbers)
        forecast_WH = forecast["yhat"].to_numpy(np.float64).reshape(len(names), -1)
        return with_bands(forecast, self.bands(prepared, index, forecast_WH, levels), levels)

    def width_at(
        self,
        prepared: PreparedData,
        index: WindowIndex,
        forecast_WH: np.ndarray,
        *,
        row: int,
        levels: tuple[int, ...],
    ) -> np.ndarray:
        """Half-widths [H, L] for the origin `row`, adapted to the windows of one channel before it.

        `index` are these windows, whose origins rise, and `forecast_WH` the own model's forecasts of them. Of many,
        those are taken that the coverage card was measured on.
        """
        calibration, channel = self.models[self.own], int(index.channel[0])
        horizon = prepared.horizon
        places = evenly_by_channel(index, most=most_cutoffs(prepared))
        places = places[index.origin[places] < row]
        some = WindowIndex(index.channel[places], index.origin[places], 0)
        actual_WH = prepared.values[some.origin[:, None] + np.arange(horizon), channel]
        *_, last_HG = adapt(
            self.said(prepared, some, forecast_WH[places]).distances(actual_WH),
            origin_W=some.origin,
            step_K=np.arange(1, horizon + 1),
            quantile_KG=calibration.by_step(channel, horizon),
            end=row,
        )
        width_HL = at_levels(last_HG, levels)
        width_HL[:, [calibration.why_none(channel, level) is not None for level in levels]] = np.nan
        return width_HL

    def why_none(self, channel: str, level: int) -> str | None:
        """Why the own model has no band of a channel at a level, as a sentence; None if it has one."""
        return self.models[self.own].why_none(self.channels.index(channel), level)

    def _channels_of(self, prepared: PreparedData, index: WindowIndex) -> np.ndarray:
        number = {name: place for place, name in enumerate(self.channels)}
        return np.array([number[name] for name in prepared.table.channels], np.int64)[index.channel]


def spreads(prepared: PreparedData, index: WindowIndex) -> np.ndarray:
    """What the errors of windows are divided by, [W] in original units, known at their origins."""
    found_W = np.empty(len(index))
    size = max(1, _READ_AT_ONCE // prepared.context)
    for begin in range(0, len(index), size):
        part = index.part(begin, begin + size)
        scale_B = prepared.scaler.scale[part.channel]
        found_W[begin : begin + size] = window_spread(contexts_of(prepared, part), scale_B)
    return found_W


def ends(
    prepared: PreparedData, index: WindowIndex, said: Predicted, width_WHL: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends of bands [W, H, L] with these half-widths, within the bounds of the task."""
    lower_WHL, upper_WHL = said.ends(width_WHL)
    return within_bounds(lower_WHL, prepared, index), within_bounds(upper_WHL, prepared, index)


def with_bands(
    frame: pd.DataFrame, bands: tuple[np.ndarray, np.ndarray], levels: Sequence[int], *, at: int | None = None
) -> pd.DataFrame:
    """A forecast's frame with two columns for each level; `bands` are [W, H, L] of its series, one after the other.

    `at` takes one window alone.
    """
    lower, upper = (one if at is None else one[at : at + 1] for one in bands)
    columns: dict[str, np.ndarray] = {}
    for place, level in enumerate(levels):
        low, high = band_columns(level)
        columns |= {low: lower[..., place].ravel(), high: upper[..., place].ravel()}
    return frame.assign(**columns)


def write_intervals(path: Path, intervals: Intervals) -> None:
    """Write the file.

    Raises:
        OSError: the disk is full; the one before stays.
    """
    tables = [_table(name, one, intervals.channels) for name, one in intervals.models.items()]
    facts = {"levels": list(GRID), "own": intervals.own, "channels": list(intervals.channels)}
    facts |= {"quantiles": list(intervals.quantile_levels)} if intervals.quantile_levels else {}
    table = pa.concat_tables(tables).unify_dictionaries()
    write_parquet(
        path,
        table.replace_schema_metadata({_FACTS: json.dumps(facts)}),
        use_dictionary=["model", "unique_id", "windows", "first_step"],
        use_byte_stream_split=["quantiles.list.element", "adapted.list.element"],
    )


def read_intervals(path: Path, *, horizon: int) -> Intervals | None:
    """The intervals of a run; None in one of an earlier version.

    Raises:
        CheckpointError: the file is damaged.
    """
    if not path.is_file():
        return None
    try:
        rows = read_parquet(path)
        facts = json.loads(rows.schema.metadata[_FACTS.encode()])
        channels, own = tuple(map(str, facts["channels"])), str(facts["own"])
        levels = tuple(map(float, facts.get("quantiles", ())))
        if tuple(facts["levels"]) != GRID:
            raise ValueError("its levels are others")
        names = rows["model"].unique().to_pylist()
        if own not in names or len(names) > MOST_MODELS:
            raise ValueError("it lacks the run's own model, or has too many")
        if levels and not (0 < levels[0] < 0.5 < levels[-1] < 1 and (np.diff(levels) > 0).all()):
            raise ValueError("the levels of its quantiles make no band")
        models = {name: _calibration(rows.filter(pc.equal(rows["model"], name)), channels, horizon) for name in names}
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({one_line(error)}); evaluate the run again") from error
    except (ValueError, LookupError, TypeError, AttributeError, pa.ArrowException) as error:
        raise CheckpointError(f"{path} is damaged ({one_line(error)}); evaluate the run again") from error
    kept = KeptQuantiles(path.parent, channels, horizon, levels) if levels else None
    return Intervals(models, own, channels, levels, kept)


def _table(name: str, one: Calibration, channels: tuple[str, ...]) -> pa.Table:
    count, groups = len(channels), len(one.first_S)
    adapted = one.quantile_NSG if one.adapted_NSG is None else one.adapted_NSG
    return pa.table(
        {
            "model": pa.DictionaryArray.from_arrays(pa.array(np.zeros(count * groups), pa.int32()), pa.array([name])),
            "unique_id": pa.DictionaryArray.from_arrays(
                pa.array(np.repeat(np.arange(count), groups), pa.int32()), pa.array(channels, pa.string())
            ),
            "windows": pa.array(np.repeat(one.windows_N, groups), pa.int32()),
            "first_step": pa.array(np.tile(one.first_S + 1, count), pa.int32()),
            "quantiles": _lists(one.quantile_NSG),
            "adapted": _lists(adapted),
        }
    )


def _lists(values_NSG: np.ndarray) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(values_NSG.astype(np.float32).ravel()), len(GRID))


def _calibration(rows: pa.Table, channels: tuple[str, ...], horizon: int) -> Calibration:
    count = len(channels)
    groups = len(rows) // count
    first_NS = rows["first_step"].to_numpy().reshape(count, groups) - 1
    if rows["unique_id"].to_pylist()[::groups] != list(channels) or (first_NS != first_NS[0]).any():
        raise ValueError("its channels or steps are not those of the run")
    first_S = first_NS[0].astype(np.int64)
    if first_S[0] != 0 or (np.diff(first_S) <= 0).any() or first_S[-1] >= horizon:
        raise ValueError(f"its steps do not fit a horizon of {horizon:,}")
    quantile_NSG, adapted_NSG = (
        rows[name].combine_chunks().flatten().to_numpy().astype(np.float64).reshape(count, groups, len(GRID))
        for name in ("quantiles", "adapted")
    )
    known = quantile_NSG[~np.isnan(quantile_NSG)]
    if (known < 0).any() or np.isinf(known).any():
        raise ValueError("a quantile of absolute errors is below zero or endless")
    windows_N = rows["windows"].to_numpy().reshape(count, groups)[:, 0].astype(np.int64)
    return Calibration(windows_N, first_S, quantile_NSG, adapted_NSG)
