"""Timestamps that are spread over columns: year, month, day, hour, minute; or a date and an hour.

Inputs: a `Sheet`. Outputs: the same sheet with one column of timestamps in place of those columns, and a note. Columns
are known by their names, in the common languages, and by the range of their values; a setting that names one of them
as a timestamp, series ID or value leaves all as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa

from timellm.config import DataConfig
from timellm.data.monthtable import months_below_each_other
from timellm.data.sheet import Sheet

_NAMES: Mapping[str, str] = {
    "year": r"year|yr|yyyy|jahr|annee|ano|anno|jaar|rok",
    "month": r"month|mon|mo|mm|monat|mois|mes|mese|maand|miesiac",
    "day": r"day|dd|dy|tag|jour|dia|giorno|dag|dzien|dayofmonth|monthday",
    "day_of_year": r"doy|jday|julianday|dayofyear|yday",
    "hour": r"hour|hr|hh|stunde|heure|hora|ora|uur|godzina|hourending",
    "minute": r"minute|min|mi|mn|minuten|minuto",
    "second": r"second|sec|ss|sekunde|seconde|segundo|secondo",
    "clock": r"mst|pst|est|cst|utc|gmt|lst|hhmm|hrmn|timehhmm",
}
_RANGES = {
    "year": (1700, 2200), "month": (1, 12), "day": (1, 31), "day_of_year": (1, 366), "hour": (0, 24),
    "minute": (0, 59), "second": (0, 60), "clock": (0, 2400),
}  # fmt: skip
_GROUPS = (
    ("year", "month", "day", "hour", "minute", "second"),
    ("year", "month", "day", "hour", "minute"),
    ("year", "month", "day", "clock"),
    ("year", "month", "day", "hour"),
    ("year", "month", "day"),
    ("year", "day_of_year", "clock"),
    ("year", "day_of_year", "hour", "minute"),
    ("year", "day_of_year", "hour"),
    ("year", "day_of_year"),
    ("year", "month"),
)
_DATE = (
    r"^[0-9]{4}[0-9]{2}[0-9]{2}$|^[0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2}$|^[0-9]{1,2}[-/.][0-9]{1,2}[-/.][0-9]{2,4}$"
)
_SAMPLE = 300
_MOST_UNNAMED = 7


def compose_timestamps(sheet: Sheet, config: DataConfig) -> Sheet:
    """The sheet with its columns of parts put together, or its months; unchanged where there are none."""
    if config.layout == "auto" and not config.time_column and (monthly := months_below_each_other(sheet)) is not None:
        return monthly
    named = {config.time_column, config.time_of_day_column, config.id_column, config.value_column} - {None}
    if not sheet.has_header and (parts := _unnamed_parts(sheet, named)) is not None:
        return _with_stamps(sheet, parts)
    found = _columns_of_parts(sheet, named)
    for group in _GROUPS:
        if all(part in found for part in group):
            return _with_stamps(sheet, {part: found[part] for part in group})
    return _with_hours(sheet, found, named)


def _columns_of_parts(sheet: Sheet, named: set[str | None]) -> dict[str, str]:
    found: dict[str, str] = {}
    for column in sheet.columns:
        bare = re.sub(r"[^a-z]", "", _without_accents(column.lower()))
        for part, pattern in _NAMES.items():
            if part not in found and column not in named and re.fullmatch(pattern, bare):
                values = _whole_numbers(sheet, column)
                low, high = _RANGES[part]
                if values is not None and low <= values.min() and values.max() <= high:
                    found[part] = column
                break
    return found


def _unnamed_parts(sheet: Sheet, named: set[str | None]) -> dict[str, str] | None:
    """Columns at the left that are year, month, day, hour ... in this order, as many as tell the rows apart.

    A day of the year may stand behind the year.
    """
    columns = sheet.columns[:_MOST_UNNAMED]
    if len(columns) < 3 or not named.isdisjoint(columns):
        return None
    values = {column: _whole_numbers(sheet, column) for column in columns}
    # With the day of the year first: that it agrees with month and day is no chance, and 1 January fits all of them.
    for names in (("year", "day_of_year", "month", "day"), ("year", "month", "day"), ("year", "day_of_year")):
        parts: dict[str, str] = {}
        for part, column in zip((*names, "hour", "minute", "second"), columns, strict=False):
            found, (low, high) = values[column], _RANGES[part]
            if found is None or found.min() < low or found.max() > high:
                break
            parts[part] = column
            if part == "year" or (part in names[:-1] and len(names) == 4):
                continue
            stamps = _stamps(sheet, parts)
            if stamps is None:
                break
            if not stamps.duplicated().any():
                return parts
    return None


def _whole_numbers(sheet: Sheet, column: str) -> np.ndarray | None:
    """The numbers of a column; None if a cell is none, or has a fraction."""
    values = pd.to_numeric(sheet.column(column), errors="coerce").to_numpy(np.float64)
    if not len(values) or not np.isfinite(values).all() or (values % 1 != 0).any():
        return None
    return values


def _with_stamps(sheet: Sheet, parts: Mapping[str, str]) -> Sheet:
    stamps = _stamps(sheet, parts)
    return sheet if stamps is None else _replaced(sheet, tuple(parts.values()), stamps)


def _stamps(sheet: Sheet, parts: Mapping[str, str]) -> pd.Series | None:
    """The timestamps of parts; None if they are no dates, such as 31 April: then the columns are something else."""
    values = {part: pd.to_numeric(sheet.column(column)).astype("int64") for part, column in parts.items()}
    if "day_of_year" in values and "month" not in values:
        stamps = pd.to_datetime(values["year"].astype(str), format="%Y")
        stamps += pd.to_timedelta(values["day_of_year"] - 1, unit="D")
    else:
        frame = {part: values.get(part, 1) for part in ("year", "month", "day")}
        stamps = pd.to_datetime(pd.DataFrame(frame), errors="coerce")
        if stamps.isna().any() or ("day_of_year" in values and (stamps.dt.day_of_year != values["day_of_year"]).any()):
            return None
    clock = values.get("clock", pd.Series(0, stamps.index))
    hours = values.get("hour", clock // 100)
    minutes = values.get("minute", clock % 100)
    stamps += pd.to_timedelta(hours * 60 + minutes, unit="min")
    stamps += pd.to_timedelta(values.get("second", pd.Series(0, stamps.index)), unit="s")
    return stamps


def _with_hours(sheet: Sheet, found: Mapping[str, str], named: set[str | None]) -> Sheet:
    """A date column that repeats, and the column of hours beside it."""
    part = next((part for part in ("hour", "clock") if part in found), None)
    if part is None:
        return sheet
    for column in sheet.columns:
        cells = sheet.column(column)
        sample = cells.iloc[:: max(1, len(cells) // _SAMPLE)]
        if column in named or column == found[part] or not sample.str.contains(_DATE).all():
            continue
        if not cells.duplicated().any():
            continue
        form = "%Y%m%d" if sample.str.fullmatch("[0-9]{8}").all() else "%Y-%m-%d"
        dates = pd.to_datetime(cells.str.replace(r"[/.]", "-", regex=True), format=form, errors="coerce")
        if dates.isna().any():
            continue
        values = pd.to_numeric(sheet.column(found[part])).astype("int64")
        minutes = values * 60 if part == "hour" else values // 100 * 60 + values % 100
        return _replaced(sheet, (column, found[part]), dates + pd.to_timedelta(minutes, unit="min"))
    return sheet


def _replaced(sheet: Sheet, columns: Sequence[str], stamps: pd.Series) -> Sheet:
    """The sheet with one column of timestamps in the place of the first of these columns."""
    name, listed = "timestamp", ", ".join(f"'{column}'" for column in columns)
    while name in sheet.texts:
        name += " (put together)"
    text = pa.array(stamps.dt.strftime("%Y-%m-%d %H:%M:%S").to_numpy(object), pa.large_string())
    texts = {}
    for column, cells in sheet.texts.items():
        if column == columns[0]:
            texts[name] = text
        if column not in columns:
            texts[column] = cells
    note = f"Timestamps are put together from the columns {listed}, such as {stamps.iloc[0]:%Y-%m-%d %H:%M}."
    return replace(sheet, texts=texts, notes=(*sheet.notes, note))


def _without_accents(text: str) -> str:
    return text.translate(str.maketrans("áàâäãéèêëíìîïóòôöõúùûüñçřś", "aaaaaeeeeiiiiooooouuuuncrs"))
