"""The table: a CSV file as regular, sorted rows of float64 channels.

Inputs: a `DataConfig`. Outputs: a `Table`, on which everything downstream relies: one row a step, NaN where a value is
missing, nothing else repaired. Findings are in its notes; a file that cannot be used is a `DataError`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from timellm.config import DataConfig
from timellm.data.columns import ColumnRoles, find_roles, is_time_name, stamp_cells, suggest_columns, unknown_name
from timellm.data.decimals import find_decimals, parse_numbers
from timellm.data.findings import order_notes, role_notes, value_notes
from timellm.data.gaps import Missing
from timellm.data.header import check_header
from timellm.data.known import Known
from timellm.data.known_reading import KnownSource, TableRows, check_roles, read_known
from timellm.data.missing_codes import ask_about_numbers
from timellm.data.numerals import Sign
from timellm.data.sheet import Sheet, check_cells_stay_on_their_line, read_sheet
from timellm.data.timeline import infer_frequency, parse_frequency, regular_grid
from timellm.data.timeparts import compose_timestamps
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
    settings: Mapping[str, str] = field(default_factory=dict)
    """Settings of `DataConfig` that were found here and that another file like this one may not show."""
    known: Known | None = None
    """Columns that are known ahead, for these rows and perhaps for later ones; None where none was named."""

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels, in the order of the columns."""
        return tuple(self.values.columns)

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
    sheet = compose_timestamps(read_sheet(config), config)
    roles = find_roles(sheet, config)
    check_roles(config, roles)
    _ask(sheet, roles, config)
    if roles.time_column is None:
        for name in roles.columns:
            if name not in roles.numeric and is_time_name(name):  # its first wrong cell says more than its absence
                parse_timestamps(sheet.column(name), column=name, line=sheet.line)
        raise DataError(
            f"{sheet.name}: no column holds timestamps (columns: {', '.join(roles.columns[:20])}); add one with dates "
            "such as 2020-01-31 13:00, or name it in setting 'time_column'"
        )
    if roles.layout == "long":
        _check_long(sheet, roles)
    given = (roles.time_column, roles.time_of_day_column, roles.id_column, roles.value_column)
    needed = {name for name in given if name is not None}.union(
        roles.numeric, set(config.known_ahead) & set(roles.columns)
    )
    check_cells_stay_on_their_line(sheet, needed, roles.time_column)
    if roles.layout == "long":
        sheet, names = _select_series(sheet, roles, config.channels)
    stamps = _stamps(sheet, roles.time_column, roles.time_of_day_column)
    reading = parse_timestamps(stamps, column=roles.time_column, line=sheet.line)
    if roles.layout == "wide":
        names = _select_columns(sheet, roles, config.channels)
    series = (
        pd.Categorical(sheet.column(roles.id_column), categories=names).codes
        if roles.id_column
        else np.zeros(len(sheet))
    )
    entries = _Entries(reading.values, np.asarray(series, dtype="int64"), names)
    _check_distinct(sheet, roles, entries)
    grid, frequency = _grid(sheet, roles, entries.times, config.frequency)
    columns = (roles.value_column,) if roles.value_column else names
    decimals = find_decimals(sheet, columns, others=roles.value_candidates, setting=config.decimal)
    values = _place(sheet, roles, entries, grid, decimals.signs)
    if (question := ask_about_numbers(values, config.missing_codes)) is not None:
        raise question
    _check_magnitude(values, roles)
    known: Known | None = None
    known_notes: tuple[str, ...] = ()
    if config.known_ahead:
        source = KnownSource(
            sheet,
            frozenset(roles.numeric),
            pd.DatetimeIndex(entries.times),
            entries.series if roles.id_column else None,
        )
        rows = TableRows(grid, frequency, _measured_rows(values), names, by_channel=roles.layout == "long")
        known, known_notes = read_known(source, config.model_copy(update={"id_column": roles.id_column}), rows)
        values = values.iloc[: rows.measured]
    notes = (
        *sheet.notes,
        *role_notes(roles, config),
        *reading.notes,
        *decimals.notes,
        *order_notes(entries.times, entries.series),
        *value_notes(values, entries.times[entries.times <= values.index[-1]].nunique()),
        *known_notes,
    )
    found = {"decimal": decimals.answer, "time_of_day_column": roles.time_of_day_column}
    settings = {name: value for name, value in found.items() if value is not None}
    return Table(values, frequency, roles.time_column, roles.layout, notes, settings, known)


