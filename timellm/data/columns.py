"""What the columns of a sheet mean: timestamp, series ID, values; found from the cells unless the configuration says.

Inputs: a `Sheet` and the data section of a configuration. Outputs: `ColumnRoles`, which the page offers to correct.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from timellm.config import DataConfig
from timellm.data.numerals import look_like_numbers
from timellm.data.records import blocks
from timellm.data.sheet import Sheet, is_missing, read_sheet
from timellm.data.timeparts import compose_timestamps
from timellm.data.timestamps import PLAUSIBLE, looks_like_time, sample_places
from timellm.errors import DataError

_TIME_NAMES = ("ds", "timestamp", "datetime", "date_time", "date", "time", "utc_timestamp", "period", "month", "year")
_ID_NAMES = ("unique_id", "series_id", "item_id", "id", "series", "sensor", "store", "item", "channel", "name", "key")
_VALUE_NAMES = ("y", "value", "values", "target", "count", "amount")
_TIME_OF_DAY = r"^[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?(?: ?[AaPp][Mm])?$"
_MOST = 0.8  # of a column's cells, to be taken for timestamps or times of day
_MOST_TRIED = 100  # columns that begin like timestamps; trying one takes milliseconds
_MOST_CANDIDATES = 20
_HALF = 0.5  # for numbers, and for timestamps in a column that is named like one


WRITTEN = ("encoding", "header", "delimiter", "ragged", "missing_codes", "sheet")
"""Settings of `DataConfig` that say how a file is written, whatever its columns mean."""


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
    time_of_day_column: str | None
    series: tuple[str, ...]  # what `channels` may name: columns (wide) or series IDs (long)


def suggest_columns(config: DataConfig) -> ColumnRoles:
    """Roles of the columns in a file, as `load_table` would take them if no setting named a column.

    Raises:
        DataError: the file cannot be read as a table at all.
    """
    reading = DataConfig(path=config.path, **{name: getattr(config, name) for name in WRITTEN})
    # Months across are columns of their own where the layout is set wide.
    wide = reading.model_copy(update={"layout": "wide"}) if config.layout == "wide" else reading
    return find_roles(compose_timestamps(read_sheet(reading), wide), reading)


def find_roles(sheet: Sheet, config: DataConfig) -> ColumnRoles:
    """Roles of the columns in a sheet; settings that are given decide, the cells decide the rest.

    Raises:
        DataError: a setting names a column that is not there.
    """
    columns = sheet.columns
    for setting in ("time_column", "time_of_day_column", "id_column", "value_column"):
        name = getattr(config, setting)
        if name is not None and name not in sheet.texts:
            raise DataError(unknown_name(name, columns, f"setting '{setting}': {sheet.name} has no column"))
    samples = _Samples(sheet)
    numbers = samples.numbers()
    times = samples.times(numbers)
    time_column = config.time_column or (times[0] if times else None)
    time_of_day = config.time_of_day_column or _time_of_day(sheet, samples, config, time_column)
    told = {*config.known_ahead, *config.past_only, *config.static_columns}
    taken = {*times, time_column, time_of_day, *told}
    id_candidates, repeats = _id_candidates(
        sheet,
        [name for name in columns if name not in taken and _may_be_id(name, numbers)],
        stamp_cells(sheet, time_column, time_of_day) if time_column else None,
    )
    id_column = config.id_column or _implied_id(sheet, config, time_column, id_candidates, repeats=repeats)
    taken.add(id_column)
    if _is_counter(sheet):
        taken.add(columns[0])
    values = sorted((name for name in numbers if name not in taken), key=lambda name: _rank(name, _VALUE_NAMES))
    layout = config.layout if config.layout != "auto" else "long" if id_column or config.value_column else "wide"
    value_column = config.value_column
    if layout == "long" and value_column is None and values and (len(values) == 1 or _named(values[0], _VALUE_NAMES)):
        value_column = values[0]
    if layout == "wide":
        id_column = value_column = None
        chosen = set(values)
        series = tuple(name for name in columns if name in chosen)
    else:
        series = tuple(sorted(sheet.column(id_column).unique(), key=_by_number)) if id_column else ()
    return ColumnRoles(
        columns,
        tuple(numbers),
        tuple(times),
        tuple(id_candidates),
        tuple(values),
        layout,
        time_column,
        id_column,
        value_column,
        time_of_day,
        series,
    )


class _Samples:
    """Some cells of every column, without missing ones; all columns are tried at once, because there may be many."""

    def __init__(self, sheet: Sheet):
        self._sheet = sheet
        columns = tuple(sheet.texts.values())
        places = sample_places(np.arange(len(sheet)))
        some_cells = columns if len(places) == len(sheet) else [column.take(pa.array(places)) for column in columns]
        samples = []
        for block, flat in blocks(some_cells):
            given = ~is_missing(flat).to_numpy(zero_copy_only=False).reshape(-1, len(places))
            for cells, column, known in zip(some_cells[block], columns[block], given, strict=True):
                if known.all():
                    samples.append(cells)
                else:  # a sparse column has its cells elsewhere
                    kept = column.filter(pc.invert(is_missing(column)))
                    samples.append(kept.take(pa.array(sample_places(np.arange(len(kept))))))
        self._all = pa.concat_arrays(samples)
        self._counts = np.array([len(cells) for cells in samples])
        self._ends = dict(zip(sheet.columns, np.cumsum(self._counts), strict=True))

    def numbers(self) -> dict[str, None]:
        """Columns of which at least half are numbers, in the order of the sheet."""
        return dict.fromkeys(self._where(look_like_numbers(self._all), _HALF))

    def times(self, numbers: Collection[str]) -> list[str]:
        """Columns of timestamps, the likeliest first."""
        plausible = self._where(pc.match_substring_regex(self._all, PLAUSIBLE).to_numpy(zero_copy_only=False), _HALF)
        first = self._sheet.columns[0] if not self._sheet.has_header else None
        # Plain numbers are timestamps (20200131, seconds since 1970) only where the name or the place says so.
        plausible = [name for name in plausible if name not in numbers or is_time_name(name) or name == first]
        found: list[str] = []
        for name in sorted(plausible, key=_rank_of_time)[:_MOST_TRIED]:
            if looks_like_time(self.cells(name), least=_HALF if is_time_name(name) else _MOST):
                found.append(name)
            if len(found) == _MOST_CANDIDATES:
                break
        return sorted(found, key=lambda name: (name in numbers, _rank_of_time(name)))

    def times_of_day(self) -> list[str]:
        """Columns of times of day, such as 13:00."""
        return self._where(pc.match_substring_regex(self._all, _TIME_OF_DAY).to_numpy(zero_copy_only=False), _MOST)

    def cells(self, name: str) -> pd.Series:
        """The sample of one column."""
        count = int(self._counts[self._sheet.columns.index(name)])
        return pd.Series(self._all.slice(int(self._ends[name]) - count, count).to_pylist(), dtype="str")

    def _where(self, chosen: np.ndarray, least: float) -> list[str]:
        """Columns of which at least this share of the sample is chosen."""
        ends = np.fromiter(self._ends.values(), dtype=np.int64)
        total = np.concatenate([[0], np.cumsum(chosen)])
        hits = total[ends] - total[ends - self._counts]
        enough = (self._counts > 0) & (hits >= least * self._counts)
        return [name for name, good in zip(self._ends, enough, strict=True) if good]


def _time_of_day(sheet: Sheet, samples: _Samples, config: DataConfig, time_column: str | None) -> str | None:
    """The column of times of day that tells apart rows of one date."""
    if time_column is None or samples.cells(time_column).str.contains(":").any():
        return None
    others = [name for name in samples.times_of_day() if name not in (config.id_column, config.value_column)]
    return others[0] if others and sheet.column(time_column).duplicated().any() else None


def stamp_cells(sheet: Sheet, time_column: str, time_of_day_column: str | None) -> pd.Series:
    """The cells of the timestamps: one column, or dates and times of day put together."""
    dates = sheet.column(time_column)
    return dates if time_of_day_column is None else dates + " " + sheet.column(time_of_day_column)


def unknown_name(name: str, known: Iterable[str], complaint: str) -> str:
    """`complaint 'name'; did you mean ...? Known: ...`, for an error text."""
    known = tuple(known)
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    listed = ", ".join(known[:20]) + (f" and {len(known) - 20:,} more" if len(known) > 20 else "")
    return f"{complaint} '{name}'; {hint}known: {listed}"


def _may_be_id(name: str, numbers: Collection[str]) -> bool:
    return name not in numbers or _named(name, _ID_NAMES) or name.lower().endswith("id")


def _id_candidates(sheet: Sheet, columns: list[str], stamps: pd.Series | None) -> tuple[list[str], bool]:
    """Columns that could name series, and whether they must, because timestamps repeat.

    They repeat themselves, and together with the timestamp they tell rows apart.
    """
    if not columns or stamps is None:
        return sorted(columns, key=lambda name: _rank(name, _ID_NAMES)), False
    rows, found = len(sheet), []
    moments, distinct = stamps.factorize()
    repeats = len(distinct) < rows
    for name in columns:
        if not repeats:
            if pc.count_distinct(sheet.texts[name]).as_py() < rows:
                found.append(name)
        else:
            series, known = sheet.column(name).factorize()
            if len(known) < rows and len(pd.unique(series * np.int64(rows) + moments)) == rows:
                found.append(name)
    return sorted(found, key=lambda name: _rank(name, _ID_NAMES)), repeats


def _implied_id(
    sheet: Sheet, config: DataConfig, time_column: str | None, candidates: list[str], *, repeats: bool
) -> str | None:
    """The ID column of a table that must be long: it was said to be, has the usual names, or repeats its timestamps."""
    if config.layout == "wide" or time_column is None:
        return None
    usual = {"unique_id", "ds", "y"} <= sheet.texts.keys()
    if usual:
        return "unique_id"
    if candidates and (config.layout == "long" or config.value_column or repeats):
        return candidates[0]
    return None


def _is_counter(sheet: Sheet) -> bool:
    """Whether a nameless first column only counts rows, as data frames are often saved with."""
    name = next(iter(sheet.texts))
    if name not in ("column 1", "Unnamed: 0", "index"):
        return False
    return bool((pd.to_numeric(sheet.column(name), errors="coerce").diff().iloc[1:] == 1).all())


def _by_number(series_id: str) -> tuple[bool, int, str, str]:
    """Store 2 before store 10, and words after numbers."""
    digits = series_id.lstrip("0") if series_id.isdecimal() else ""
    return not series_id.isdecimal(), len(digits), digits, series_id


def _rank_of_time(name: str) -> int:
    return _rank(name, _TIME_NAMES)


def is_time_name(name: str) -> bool:
    """Whether a column of timestamps is often called so."""
    return _named(name, _TIME_NAMES)


def _named(name: str, known: tuple[str, ...]) -> bool:
    return name.lower() in known


def _rank(name: str, known: tuple[str, ...]) -> int:
    return known.index(name.lower()) if _named(name, known) else len(known)
