"""The table: a CSV file as regular, sorted rows of float64 channels.

In: a `DataConfig`. Out: a `Table`, on which everything downstream relies: one row a step, NaN where a value is missing,
nothing else repaired. What was found on the way stands in its notes; what cannot be used is a `DataError`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from timellm.config import DataConfig
from timellm.data.columns import ColumnRoles, find_roles, suggest_columns, unknown_name
from timellm.data.numerals import parse_numbers
from timellm.data.sheet import Sheet, read_sheet
from timellm.data.timeline import infer_frequency, parse_frequency, regular_grid
from timellm.data.timestamps import parse_timestamps
from timellm.errors import DataError

__all__ = ["ColumnRoles", "Table", "load_table", "read_table", "suggest_columns"]

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

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels, in the order of the columns."""
        return tuple(self.values.columns)

    @property
    def offset(self) -> pd.DateOffset:
        """Step between rows."""
        return to_offset(self.frequency)

    def future_index(self, steps: int) -> pd.DatetimeIndex:
        """Timestamps of the `steps` rows after the last one."""
        return pd.date_range(self.values.index[-1], periods=steps + 1, freq=self.offset, name="ds", unit="us")[1:]


@dataclass(frozen=True)
class _Entries:
    """Values before they are put on the grid: the flat arrays share one length, a record of the file each."""

    times: pd.Series
    series: np.ndarray  # index into `names`, 0 throughout in a wide table
    names: tuple[str, ...]


def read_table(path: str | Path, **settings: Any) -> Table:
    """Read a CSV file, wide or long; `settings` are those of `DataConfig` (time_column, channels, frequency ...).

    Raises:
        DataError: the file cannot be used; names column, line and remedy.
        ConfigError: a setting is unknown or has no meaning.
    """
    return load_table(DataConfig(path=str(path), **settings))


def load_table(config: DataConfig) -> Table:
    """Read the table a configuration names.

    Raises:
        DataError: the file cannot be used; names column, line (1-based, the header is line 1) and remedy.
        ConfigError: the frequency has no meaning.
    """
    sheet = read_sheet(config.path)
    roles = find_roles(sheet, config)
    if roles.time_column is None:
        raise DataError(
            f"{sheet.name}: no column holds timestamps (columns: {', '.join(roles.columns[:20])}); add one with dates "
            "such as 2020-01-31 13:00, or name it in setting 'time_column'"
        )
    if roles.layout == "long":
        _check_long(sheet, roles)
        sheet, names = _select_series(sheet, roles, config.channels)
    _check_header_is_no_data(sheet, roles.time_column)
    reading = parse_timestamps(sheet.cells[roles.time_column], column=roles.time_column, line=sheet.line)
    if roles.layout == "wide":
        names = _select_columns(sheet, roles, config.channels)
    series = (
        pd.Categorical(sheet.cells[roles.id_column], categories=names).codes
        if roles.id_column
        else np.zeros(len(sheet.cells))
    )
    entries = _Entries(reading.values, np.asarray(series, dtype="int64"), names)
    _check_distinct(sheet, roles, entries)
    grid, frequency = _grid(sheet, roles, entries.times, config.frequency)
    values = _place(sheet, roles, entries, grid)
    _check_magnitude(values, roles)
    notes = (
        *sheet.notes,
        *_role_notes(sheet, roles, config),
        *reading.notes,
        *_order_notes(entries),
        *_value_notes(values, entries.times.nunique()),
    )
    return Table(values, frequency, roles.time_column, roles.layout, notes)


def _select_columns(sheet: Sheet, roles: ColumnRoles, wanted: tuple[str, ...]) -> tuple[str, ...]:
    offered = tuple(name for name in roles.columns if name != roles.time_column)
    for name in wanted:
        if name not in offered:
            raise DataError(unknown_name(name, roles.series, f"setting 'channels': {sheet.name} has no channel"))
    names = tuple(name for name in offered if name in wanted) if wanted else roles.series
    if not names:
        raise DataError(
            f"{sheet.name}: no column besides '{roles.time_column}' holds numbers; "
            "a table needs at least one column of numbers"
        )
    return names


def _check_long(sheet: Sheet, roles: ColumnRoles) -> None:
    if roles.id_column is None:
        raise DataError(
            f"{sheet.name}: a long table needs a column of series IDs; name it in setting 'id_column', "
            "or set 'layout' to wide"
        )
    if roles.value_column is None:
        found = ", ".join(roles.value_candidates) or "none"
        raise DataError(
            f"{sheet.name}: a long table has one column of values, but these hold numbers: {found}; "
            "name the one to forecast in setting 'value_column'"
        )
    if len({roles.time_column, roles.id_column, roles.value_column}) < 3:
        raise DataError(
            f"{sheet.name}: timestamp '{roles.time_column}', series ID '{roles.id_column}' and value "
            f"'{roles.value_column}' must be three different columns; correct the settings"
        )
    empty = sheet.cells[roles.id_column] == ""
    if empty.any():
        raise DataError(
            f"column '{roles.id_column}', line {sheet.line(empty.idxmax())}: the series ID is missing; "
            "fill it in or remove the line"
        )


def _select_series(sheet: Sheet, roles: ColumnRoles, wanted: tuple[str, ...]) -> tuple[Sheet, tuple[str, ...]]:
    for name in wanted:
        if name not in roles.series:
            raise DataError(
                unknown_name(name, roles.series, f"setting 'channels': column '{roles.id_column}' has no series")
            )
    if not wanted:
        return sheet, roles.series
    names = tuple(name for name in roles.series if name in wanted)
    return sheet.only(sheet.cells[roles.id_column].isin(names)), names