def _measured_rows(values: pd.DataFrame) -> int:
    """Rows up to the last one in which a channel has a value; all of them if none has."""
    known = np.flatnonzero(values.notna().any(axis="columns").to_numpy())
    return int(known[-1]) + 1 if len(known) else len(values)


def _ask(sheet: Sheet, roles: ColumnRoles, config: DataConfig) -> None:
    """Questions about the file as a whole, which settings answer."""
    if sheet.doubt is not None and not all(map(str.isascii, (*roles.columns, *roles.series))):
        raise sheet.doubt
    if sheet.has_header and config.header == "auto":
        check_header(sheet.first, roles.time_candidates, name=sheet.name, line=sheet.line(0))


def _stamps(sheet: Sheet, time_column: str, time_of_day_column: str | None) -> pd.Series:
    if time_of_day_column is not None:
        clock = sheet.column(time_of_day_column)
        if (clock == "").any():
            record = (clock == "").idxmax()
            raise DataError(
                f"column '{time_of_day_column}', line {sheet.line(record)}: the time of day is missing; "
                "fill it in or remove the line"
            )
    return stamp_cells(sheet, time_column, time_of_day_column)


def _select_columns(sheet: Sheet, roles: ColumnRoles, wanted: tuple[str, ...]) -> tuple[str, ...]:
    offered = dict.fromkeys(name for name in roles.columns if name not in (roles.time_column, roles.time_of_day_column))
    for name in wanted:
        if name not in offered:
            raise DataError(unknown_name(name, roles.series, f"setting 'channels': {sheet.name} has no channel"))
    chosen = set(wanted)
    names = tuple(name for name in offered if name in chosen) if wanted else roles.series
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
    empty = sheet.column(roles.id_column) == ""
    if empty.any():
        raise DataError(
            f"column '{roles.id_column}', line {sheet.line(empty.idxmax())}: the series ID is missing; "
            "fill it in or remove the line"
        )
    if 1 < len(sheet) < 2 * len(roles.series):
        raise DataError(
            f"{sheet.name}: column '{roles.id_column}' names {len(roles.series):,} series in {len(sheet):,} "
            "rows, so that most have one row; choose another column in setting 'id_column', or set 'layout' to wide"
        )


def _select_series(sheet: Sheet, roles: ColumnRoles, wanted: tuple[str, ...]) -> tuple[Sheet, tuple[str, ...]]:
    known, chosen = set(roles.series), set(wanted)
    for name in wanted:
        if name not in known:
            raise DataError(
                unknown_name(name, roles.series, f"setting 'channels': column '{roles.id_column}' has no series")
            )
    if not wanted or roles.id_column is None:
        return sheet, roles.series
    names = tuple(name for name in roles.series if name in chosen)
    return sheet.only(sheet.column(roles.id_column).isin(names).to_numpy()), names


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


def _place(
    sheet: Sheet, roles: ColumnRoles, entries: _Entries, grid: pd.DatetimeIndex, signs: Mapping[str, Sign]
) -> pd.DataFrame:
    if len(grid) * len(entries.names) > _MOST_VALUES:
        raise DataError(
            f"{sheet.name}: {len(grid):,} rows of {len(entries.names):,} channels are too many to hold; "
            "choose fewer in setting 'channels'"
        )
    rows = grid.get_indexer(pd.DatetimeIndex(entries.times))
    values = np.full((len(grid), len(entries.names)), np.nan)
    for some, numbers in parse_numbers(sheet, signs):
        if roles.id_column:
            values[rows, entries.series] = numbers[0]
        else:
            values[rows, some] = numbers.T
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
