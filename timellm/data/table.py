"""The table: a CSV file as regular, sorted rows of float64 channels.

Inputs: a `DataConfig`. Outputs: a `Table`, on which everything downstream relies: one row a step, NaN where a value is
missing, nothing else repaired but what the setting `repair` asks for. How it was read is in its notes; a file that
cannot be used is a `DataError`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from timellm.config import DataConfig
from timellm.config.repair import steps_of
from timellm.data.columns import ColumnRoles, suggest_columns
from timellm.data.decimals import Decimals
from timellm.data.file_lines import FileLines
from timellm.data.gaps import Missing
from timellm.data.known import Known
from timellm.data.known_reading import KnownSource, TableRows, read_known
from timellm.data.missing_codes import ask_about_numbers
from timellm.data.notes import order_notes, role_notes, rounding_notes
from timellm.data.regularity import Records, check_distinct, find_grid
from timellm.data.repair.apply import Repaired, fill_report, repaired
from timellm.data.repair.entries import Entries
from timellm.data.repair.report import StepReport
from timellm.data.sheet import Sheet
from timellm.data.tablefile import TableFile, open_table
from timellm.data.timeline import parse_frequency
from timellm.errors import ConfigError, DataError

__all__ = ["ColumnRoles", "Table", "load_entries", "load_table", "read_table", "suggest_columns"]

LARGEST_VALUE = 1e36
"""A hundredth of the largest float32, in which forecasts are kept: they may lie beyond the values learned from."""
_MOST_VALUES = 400_000_000  # 3 GiB as float64; a table beyond it is a wrong ID column more often than data


@dataclass(frozen=True)
class Table:
    """Channels over regular rows.

    `values` is float64 [rows, channels] with NaN where missing; its index is increasing, regular and named "ds"; its
    columns are the channel names.
    """

    values: pd.DataFrame
    frequency: str
    time_column: str
    layout: str
    notes: tuple[str, ...]
    settings: Mapping[str, str] = field(default_factory=dict)
    """Settings of `DataConfig` that were found here and that another file like this one may not show."""
    known: Known | None = None
    """Columns that are known ahead, for these rows and perhaps for later ones; None where none was named."""
    repairs: tuple[StepReport, ...] = ()
    """What each step of the setting `repair` did; empty in a table that a run has kept."""
    lines: FileLines | None = None
    """Where the rows stand in the file; None in a table that a run has kept, and for a very large long one."""

    @cached_property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels, in the order of the columns."""
        return tuple(self.values.columns)

    @cached_property
    def number_of(self) -> Mapping[str, int]:
        """Number of each channel by its name: a look-up in `channels` takes long where there are ten thousand."""
        return {name: number for number, name in enumerate(self.channels)}

    @property
    def offset(self) -> pd.DateOffset:
        """Step between rows."""
        return to_offset(self.frequency)

    def measured(self, missing: Missing) -> np.ndarray:
        """The values [rows, channels], missing also in rows in which a column known ahead misses a value."""
        values_RN = self.values.to_numpy(np.float64)
        if self.known is None:
            return values_RN
        return np.where(self.known.lacking(len(values_RN), missing), np.nan, values_RN)

    def moments(self, origin: int, steps: int) -> pd.DatetimeIndex:
        """Timestamps of `steps` rows from `origin` on, which is at most the row after the last one."""
        return self.values.index[origin:].append(self.future_index(steps))[:steps]

    def future_index(self, steps: int) -> pd.DatetimeIndex:
        """Timestamps of the `steps` rows after the last one."""
        return pd.date_range(self.values.index[-1], periods=steps + 1, freq=self.offset, name="ds", unit="us")[1:]


def read_table(path: str | Path, **settings: Any) -> Table:
    """Read a CSV file, wide or long; `settings` are those of `DataConfig` (time_column, channels, frequency ...).

    Raises:
        DataError: the file cannot be used; names column, line and remedy.
        ConfigError: a setting is unknown or has no meaning.
    """
    return load_table(DataConfig(path=str(path), **settings))


def load_table(config: DataConfig) -> Table:
    """Read the table a configuration names, and repair it as its setting `repair` says.

    Raises:
        DataError: the file cannot be used; names column, line (1-based, the header is line 1) and remedy.
        RepairableError: it can be used after a repair; names some.
        ConfigError: the frequency, or a repair, has no meaning.
    """
    file = open_table(config)
    sheet, roles = file.sheet, file.roles
    records = Records(file.stamps.values, file.series, file.names, file.stamps.utc)
    repair: Repaired | None = None
    if steps := steps_of(config.repair):
        _check_known_can_follow(sheet, config)
        decimals = file.decimals(config)
        repair = repaired(file.entries(decimals), steps, gone=_left_out(file))
        records = Records(repair.entries.times, repair.entries.series, repair.entries.names, repair.entries.utc)
        if len(records.times) < len(sheet):
            sheet = sheet.only(np.isin(sheet.records, records.times.index))
    check_distinct(file, records)
    grid, frequency = find_grid(file, records, _asked_frequency(config, repair))
    if repair is None:
        decimals = file.decimals(config)
        values = _place(file, grid, decimals)
    else:
        values = _place_entries(sheet, repair.entries, grid)
    times, series, names = records.times, records.series, records.names
    if (question := ask_about_numbers(values, config.missing_codes)) is not None:
        raise question
    _check_magnitude(values, roles)
    known: Known | None = None
    known_notes: tuple[str, ...] = ()
    if config.known_ahead:
        source = KnownSource(
            sheet, frozenset(roles.numeric), pd.DatetimeIndex(times), series if roles.id_column else None
        )
        rows = TableRows(grid, frequency, _measured_rows(values), names, by_channel=roles.layout == "long")
        known, known_notes = read_known(source, config.model_copy(update={"id_column": roles.id_column}), rows)
        values = values.iloc[: rows.measured]
    filled = fill_report(values, config.repair)
    reports = (*(repair.reports if repair else ()), *([filled] if filled else []))
    notes = (
        *sheet.notes,
        *role_notes(roles, config),
        *file.stamps.notes,
        *decimals.notes,
        *rounding_notes(values),
        *(order_notes(times, series) if repair is None else ()),
        *(report.sentence for report in reports),
        *known_notes,
    )
    found = {
        "decimal": decimals.answer,
        "date_order": file.stamps.order,
        "time_of_day_column": roles.time_of_day_column,
    }
    settings = {name: value for name, value in found.items() if value is not None}
    lines = _lines(file, records, grid)
    lines = lines.until(len(values)) if lines is not None else None
    return Table(values, frequency, file.time_column, roles.layout, notes, settings, known, reports, lines)


