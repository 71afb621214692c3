"""A trained run that forecasts: beyond its own table, or beyond a newer one with the same channels.

Outputs: the long frame `unique_id, ds, yhat` that users of the Nixtla libraries know, in original units; with bands
`yhat-lo-80, yhat-hi-80` ... where they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from timellm.config import RunConfig, TimeLLMConfig
from timellm.data.effects import check_known, moment
from timellm.data.gaps import Reach
from timellm.data.known_reading import TableRows, read_ahead
from timellm.data.prepared import PreparedData
from timellm.data.table import Table
from timellm.data.windows import WindowIndex
from timellm.errors import CheckpointError, DataError
from timellm.evaluation.intervals import NO_INTERVALS, check_levels
from timellm.forecasters.bounds import forecast_own
from timellm.forecasters.protocol import Forecaster
from timellm.forecasters.registry import kind_of
from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.bands import Intervals, with_bands
from timellm.forecasting.newer import read_newer


@dataclass(frozen=True)
class Ahead:
    """Forecasts beyond the end of a table: N channels, H steps, Q quantiles."""

    prepared: PreparedData
    index: WindowIndex
    forecast_NH: np.ndarray
    quantiles_NHQ: np.ndarray | None
    """The model's own; None for one that gives none."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Which series ended before the table, and so are forecast from their own end; empty where none did."""
        table, origin_N = self.prepared.table, self.index.origin
        early = int((origin_N < len(table.values)).sum())
        if not early:
            return ()
        first = int(origin_N.argmin())
        begin = moment(table.moments(int(origin_N[first]), 1)[0])
        return (
            f"Of {len(origin_N):,} series, {early:,} ended before the table and are forecast from their own last value;"
            f" the earliest forecast, that of '{table.channels[self.index.channel[first]]}', begins at {begin}.",
        )

    def frame(self) -> pd.DataFrame:
        """The forecasts as unique_id, ds, yhat."""
        table, horizon = self.prepared.table, self.prepared.horizon
        names = np.array([table.channels[one] for one in self.index.channel], dtype=object)
        origins, place = np.unique(self.index.origin, return_inverse=True)  # most series end together
        moments = [table.moments(int(origin), horizon).to_numpy() for origin in origins]
        steps = np.stack(moments)[place].ravel() if len(names) else table.future_index(0).to_numpy()
        return pd.DataFrame(
            {
                "unique_id": np.repeat(names, horizon),
                "ds": steps,
                "yhat": self.forecast_NH.ravel(),
            }
        )


