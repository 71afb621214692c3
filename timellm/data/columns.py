"""What the columns of a sheet mean: timestamp, series ID, values; found from the cells unless the configuration says.

In: a `Sheet` and the data section of a configuration. Out: `ColumnRoles`, which the page offers to correct.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

import pandas as pd

from timellm.config import DataConfig
from timellm.data.numerals import looks_like_numbers
from timellm.data.sheet import Sheet, missing, read_sheet
from timellm.data.timestamps import looks_like_time, sample_cells
from timellm.errors import DataError

_TIME_NAMES = ("ds", "timestamp", "datetime", "date_time", "date", "time", "utc_timestamp", "period", "month", "year")
_ID_NAMES = ("unique_id", "series_id", "item_id", "id", "series", "sensor", "store", "item", "channel", "name", "key")
_VALUE_NAMES = ("y", "value", "values", "target", "count", "amount")


@dataclass(frozen=True)
class ColumnRoles:
    """Columns of a file by what they could be, and the roles found; candidates come best first."""

    columns: tuple[str, ...]
    numeric: tuple[str, ...]
    time_candidates: tuple[str, ...]
    id_candidates: tuple[str, ...]
    value_candidates: tuple[str, ...]
    layout: Literal["wide", "long"]
    time_column: str | None
    id_column: str | None
    value_column: str | None
    series: tuple[str, ...]  # what `channels` may name: columns (wide) or series IDs (long)


def suggest_columns(path: str | Path) -> ColumnRoles:
    """Roles of the columns in a file, as `load_table` would take them with no settings.

    Raises:
        DataError: the file cannot be read as a table at all.
    """
    return find_roles(read_sheet(path), DataConfig(path=str(path)))


def find_roles(sheet: Sheet, config: DataConfig) -> ColumnRoles:
    """Roles of the columns in a sheet; settings that are given decide, the cells decide the rest.

    Raises:
        DataError: a setting names a column that is not there.
    """
    columns = tuple(sheet.cells.columns)
    for setting in ("time_column", "id_column", "value_column"):
        name = getattr(config, setting)
        if name is not None and name not in columns:
            raise DataError(unknown_name(name, columns, f"setting '{setting}': {sheet.name} has no column"))
    samples = {}
    for name in columns:
        cells = sheet.cells[name]
        samples[name] = sample_cells(cells[~missing(cells)])
    numbers = tuple(name for name in columns if looks_like_numbers(samples[name]))
    # Columns of plain numbers are timestamps (20200131, seconds since 1970) only if their name says so.
    times = [
        name
        for name in columns
        if (name not in numbers or _named(name, _TIME_NAMES)) and looks_like_time(samples[name])
    ]
    times.sort(key=lambda name: (name in numbers, _rank(name, _TIME_NAMES)))
    time_column = config.time_column or (times[0] if times else None)
    id_candidates = _id_candidates(sheet, columns, numbers, times, time_column)
    id_column = config.id_column or _implied_id(sheet, config, time_column, id_candidates)
    values = sorted(
        (name for name in numbers if name not in (time_column, id_column) and not _is_counter(sheet, name)),
        key=lambda name: _rank(name, _VALUE_NAMES),
    )
    layout = config.layout if config.layout != "auto" else "long" if id_column or config.value_column else "wide"
    value_column = config.value_column
    if layout == "long" and value_column is None and values and (len(values) == 1 or _named(values[0], _VALUE_NAMES)):
        value_column = values[0]
    if layout == "wide":
        id_column = value_column = None
        series = tuple(name for name in columns if name in values)
    else:
        series = tuple(sorted(sheet.cells[id_column].unique(), key=_by_number)) if id_column else ()
    return ColumnRoles(
        columns,
        numbers,
        tuple(times),
        tuple(id_candidates),
        tuple(values),
        layout,
        time_column,
        id_column,
        value_column,
        series,
    )


def unknown_name(name: str, known: tuple[str, ...], complaint: str) -> str:
    """`complaint 'name'; did you mean ...? Known: ...`, for an error text."""
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    listed = ", ".join(known[:20]) + (f" and {len(known) - 20:,} more" if len(known) > 20 else "")
    return f"{complaint} '{name}'; {hint}known: {listed}"


def _id_candidates(
    sheet: Sheet, columns: Sequence[str], numbers: Sequence[str], times: Sequence[str], time_column: str | None
) -> list[str]:
    """Columns that could name series: they repeat, and together with the timestamp they tell rows apart."""
    found = []
    for name in columns:
        plausible = name not in numbers or _named(name, _ID_NAMES) or name.lower().endswith("id")
        if name in times or name == time_column or not plausible:
            continue
        cells = sheet.cells[name]
        if time_column is None or (
            cells.duplicated().any() and not sheet.cells[[time_column, name]].duplicated().any()
        ):
            found.append(name)
    return sorted(found, key=lambda name: _rank(name, _ID_NAMES))


def _implied_id(sheet: Sheet, config: DataConfig, time_column: str | None, candidates: list[str]) -> str | None:
    """The ID column of a table that must be long: it was said to be, has the usual names, or repeats its timestamps."""
    if config.layout == "wide" or time_column is None:
        return None
    usual = {"unique_id", "ds", "y"} <= set(sheet.cells.columns)
    if usual:
        return "unique_id"
    if candidates and (config.layout == "long" or config.value_column or sheet.cells[time_column].duplicated().any()):
        return candidates[0]
    return None


def _is_counter(sheet: Sheet, name: str) -> bool:
    """A nameless first column that only counts rows, as data frames are often saved with."""
    if not (name == sheet.cells.columns[0] and name in ("column 1", "Unnamed: 0", "index")):
        return False
    return bool((pd.to_numeric(sheet.cells[name], errors="coerce").diff().iloc[1:] == 1).all())


def _by_number(series_id: str) -> tuple[bool, int, str]:
    """Store 2 before store 10, and words after numbers."""
    return not series_id.isdecimal(), int(series_id) if series_id.isdecimal() else 0, series_id


def _named(name: str, known: tuple[str, ...]) -> bool:
    return name.lower() in known


def _rank(name: str, known: tuple[str, ...]) -> int:
    return known.index(name.lower()) if _named(name, known) else len(known)
