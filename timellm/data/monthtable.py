"""Tables with a row for each year and a column for each month, as one column of months.

Inputs: a `Sheet`. Outputs: the same cells below each other, with a timestamp for each, or None where the table is no
such one. Cells before the first value and after the last one are left out: the current year is not over.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from timellm.data.month_names import in_english
from timellm.data.sheet import Sheet, is_missing

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ENGLISH = "january|february|march|april|may|june|july|august|september|october|november|december"
_YEARS = r"(?i)^(?:year|yr|jahr|ann[eé]e|a[nñ]o|anno|jaar|rok|year[s ]*/ *months?|column 1)$"
_MOST_LISTED = 5
_FIRST, _LAST = 1700, 2200


def months_below_each_other(sheet: Sheet) -> Sheet | None:
    """The sheet with columns "timestamp" and "value"; None if it has no column of years and twelve of months."""
    names = sheet.columns
    if not 13 <= len(names) <= 40 or not re.match(_YEARS, names[0]):
        return None
    months = {month: [name for name in names[1:] if _month(name) == month] for month in range(1, 13)}
    if any(len(found) != 1 for found in months.values()):
        return None
    years = pd.to_numeric(sheet.column(names[0]), errors="coerce").to_numpy(np.float64)
    inside = np.isfinite(years) & (years % 1 == 0) & (years >= _FIRST) & (years <= _LAST)
    if not inside.all() or len(np.unique(years)) < len(years):
        return None
    columns = [months[month][0] for month in range(1, 13)]
    order = np.argsort(years, kind="stable")
    cells = pc.take(pa.concat_arrays([sheet.texts[name] for name in columns]), pa.array(_places(order)))
    given = np.flatnonzero(~is_missing(cells).to_numpy(zero_copy_only=False))
    if not len(given):
        return None
    kept = slice(int(given[0]), int(given[-1]) + 1)
    stamps = [f"{int(years[row])}-{month:02d}-01" for row in order for month in range(1, 13)]
    left_out = [name for name in names[1:] if name not in columns]
    others = f" Left out: {', '.join(left_out[:_MOST_LISTED])}{' …' if len(left_out) > _MOST_LISTED else ''}."
    note = (
        f"A row is a year, and '{columns[0]}' to '{columns[-1]}' are its months: they are read as one column 'value'."
        + (others if left_out else "")
        + " To read them as twelve columns, set 'layout' to wide."
    )
    lines = np.repeat(sheet.lines[sheet.records][order], 12)[kept]
    texts = {"timestamp": pa.array(stamps, pa.large_string())[kept], "value": cells[kept]}
    return replace(sheet, texts=texts, records=np.arange(len(lines)), lines=lines, notes=(*sheet.notes, note))


def _places(order: np.ndarray) -> np.ndarray:
    """Where the cells of row after row stand among columns end to end."""
    return (order[:, None] + np.arange(12)[None, :] * len(order)).ravel()


def _month(name: str) -> int | None:
    """The number of a month; None if the name is no month's."""
    if re.fullmatch("0?[1-9]|1[0-2]", name):
        return int(name)
    english = str(in_english(pd.Series([name], dtype="str")).iloc[0]).lower().rstrip(".")
    if re.fullmatch(_ENGLISH, english) or english in _MONTHS or english == "sept":
        return _MONTHS.index(english[:3]) + 1
    return None