@dataclass(frozen=True)
class FittedRun:
    """A fitted forecaster with the table it was fitted on."""

    config: RunConfig
    forecaster: Forecaster
    prepared: PreparedData
    intervals: Intervals | None = None
    """What bands are made of; None in a run of an earlier version, and while a run is being scored."""

    @classmethod
    def load(
        cls,
        run_dir: str | Path,
        *,
        device: str | None = None,
        trust_remote_code: bool = False,
        fast_code: bool | None = None,
    ) -> Self:
        """Read a run folder, and load its forecaster; `device` overrides the run's own ("cpu", "cuda", "auto").

        `fast_code` overrides the run's own, too.
        `trust_remote_code` lets Python code that ships with the backbone run. The folder's own setting does not
        count, because the person who trained the run may have trusted a source that the reader does not know.

        Raises:
            CheckpointError: the folder is incomplete or damaged.
            BackboneError: the backbone cannot be loaded on this machine.
        """
        folder = RunFolder(Path(run_dir))
        config = on_this_machine(
            folder.config(), device=device, trust_remote_code=trust_remote_code, fast_code=fast_code
        )
        prepared = folder.prepared()
        forecaster = kind_of(config.kind).load().load(folder.path, config)
        return cls(config, forecaster, prepared, folder.intervals())

    @property
    def table(self) -> Table:
        """The table it was fitted on."""
        return self.prepared.table

    def forecast(
        self,
        data: Table | str | Path | None = None,
        *,
        known: pd.DataFrame | str | Path | None = None,
        levels: Iterable[int] = (),
        **reading: Any,
    ) -> pd.DataFrame:
        """Forecast the `horizon` rows after the end of `data`, or of the run's own table.

        `known` are values of columns known ahead, as a CSV file with timestamps or as a frame like that of
        `timellm.data.known.Known.frame`; after the last measured row they take the place of the table's own.
        `levels` asks for bands, in percent, such as (80, 95). `reading` are settings by which the file `data` is read
        instead of the run's own, such as `decimal`.

        Returns:
            A frame `unique_id, ds, yhat` in original units, one row per channel and step; with levels also
            `yhat-lo-80, yhat-hi-80` ..., NaN where the run had too few validation windows.

        Raises:
            CheckpointError: levels are asked for, and the run keeps no intervals.
            ConfigError: a level is no whole number from 10 to 99.
            DataError: the table lacks a channel, has another step between rows, is shorter than the context, or misses
                values in its last rows; or a column known ahead misses a value.
        """
        levels = check_levels(levels)
        second = known if isinstance(known, str | Path) else None
        table = self.table if data is None else self.newer(data, known=second, **reading)
        if known is not None:
            table = self.told(table, known)
        channels = self.table.channels  # a newer table may hold more of them, or in another order
        self._check_end(table)
        self.check_known(table)
        return self.forecast_channels(table, channels, levels=levels)

    def check_known(self, table: Table) -> None:
        """Refuse a forecast beyond the end of `table` for which a column known ahead misses a value.

        Raises:
            DataError: names column, row and remedy.
        """
        if self.prepared.effects is not None or self.config.tells_known:
            numbers = tuple(table.channels.index(name) for name in self.table.channels)
            check_known(table, ahead=self.config.task.horizon, channels=numbers)

    def told(self, table: Table, known: pd.DataFrame | str | Path) -> Table:
        """The table with other values of columns known ahead, as `forecast` takes them.

        Raises:
            DataError: the run knows no column ahead, or the values cannot be read.
        """
        own = self.table.known
        if own is None:
            raise DataError("the run knows no column ahead; leave out --known, or train a run with 'known_ahead'")
        assert table.known is not None, "a table read with the run's settings has the run's columns"
        if isinstance(known, pd.DataFrame):
            return replace(table, known=table.known.with_frame(known))
        there = table.known.like(own)
        rows = TableRows(
            table.values.index, table.frequency, len(table.values), table.channels, by_channel=own.by_channel
        )
        return replace(table, known=read_ahead(known, there, self.config.data, rows))

    def forecast_channels(
        self, table: Table, channels: tuple[str, ...], *, levels: tuple[int, ...] = ()
    ) -> pd.DataFrame:
        """Forecast some channels of `table`, whose last context is known to be usable; with bands at `levels`.

        Raises:
            CheckpointError: levels are asked for, and the run keeps no intervals.
        """
        if levels and self.intervals is None:
            raise CheckpointError(NO_INTERVALS)
        ahead = self.ahead(table, channels)
        frame = ahead.frame()
        if not levels or self.intervals is None:
            return frame
        bands = self.intervals.bands(
            ahead.prepared, ahead.index, ahead.forecast_NH, levels, quantiles_WHQ=ahead.quantiles_NHQ
        )
        return with_bands(frame, bands, levels)

    def ahead(self, table: Table, channels: tuple[str, ...]) -> Ahead:
        """What the model says of the rows after the end of `table`, for channels whose last context is usable."""
        numbers = np.array([self.table.number_of[name] for name in channels], np.int64)
        prepared = self.prepared.continued(table)
        index = prepared.beyond(numbers)
        return Ahead(prepared, index, *forecast_own(self.forecaster, prepared, index))

    def usable_channels(self, table: Table) -> tuple[str, ...]:
        """The run's channels whose last context in `table` can be used: it has no gap, or one that can be filled."""
        prepared, names = self.prepared.continued(table), self.table.channels
        index = prepared.beyond(np.arange(len(names)))
        fits, _ = Reach.of(prepared.values, self.config.missing).usable(
            self.config.task.context, horizon=0, begin=0, end=len(table.values) + 1
        )
        return tuple(name for name, usable in zip(names, fits[index.channel, index.origin], strict=True) if usable)

    def newer(self, data: Table | str | Path, *, known: str | Path | None = None, **reading: Any) -> Table:
        """A newer table with the run's channels, read as `forecast` reads it; `known` is its second file.

        Raises:
            DataError: it cannot be read, lacks a channel, or has another step between rows.
        """
        return read_newer(self.config, self.table, data, known=known, **reading)

    def _check_end(self, table: Table) -> None:
        context = max(self.config.task.context, self.forecaster.past_rows)
        if len(table.values) < context:
            raise DataError(
                f"the table has {len(table.values):,} rows, but the run reads a context of {context:,}; bring more rows"
            )
        usable = set(self.usable_channels(table))
        index = self.prepared.continued(table).beyond(np.arange(len(self.table.channels)))
        for name, origin in zip(self.table.channels, index.origin, strict=True):
            if name in usable:
                continue
            if origin < context:
                raise DataError(
                    f"channel '{name}' has {origin:,} rows before its forecast begins, and the run reads a context of"
                    f" {context:,}; bring more rows of it"
                )
            gap = table.values[name].iloc[origin - context : origin].isna()
            remedy = "fill them in the file"
            if self.config.missing == "skip":
                remedy += ", or train with missing=interpolate"
            raise DataError(
                f"channel '{name}' misses {int(gap.sum()):,} of its last {context:,} values, the first at"
                f" {gap.idxmax()}; {remedy}"
            )


def on_this_machine(
    config: RunConfig,
    *,
    device: str | None = None,
    trust_remote_code: bool = False,
    fast_code: bool | None = None,
) -> RunConfig:
    """A run's settings as its forecaster is loaded here: see `FittedRun.load`."""
    if isinstance(config.forecaster, TimeLLMConfig):
        fast_code = config.model.fast_code if fast_code is None else fast_code
        config = config.updated(trust_remote_code=trust_remote_code, fast_code=fast_code)
    if device and config.training is not None:
        config = config.updated(device=device)
    return config
