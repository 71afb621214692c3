"""CSV that people open in a spreadsheet.

Inputs: frames and rows, in which names may be a stranger's. Outputs: CSV text. A spreadsheet takes text
that begins with = + - or @ for a formula. Such text, unless it is a number, gets an apostrophe in front, which keeps it
text there.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d+)*|\.\d+)([eE][+-]?\d+)?")


def safe_cell(value: Any) -> Any:
    """The value, or the text behind an apostrophe if a spreadsheet would calculate it; numbers stay as they are."""
    if isinstance(value, str) and value.startswith(_FORMULA) and _NUMBER.fullmatch(value) is None:
        return "'" + value
    return value


def to_csv(frame: pd.DataFrame, *, index: bool = False, decimal: str = ".") -> str:
    """A frame as CSV text; its texts and the names of its columns are safe to open in a spreadsheet.

    With a decimal comma, columns are separated by semicolons.
    """
    safe = frame.rename(columns=safe_cell)
    for number, kind in enumerate(safe.dtypes):
        if pd.api.types.is_string_dtype(kind) or kind.kind == "O" or isinstance(kind, pd.CategoricalDtype):
            column = safe.iloc[:, number].astype(object)
            known = {value: safe_cell(value) for value in column.unique()}  # few names stand in very many rows
            safe.isetitem(number, column.map(known))
    return safe.to_csv(index=index, decimal=decimal, sep=";" if decimal == "," else ",")


def to_local_csv(frame: pd.DataFrame) -> bytes:
    """CSV as spreadsheets of countries with a decimal comma open it: semicolons, and a byte-order mark for UTF-8."""
    return to_csv(frame, decimal=",").encode("utf-8-sig")


def write_csv(frame: pd.DataFrame, path: Path, *, index: bool = False) -> None:
    """Write a frame as `to_csv` gives it.

    Raises:
        OSError: the file cannot be written.
    """
    path.write_text(to_csv(frame, index=index), encoding="utf-8", newline="")