def _check_header_is_no_data(sheet: Sheet, time_column: str) -> None:
    shape = sheet.cells[time_column].iloc[0]
    if len(time_column) >= 6 and time_column[:2].isdigit() and len(time_column) == len(shape):
        raise DataError(
            f"{sheet.name}, line {sheet.first_line}: '{time_column}' is data, not a column name; "
            "add a first line with names such as ds,value"
        )


def _check_distinct(sheet: Sheet, roles: ColumnRoles, entries: _Entries) -> None:
    keys = pd.DataFrame({"time": entries.times, "series": entries.series})
    again = keys.duplicated()
    if not again.any():
        return
    record, time = again.idxmax(), entries.times.loc[again.idxmax()]
    first = (keys == keys.loc[record]).all(axis="columns").idxmax()
    of_series = f" of series '{entries.names[entries.series[keys.index.get_loc(record)]]}'" if roles.id_column else ""
    cure = "keep one of the rows"
    if roles.layout == "wide":
        cure += (
            ", write the hour at which clocks go back in UTC, or name the column of series IDs in setting 'id_column'"
        )
    raise DataError(
        f"column '{roles.time_column}', line {sheet.line(record)}: the timestamp {time}{of_series} "
        f"already stands in line {sheet.line(first)} ({again.sum():,} such rows); {cure}"
    )


def _grid(sheet: Sheet, roles: ColumnRoles, times: pd.Series, asked: str | None) -> tuple[pd.DatetimeIndex, str]:
    present = pd.DatetimeIndex(times.unique()).sort_values()
    if len(present) < 2:
        raise DataError(f"{sheet.name} has only one timestamp ({present[0]}); a forecast needs a history of many rows")
    frequency = parse_frequency(asked, present) if asked else infer_frequency(present)
    grid = regular_grid(present, frequency)
    off = ~times.isin(grid)
    if off.any():
        record, origin = off.idxmax(), "set" if asked else "found from the timestamps"
        raise DataError(
            f"column '{roles.time_column}', line {sheet.line(record)}: {times.loc[record]} does not fall on the "
            f"regular step of {frequency} {origin} ({off.sum():,} of {len(times):,} rows do not); correct the "
            "timestamps, resample the table to an even step, or set 'frequency'"
        )
    return grid, frequency


def _place(sheet: Sheet, roles: ColumnRoles, entries: _Entries, grid: pd.DatetimeIndex) -> pd.DataFrame:
    if len(grid) * len(entries.names) > _MOST_VALUES:
        raise DataError(
            f"{sheet.name}: {len(grid):,} rows of {len(entries.names):,} channels are too many to hold; "
            "choose fewer in setting 'channels'"
        )
    columns = (roles.value_column,) if roles.id_column and roles.value_column else entries.names
    decimal_comma = sheet.delimiter != ","
    rows = grid.get_indexer(pd.DatetimeIndex(entries.times))
    values = np.full((len(grid), len(entries.names)), np.nan)
    for position, column in enumerate(columns):
        numbers = parse_numbers(sheet.cells[column], column=column, decimal_comma=decimal_comma, line=sheet.line)
        values[rows, entries.series if roles.id_column else position] = numbers
    return pd.DataFrame(values, index=grid.rename("ds"), columns=pd.Index(entries.names, dtype="str"))


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


def _role_notes(sheet: Sheet, roles: ColumnRoles, config: DataConfig) -> list[str]:
    notes = []
    if roles.layout == "long" and config.layout == "auto":
        notes.append(f"Read as a long table: series IDs in '{roles.id_column}', values in '{roles.value_column}'.")
    if config.time_column is None and len(roles.time_candidates) > 1:
        others = _listed(roles.time_candidates[1:])
        notes.append(f"Timestamps are taken from '{roles.time_column}'; {others} could also serve.")
    used = {roles.time_column, roles.id_column, roles.value_column, *roles.series}
    unused = [name for name in roles.columns if name not in used and name not in roles.time_candidates]
    if unused and not config.channels:
        why = "only one column of values is used" if roles.layout == "long" else "they hold no numbers to forecast"
        notes.append(f"Left out: {_listed(unused)} ({why}).")
    return notes


def _order_notes(entries: _Entries) -> list[str]:
    order = np.argsort(entries.series, kind="stable")
    steps = np.diff(entries.times.to_numpy()[order])[np.diff(entries.series[order]) == 0] / np.timedelta64(1, "us")
    if (steps >= 0).all():
        return []
    if (steps <= 0).all():
        return ["Rows stood newest first; they are sorted by time."]
    return [f"Rows were out of order in {(steps < 0).sum():,} places; they are sorted by time."]


def _value_notes(values: pd.DataFrame, present: int) -> list[str]:
    notes = []
    if present < len(values):
        notes.append(
            f"{len(values) - present:,} of {len(values):,} timestamps were not in the file; they became missing rows."
        )
    absent = values.isna().sum()
    absent = absent[absent > 0]
    if len(absent):
        shares = [f"'{name}' {count:,} ({count / len(values):.2%})" for name, count in absent.items()]
        notes.append(f"Missing values: {_cut(shares)}. They stay missing.")
    known = values.notna().any()
    constant = values.columns[(values.min() == values.max()) & known]
    if len(constant):
        notes.append(f"Constant, so there is nothing to learn from: {_listed(constant)}.")
    empty = values.columns[~known]
    if len(empty):
        notes.append(f"Without any value: {_listed(empty)}.")
    return notes


def _listed(names: Iterable[str]) -> str:
    return _cut([f"'{name}'" for name in names])


def _cut(items: list[str]) -> str:
    return ", ".join(items[:5]) + (f" and {len(items) - 5:,} more" if len(items) > 5 else "")
