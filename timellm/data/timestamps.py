"""Timestamps from text: which format a column is written in, and what its offsets from UTC mean.

In: a column of text cells. Out: naive `datetime64[us]` values (UTC where the file gave offsets) and notes on what was
decided. Formats compete on the whole column, so one 13th of the month settles day/month order for all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from timellm.data.timeline import fill_share
from timellm.errors import DataError

# In order of preference where a column can be read in several ways and nothing tells which.
_DATES = (
    *(f"%d{mark}%m{mark}{year}" for mark in "/.-" for year in ("%Y", "%y")),
    *(f"%m{mark}%d{mark}{year}" for mark in "/.-" for year in ("%Y", "%y")),
    *("%Y.%m.%d", "%y-%m-%d", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y"),
)
_MONTHS = ("%m/%Y", "%m.%Y", "%Y/%m", "%b %Y", "%B %Y", "%b-%Y", "%b-%y", "%Y %b", "%Y-%b")
_TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
_FORMATS = tuple(date + time for date in _DATES for time in _TIMES) + _MONTHS
_COMPACT = {4: "%Y", 6: "%Y%m", 8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_EPOCHS = {10: "s", 13: "ms", 16: "us", 19: "ns"}
_EPOCH_UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
# [0-9] throughout: Arrow's regular expressions know it, while \d sends pandas back to one Python call a cell.
_SIGN = r"Z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?"
_OFFSET = rf"(:[0-9:.,]+)[ ]*({_SIGN})$"
_HAS_OFFSET = rf":[0-9:.,]+[ ]*(?:{_SIGN})$"
_SAMPLE = 300


@dataclass(frozen=True)
class Reading:
    """A column of text read one way: `values` is NaT where a cell does not fit."""

    values: pd.Series
    label: str  # how the cells are written, for a message
    notes: tuple[str, ...] = ()


def sample_cells(cells: pd.Series) -> pd.Series:
    """At most 300 cells, evenly spaced over the column."""
    return cells.iloc[np.unique(np.linspace(0, len(cells) - 1, _SAMPLE).astype(int))] if len(cells) > _SAMPLE else cells


def looks_like_time(cells: pd.Series) -> bool:
    """Whether most of these cells (a sample without missing ones) are timestamps written one way."""
    if cells.empty or cells.str.contains(r"[0-9]").mean() < 0.8:
        return False
    return any(reading.values.notna().mean() >= 0.8 for reading in _readings(cells))


def parse_timestamps(cells: pd.Series, *, column: str, line: Callable[[int], int]) -> Reading:
    """Read a timestamp column; every cell must be a timestamp.

    Args:
        cells: text, indexed by record.
        column: its name, for messages.
        line: from a record to its line in the file.

    Raises:
        DataError: a cell is empty, is no timestamp, or lacks the UTC offset that others have.
    """
    empty = cells == ""
    if empty.any():
        raise DataError(
            f"column '{column}', line {line(empty.idxmax())}: the timestamp is missing; fill it in or remove the line"
        )
    hopeful = {reading.label for reading in _readings(sample_cells(cells)) if reading.values.notna().any()}
    readings = list(_readings(cells, hopeful))
    best = max((int(reading.values.notna().sum()) for reading in readings), default=0)
    if not best:
        raise DataError(
            f"column '{column}', line {line(cells.index[0])}: '{cells.iloc[0]}' is not a timestamp; "
            "choose another timestamp column, or write dates as 2020-01-31 or 2020-01-31 13:00"
        )
    equals = [reading for reading in readings if reading.values.notna().sum() == best]
    chosen = equals[0] if len(equals) == 1 else _settle(equals, cells, column)
    wrong = chosen.values.isna()
    if wrong.any():
        record = wrong.idxmax()
        raise DataError(
            f"column '{column}', line {line(record)}: '{cells.loc[record]}' is not a timestamp like the others "
            f"(such as '{cells.loc[chosen.values.first_valid_index()]}'); correct it or remove the line"
        )
    if chosen.label != "ISO8601":
        return chosen
    return _apply_offsets(cells, chosen, column, line)


def _readings(cells: pd.Series, labels: set[str] | None = None) -> Iterator[Reading]:
    """Every way the cells might be read, the surest first; with `labels`, only those."""

    def wanted(label: str) -> bool:
        return labels is None or label in labels

    if cells.str.fullmatch(r"[0-9]+").mean() > 0.5:
        yield from (reading for reading in _digits(cells) if wanted(reading.label))
        return
    if wanted("ISO8601"):
        # Asked first, because replacing is slow and most files have no offsets.
        bare = cells.str.replace(_OFFSET, r"\1", regex=True) if _has_offset(cells).any() else cells
        iso = _to_datetime(bare, "ISO8601")
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
    for form in _FORMATS:
        if wanted(form):
            yield Reading(_to_datetime(cells, form), form)


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
        yield Reading(values, "epoch", (note,))


def _has_offset(cells: pd.Series) -> pd.Series:
    return cells.str.contains(_HAS_OFFSET)


def _to_datetime(cells: pd.Series, form: str) -> pd.Series:
    return pd.to_datetime(cells, format=form, errors="coerce").dt.as_unit("us")


def _settle(readings: list[Reading], cells: pd.Series, column: str) -> Reading:
    """Of several complete readings, the one under which the rows lie on the fullest regular grid."""
    shares = [fill_share(reading.values) for reading in readings]
    best = max(shares)
    close = [reading for reading, share in zip(readings, shares, strict=True) if share > 0.8 * best]
    chosen = close[0]
    different = [reading for reading in close[1:] if not reading.values.equals(chosen.values)]
    if not different:
        return chosen
    apart = (chosen.values != different[0].values).idxmax()
    note = (
        f"The order of day and month in column '{column}' cannot be told from the data: '{cells.loc[apart]}' is read "
        f"as {chosen.values.loc[apart]:%-d %B %Y}. If that is wrong, write dates as 2020-01-31."
    )
    return Reading(chosen.values, chosen.label, (*chosen.notes, note))


def _apply_offsets(cells: pd.Series, reading: Reading, column: str, line: Callable[[int], int]) -> Reading:
    """Turn local times with UTC offsets into UTC, or into plain dates where every row is a local midnight."""
    without = ~_has_offset(cells)
    if without.all():
        return reading
    parts = cells.str.extract(_OFFSET)[1]
    if without.any():
        raise DataError(
            f"column '{column}', line {line(without.idxmax())}: '{cells.loc[without.idxmax()]}' has no UTC offset, but "
            f"other timestamps have one (such as '{cells.loc[parts.first_valid_index()]}'); write all of them one way"
        )
    offsets = parts.replace({"Z": "+00:00", "UTC": "+00:00", "GMT": "+00:00"})
    kinds = sorted(offsets.unique())
    if set(kinds) <= {"+00:00", "+0000", "+00"}:
        return Reading(reading.values, reading.label, (f"Timestamps in column '{column}' are UTC.",))
    shown = ", ".join(kinds[:2])
    wall = reading.values
    if (wall == wall.dt.normalize()).all():
        # Days as their owner counts them; in UTC they would shift by an hour at every change of the clocks.
        note = f"Timestamps in column '{column}' are all local midnights (offset {shown}); they are read as dates."
        return Reading(wall, reading.label, (note,))
    sign = offsets.str[0].map({"+": 1, "-": -1}).astype("int64")
    minutes = offsets.str[1:3].astype("int64") * 60 + offsets.str[3:].str.strip(":").replace("", "0").astype("int64")
    note = f"Timestamps in column '{column}' carry UTC offsets ({shown}); they are converted to UTC."
    return Reading(wall - pd.to_timedelta(sign * minutes, unit="min"), reading.label, (note,))
