"""Timestamps from text: which format a column is written in, and what its offsets from UTC mean.

Inputs: a column of text cells. Outputs: naive `datetime64[us]` values (UTC where the file gave offsets) and notes on
what was decided. Formats compete on the whole column, so one 13th of the month settles day/month order for all rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import numpy as np
import pandas as pd

from timellm.data.month_names import STARTS
from timellm.data.offsets import OFFSET, apply_offsets, has_offset
from timellm.data.records import excerpt
from timellm.data.time_spellings import BEGINS, plain_spelling, sample_places
from timellm.data.timeline import fill_share
from timellm.errors import Choice, DataError, QuestionError

# In order of preference where a column can be read in several ways and nothing tells which.
_DATES = (
    *(f"%d{mark}%m{mark}{year}" for mark in "/.-" for year in ("%Y", "%y")),
    *(f"%m{mark}%d{mark}{year}" for mark in "/.-" for year in ("%Y", "%y")),
    *(
        "%Y.%m.%d",
        "%y-%m-%d",
        "%d. %b %Y",
        "%d. %B %Y",
        "%d %b %Y",
        "%d-%b-%Y",
        "%d-%b-%y",
        "%d %B %Y",
        "%b %d, %Y",
        "%B %d, %Y",
        "%b %d %Y",
    ),
)
_MONTHS = ("%m/%Y", "%m.%Y", "%Y/%m", "%b %Y", "%B %Y", "%b-%Y", "%b-%y", "%Y %b", "%Y-%b")
_TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
_FORMATS = (
    *(date + time for date in _DATES for time in _TIMES),
    *_MONTHS,
    "%Y%m%d:%H%M",
    "%Y%m%d %H:%M",
    "%Y%m%d %H%M",
)
_COMPACT = {4: "%Y", 6: "%Y%m", 8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_EPOCHS = {10: "s", 13: "ms", 16: "us", 19: "ns"}
_EPOCH_UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
# [0-9] throughout: Arrow's regular expressions know it, while \d sends pandas back to one Python call a cell.
# What Pandas reads as ISO 8601, without offset and sign of the year.
_ISO = (
    r"^[0-9]{4}(?:[-/]?[0-9]{1,2}(?:[-/]?[0-9]{1,2}"
    r"(?:(?:T|[ ]+)[0-9]{1,2}(?::?[0-9]{2}(?::?[0-9]{2}(?:[.,][0-9]+)?)?)?)?)?)?$"
)
# How every format here begins; what begins otherwise need not be tried.
PLAUSIBLE = (
    rf"(?i)^(?:[0-9]{{4}}|[0-9]{{1,2}}(?:[/.-][0-9]{{1,4}}|\.? ?[ -]?(?:{STARTS}))"
    rf"|(?:{STARTS})[^0-9 -]*[ -][0-9]|{BEGINS})"
)
_SERIAL = r"[2-7][0-9]{4}(?:\.[0-9]+)?"  # days since 1899-12-30, as spreadsheets count them: 1954 to 2119
_MOST_CELLS = 0.8
_LAST_YEAR = 9000


Order = Literal["day_first", "month_first", "year_first"]
_ORDERS: dict[Order, str] = {"day_first": "day first", "month_first": "month first", "year_first": "year first"}


@dataclass(frozen=True)
class Reading:
    """A column of text read one way: `values` is NaT where a cell does not fit."""

    values: pd.Series
    label: str  # how the cells are written, for a message
    notes: tuple[str, ...] = ()
    utc: bool = False
    """Whether the cells said so: they had offsets, or counted from a moment in UTC."""
    order: Order | None = None
    """The order of day, month and year that was taken, where every cell could be read in several."""


def looks_like_time(cells: pd.Series, *, least: float = 0.8) -> bool:
    """Whether at least this share of cells (a sample without missing ones) are timestamps written one way."""
    if cells.empty or cells.str.contains(PLAUSIBLE).mean() < least:
        return False
    cells = plain_spelling(cells)[0]
    return any(reading.values.notna().mean() >= least for reading in _readings(cells))


def parse_timestamps(
    cells: pd.Series, *, column: str, line: Callable[[int], int], order: Order | Literal["auto"] = "auto"
) -> Reading:
    """Read a timestamp column; every cell must be a timestamp.

    Args:
        cells: text, indexed by record.
        column: its name, for messages.
        line: from a record to its line in the file.
        order: the setting `date_order`.

    Raises:
        QuestionError: the order of day and month cannot be told.
        DataError: a cell is empty, is no timestamp, or lacks the UTC offset that others have.
    """
    empty = cells == ""
    if empty.any():
        raise DataError(
            f"column '{column}', line {line(empty.idxmax())}: the timestamp is missing; fill it in or remove the line"
        )
    written, (cells, later, notes) = cells, plain_spelling(cells)
    hopeful = {
        reading.label
        for reading in _readings(cells.iloc[sample_places(np.arange(len(cells)))])
        if reading.values.notna().any()
    }
    readings = list(_readings(cells, hopeful))
    best = max((int(reading.values.notna().sum()) for reading in readings), default=0)
    if not best:
        raise DataError(
            f"column '{column}', line {line(cells.index[0])}: '{excerpt(written.iloc[0])}' is not a timestamp; "
            "choose another timestamp column, or write dates as 2020-01-31 or 2020-01-31 13:00"
        )
    equals = [reading for reading in readings if reading.values.notna().sum() == best]
    chosen = equals[0] if len(equals) == 1 else _settle(equals, written, column, line, order)
    wrong = chosen.values.isna()
    if wrong.any():
        record = wrong.idxmax()
        raise DataError(
            f"column '{column}', line {line(record)}: '{excerpt(written.loc[record])}' is not a timestamp like the "
            f"others (such as '{written.loc[chosen.values.first_valid_index()]}'); correct it or remove the line"
        )
    if chosen.label == "ISO8601":
        chosen = replace(chosen, **apply_offsets(cells, chosen.values, column=column, line=line))
    _check_years(chosen.values, written, column, line)
    if "%y" in chosen.label:
        notes = (
            *notes,
            f"Years of two digits are read as 1969 to 2068: '{written.iloc[0]}' is in {chosen.values.iloc[0].year}.",
        )
    values = chosen.values if later is None else chosen.values + pd.to_timedelta(later.astype("int64"), unit="D")
    return Reading(values, chosen.label, (*notes, *chosen.notes), chosen.utc, chosen.order)


def _check_years(values: pd.Series, written: pd.Series, column: str, line: Callable[[int], int]) -> None:
    """Refuse years that no calendar has, and the last ones that it has: after them, there is nothing to forecast."""
    for record in (values.idxmin(), values.idxmax()):
        if not 1 <= values.loc[record].year <= _LAST_YEAR:
            raise DataError(
                f"column '{column}', line {line(record)}: '{excerpt(written.loc[record])}' is in the year "
                f"{values.loc[record].year}, and years from 1 to {_LAST_YEAR} can be read; correct it or remove the "
                "line"
            )


def _readings(cells: pd.Series, labels: set[str] | None = None) -> Iterator[Reading]:
    """Every way the cells might be read, the surest first; with `labels`, only those."""

    def wanted(label: str) -> bool:
        return labels is None or label in labels

    if cells.str.fullmatch(_SERIAL).mean() > _MOST_CELLS and wanted("serial"):
        days = pd.to_numeric(cells.where(cells.str.fullmatch(_SERIAL)), errors="coerce")
        stamps = (pd.Timestamp("1899-12-30") + pd.to_timedelta(days, unit="D")).dt.round("s").dt.as_unit("us")
        yield Reading(stamps, "serial", ("Timestamps are days since 1899-12-30, as spreadsheets count them.",))
        return
    if cells.str.fullmatch(r"[0-9]+").mean() > 0.5:
        yield from (reading for reading in _digits(cells) if wanted(reading.label))
        return
    if wanted("ISO8601"):
        # Asked first, because replacing is slow and most files have no offsets.
        bare = cells.str.replace(OFFSET, r"\1", regex=True) if has_offset(cells).any() else cells
        # Only these: Pandas also takes years below 0, and fails where a column has two offsets.
        iso = _to_datetime(bare.where(bare.str.contains(_ISO)), "ISO8601")
        yield Reading(iso, "ISO8601")
        if iso.notna().all():
            return
    if wanted("quarter"):
        parts = cells.str.extract(r"^(\d{4})[ /-]?Q([1-4])$")
        month = pd.to_numeric(parts[1]) * 3 - 2
        yield Reading(
            _to_datetime(parts[0] + "-" + month.astype("Int64").astype("str").str.zfill(2), "%Y-%m"), "quarter"
        )
    if wanted("week"):
        week = cells.str.replace(r"^(\d{4})-?W(\d{2})$", r"\1-W\2-1", regex=True)
        yield Reading(_to_datetime(week, "%G-W%V-%u"), "week")
    for form in _FORMATS if labels else _formats_of(cells):
        if wanted(form):
            yield Reading(_to_datetime(cells, form), form)


def _formats_of(cells: pd.Series) -> list[str]:
    """The formats that a cell could be written in, by its digits, letters and marks; in the order of preference."""
    shapes = cells.str.replace("[0-9]", "0", regex=True)
    found = {form for cell in cells[~shapes.duplicated()] for form in _FORMATS if _pattern(form).fullmatch(cell)}
    return [form for form in _FORMATS if form in found]


@cache
def _pattern(form: str) -> re.Pattern[str]:
    parts = dict.fromkeys("dmHIMS", "[0-9]{1,2}") | {"Y": "[0-9]{4}", "y": "[0-9]{2}", "f": "[0-9]{1,9}"}
    parts |= {"b": "[A-Za-z]{3}", "B": "[A-Za-z]+", "p": "[AaPp][Mm]"}
    literal = re.escape(form).replace(r"\ ", r"\s+")
    return re.compile(re.sub("%([a-zA-Z])", lambda found: parts[found.group(1)], literal))


def _digits(cells: pd.Series) -> Iterator[Reading]:
    """Readings of cells that are all digits; their number decides: 20200131, or seconds since 1970."""
    length = int(cells.str.len().mode().iloc[0])
    same = cells.where(cells.str.len() == length)
    compact = _to_datetime(same, _COMPACT[length]) if length in _COMPACT else None
    if compact is not None and compact.dt.year.between(1700, 2200).mean() > 0.8:
        yield Reading(compact, _COMPACT[length])
    elif length in _EPOCHS:
        unit = _EPOCHS[length]
        values = pd.to_datetime(pd.to_numeric(same, errors="coerce"), unit=unit, errors="coerce").dt.as_unit("us")
        note = f"Timestamps are read as {_EPOCH_UNITS[unit]} since 1970-01-01; times are UTC."
        yield Reading(values, "epoch", (note,), utc=True)


def _to_datetime(cells: pd.Series, form: str) -> pd.Series:
    return pd.to_datetime(cells, format=form, errors="coerce").dt.as_unit("us")


def _settle(
    readings: list[Reading], written: pd.Series, column: str, line: Callable[[int], int], order: Order | Literal["auto"]
) -> Reading:
    """Of several complete readings, the one under which the rows lie on the fullest regular grid, or the one asked for.

    Raises:
        QuestionError: several do, and none was asked for.
    """
    if order != "auto":  # before regularity, which is evidence and no proof
        asked = next((reading for reading in readings if _order(reading.label) == order), readings[0])
        return replace(asked, order=_order(asked.label))
    shares = [fill_share(reading.values) for reading in readings]
    best = max(shares)
    close = [reading for reading, share in zip(readings, shares, strict=True) if share >= 0.8 * best]
    chosen = close[0]
    ordered: dict[Order, Reading] = {}
    for reading in close:
        ordered.setdefault(_order(reading.label), reading)
    # Only where a cell can be read in two ways: half of a column may be written in another one.
    apart_in = [
        (chosen.values != other.values) & chosen.values.notna() & other.values.notna() for other in ordered.values()
    ]
    different = [cells for cells in apart_in if cells.any()]
    if different:
        apart = int(different[0].idxmax())
        cell = excerpt(written.loc[apart])
        dates = {
            one: f"{reading.values.loc[apart]:%-d %B %Y}"
            for one, reading in ordered.items()
            if not pd.isna(reading.values.loc[apart])
        }
        raise QuestionError(
            f"column '{column}', line {line(apart)}: '{cell}' can be read as {' or as '.join(dates.values())}",
            setting="date_order",
            choices=[Choice(one, _ORDERS[one], f"{cell} is {date}") for one, date in dates.items()],
        )
    several = any(not reading.values.equals(chosen.values) for reading in readings)
    return replace(chosen, order=_order(chosen.label) if several else None)


def _order(form: str) -> Order:
    places = {kind: form.find(mark) for kind, mark in (("day", "%d"), ("month", "%m"))}
    if form[:2] in ("%y", "%Y") or "%" not in form:  # the latter is ISO 8601
        return "year_first"
    return "day_first" if places["day"] < places["month"] else "month_first"
