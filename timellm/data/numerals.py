"""The spelling of numbers: with a decimal point or a decimal comma, thousands separated or not.

Inputs: cells of text. Outputs: which of them are numbers, and their values as float64.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Sign = Literal["point", "comma"]
MARKS: dict[Sign, str] = {"point": ".", "comma": ","}
SPACES = "' \u2019\u00a0\u2009\u202f"  # separate thousands in either habit
_INFINITE = ("inf", "+inf", "-inf", "infinity", "+infinity", "-infinity")


def _grammar(decimal: str, thousands: str) -> str:
    groups = "|".join(rf"(?:{mark}[0-9]{{3}})+" for mark in (rf"\{thousands}", *SPACES))
    grouped = rf"[1-9][0-9]{{0,2}}(?:{groups})(?:\{decimal}[0-9]*)?"
    bare = rf"(?:[0-9]+(?:\{decimal}[0-9]*)?|\{decimal}[0-9]+)(?:[eE][+-]?[0-9]+)?"
    return rf"^[+-]?(?:{grouped}|{bare})$"


GRAMMAR: dict[Sign, str] = {"point": _grammar(".", ","), "comma": _grammar(",", ".")}


def look_like_numbers(cells: pa.Array) -> np.ndarray:
    """Which of these cells are numbers, of whatever national habit."""
    found = pc.or_(*(pc.match_substring_regex(cells, GRAMMAR[sign]) for sign in GRAMMAR))
    infinite = pc.is_in(pc.utf8_lower(cells), value_set=pa.array(_INFINITE, pa.large_string()))
    return pc.or_(found, infinite).to_numpy(zero_copy_only=False)


def is_infinite(cell: str) -> bool:
    """Whether a cell spells an infinite number."""
    return cell.lower() in _INFINITE


def cast_numbers(cells: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """Plain numbers as float64 [rows], NaN where a cell is null.

    Raises:
        ArrowInvalid: a cell is no plain number.
    """
    return np.array(pc.cast(cells, pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def plain_numbers(cells: pa.ChunkedArray | pa.Array, sign: Sign) -> pa.ChunkedArray | pa.Array:
    """Digits and a decimal point only, of cells that follow the grammar."""
    thousands = "," if sign == "point" else r"\."
    bare = pc.replace_substring_regex(cells, f"^\\+|{thousands}|[{SPACES}]", "")
    return bare if sign == "point" else pc.replace_substring(bare, ",", ".")