def load_entries(config: DataConfig) -> Repaired:
    """The records that a configuration names, repaired, but on no grid: they may repeat and be uneven.

    Raises:
        DataError: the file cannot be used.
        ConfigError: a repair has no meaning.
    """
    file = open_table(config)
    entries = file.entries(file.decimals(config))
    return repaired(entries, steps_of(config.repair), gone=_left_out(file))


def _left_out(file: TableFile) -> frozenset[str]:
    """Channels of the file that the settings do not name."""
    return frozenset(file.roles.series) - set(file.names)


def _check_known_can_follow(sheet: Sheet, config: DataConfig) -> None:
    """Refuse to make several rows one where columns known ahead stand in them."""
    merging = [str(step) for step in steps_of(config.repair) if step.kind in ("duplicates", "resample")]
    inside = [name for name in config.known_ahead if name in sheet.texts]
    if merging and inside:
        raise ConfigError(
            f"repair '{merging[0]}' makes several rows one, and what '{inside[0]}' says of them is known ahead and"
            " cannot be made one; give the columns known ahead in a second file ('known_file'), or leave the repair out"
        )


def _lines(file: TableFile, records: Records, grid: pd.DatetimeIndex) -> FileLines | None:
    """The lines of the records that stand in each row; of several that were made one, the first or the last."""
    return FileLines.of(
        file.sheet.lines[records.times.index],
        rows=grid.get_indexer(pd.DatetimeIndex(records.times)),
        total=len(grid),
        series=records.series,
        names=records.names if file.roles.id_column else (),
    )


def _asked_frequency(config: DataConfig, repair: Repaired | None) -> str | None:
    """The step that the settings ask for.

    Raises:
        ConfigError: they ask for two.
    """
    if repair is None or repair.frequency is None:
        return config.frequency
    if config.frequency:
        times = pd.DatetimeIndex(repair.entries.times.unique()).sort_values()
        if parse_frequency(config.frequency, times) != repair.frequency:
            raise ConfigError(
                f"setting 'frequency' is '{config.frequency}', and 'repair' resamples to {repair.frequency}; leave"
                " 'frequency' out"
            )
    return repair.frequency


def _measured_rows(values: pd.DataFrame) -> int:
    """Rows up to the last one in which a channel has a value; all of them if none has."""
    known = np.flatnonzero(values.notna().any(axis="columns").to_numpy())
    return int(known[-1]) + 1 if len(known) else len(values)


def _place(file: TableFile, grid: pd.DatetimeIndex, decimals: Decimals) -> pd.DataFrame:
    values = _empty(file.sheet, grid, file.names)
    rows = grid.get_indexer(pd.DatetimeIndex(file.stamps.values))
    for some, numbers in file.numbers(decimals):
        if file.roles.id_column:
            values[rows, file.series] = numbers[0]
        else:
            values[rows, some] = numbers.T
    return _framed(values, grid, file.names)


def _place_entries(sheet: Sheet, entries: Entries, grid: pd.DatetimeIndex) -> pd.DataFrame:
    values = _empty(sheet, grid, entries.names)
    rows = grid.get_indexer(pd.DatetimeIndex(entries.times))
    if entries.long:
        values[rows, entries.series] = entries.values[:, 0]
    else:
        values[rows] = entries.values
    return _framed(values, grid, entries.names)


def _empty(sheet: Sheet, grid: pd.DatetimeIndex, names: tuple[str, ...]) -> np.ndarray:
    if len(grid) * len(names) > _MOST_VALUES:
        raise DataError(
            f"{sheet.name}: {len(grid):,} rows of {len(names):,} channels are too many to hold; "
            "choose fewer in setting 'channels'"
        )
    return np.full((len(grid), len(names)), np.nan)


def _framed(values: np.ndarray, grid: pd.DatetimeIndex, names: tuple[str, ...]) -> pd.DataFrame:
    return pd.DataFrame(values, index=grid.rename("ds"), columns=pd.Index(names, dtype="str"))


def _check_magnitude(values: pd.DataFrame, roles: ColumnRoles) -> None:
    found = values.to_numpy()
    if max(np.fmax.reduce(found, axis=None, initial=0), -np.fmin.reduce(found, axis=None, initial=0)) <= LARGEST_VALUE:
        return
    size = values.abs()
    name, row = size.max().idxmax(), size.max(axis="columns").idxmax()
    raise DataError(
        f"{'series' if roles.id_column else 'column'} '{name}' holds {values.loc[row, name]:g} at {row}; values beyond"
        f" {LARGEST_VALUE:g} cannot be trained or scored, because forecasts are kept as 32-bit numbers and errors are"
        " squared; correct it, leave the cell empty if the value is missing, or give the values in a larger unit"
    )
