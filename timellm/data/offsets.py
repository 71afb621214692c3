"""Offsets from UTC behind timestamps: +01:00, Z, GMT.

Inputs: cells of text, and the local times that they say. Outputs: times in UTC, or dates, with a note.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from timellm.errors import DataError

_SIGN = r"Z|z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?"
_CLOCK = r"[T ][0-9]{2}(?:[0-9]{2}){0,2}(?:[.,][0-9]+)?|:[0-9:.,]+"  # 20200131T130000 or 13:00:00
OFFSET = rf"({_CLOCK})[ ]*({_SIGN})$"
"""Behind a time of day: the time and its offset."""
_HAS_OFFSET = rf"(?:{_CLOCK})[ ]*(?:{_SIGN})$"
_MOST_MINUTES = 14 * 60  # Line Islands; to the west, it is 12 hours


def has_offset(cells: pd.Series) -> pd.Series:
    """Which cells end in an offset from UTC."""
    return cells.str.contains(_HAS_OFFSET)


def apply_offsets(cells: pd.Series, wall: pd.Series, *, column: str, line: Callable[[int], int]) -> dict[str, Any]:
    """Local times `wall` in UTC, or as plain dates where every row is a local midnight: fields of a `Reading`.

    Raises:
        DataError: some cells have an offset and others have none, or no place has it.
    """
    without = ~has_offset(cells)
    if without.all():
        return {}
    parts = cells.str.extract(OFFSET)[1]
    if without.any():
        raise DataError(
            f"column '{column}', line {line(without.idxmax())}: '{cells.loc[without.idxmax()]}' has no UTC offset, but "
            f"other timestamps have one (such as '{cells.loc[parts.first_valid_index()]}'); write all of them one way"
        )
    offsets = parts.replace({"Z": "+00:00", "z": "+00:00", "UTC": "+00:00", "GMT": "+00:00"})
    minutes = offsets.map({offset: _minutes(offset) for offset in offsets.unique()})
    wrong = ~(minutes.abs() <= _MOST_MINUTES)
    if wrong.any():
        record = wrong.idxmax()
        raise DataError(
            f"column '{column}', line {line(record)}: '{cells.loc[record]}' has the UTC offset {parts.loc[record]}, "
            "which no place has; correct it (offsets go from -12:00 to +14:00)"
        )
    kinds = sorted(offsets.unique())
    if (minutes == 0).all():
        return {"notes": (f"Timestamps in column '{column}' are UTC.",), "utc": True}
    shown = ", ".join(kinds[:2])
    if (wall == wall.dt.normalize()).all():
        # Days as their owner counts them; in UTC they would shift by an hour at every change of the clocks.
        note = f"Timestamps in column '{column}' are all local midnights (offset {shown}); they are read as dates."
        return {"notes": (note,)}
    note = f"Timestamps in column '{column}' carry UTC offsets ({shown}); they are converted to UTC."
    return {"values": wall - pd.to_timedelta(minutes, unit="min"), "notes": (note,), "utc": True}


def _minutes(offset: str) -> float:
    """Minutes east of UTC; NaN if the minutes are more than an hour."""
    hours, minutes = int(offset[1:3]), int(offset[3:].strip(":") or 0)
    return (-1 if offset[0] == "-" else 1) * (hours * 60 + minutes) if minutes < 60 else np.nan
