"""Numbers from text: decimal commas where the file uses them, and an exact complaint where a cell is no number.

In: a column of text cells. Out: float64 values, NaN where the cell is missing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from timellm.data.sheet import missing
from timellm.errors import DataError

_COMMA_NUMBER = r"[+-]?(?:[0-9]+,[0-9]*|,[0-9]+)(?:[eE][+-]?[0-9]+)?"
_GROUPED = (
    r"[+-]?[0-9]{1,3}(?:[,' \u00a0\u202f][0-9]{3})+(?:\.[0-9]+)?"  # 1,234.5
    r"|[+-]?[0-9]{1,3}(?:[.' \u00a0\u202f][0-9]{3})+,[0-9]+"  # 1.234,5
    r"|[+-]?[0-9]{1,3}(?:\.[0-9]{3}){2,}"  # 1.234.567
)


def looks_like_numbers(cells: pd.Series) -> bool:
    """Whether at least half of these cells (a sample without missing ones) are numbers, of whatever national habit."""
    if cells.empty:
        return False
    plain = pd.to_numeric(cells, errors="coerce").notna()
    return bool((plain | cells.str.fullmatch(_COMMA_NUMBER) | cells.str.fullmatch(_GROUPED)).mean() >= 0.5)


def parse_numbers(cells: pd.Series, *, column: str, decimal_comma: bool, line: Callable[[int], int]) -> np.ndarray:
    """Numbers of a text column, float64 [rows], NaN where a cell is missing.

    Raises:
        DataError: a cell is text, infinite, or groups its thousands.
    """
    absent = missing(cells)
    given = cells.mask(absent)
    values = pd.to_numeric(given, errors="coerce")
    wrong = values.isna() & ~absent
    if decimal_comma and wrong.any():
        commas = cells.str.fullmatch(_COMMA_NUMBER)
        dotted = ~absent & cells.str.contains(".", regex=False)
        if commas.any() and dotted.any():
            record = dotted.idxmax()
            raise DataError(
                f"column '{column}' has decimal commas ('{cells.loc[commas.idxmax()]}', line {line(commas.idxmax())}) "
                f"and points ('{cells.loc[record]}', line {line(record)}); write all numbers one way, without "
                "separators of thousands"
            )
        values = values.mask(commas, pd.to_numeric(given.str.replace(",", ".", regex=False), errors="coerce"))
        wrong = values.isna() & ~absent
    if wrong.any():
        record = wrong.idxmax()
        raise DataError(
            f"column '{column}', line {line(record)}: '{cells.loc[record]}' {_complaint(cells.loc[record])}"
        )
    infinite = np.isinf(values)
    if infinite.any():
        record = infinite.idxmax()
        raise DataError(
            f"column '{column}', line {line(record)}: '{cells.loc[record]}' is not a finite number; "
            "replace it, or leave the cell empty if the value is missing"
        )
    return values.to_numpy(dtype="float64", na_value=np.nan)


def _complaint(cell: str) -> str:
    text = pd.Series([cell], dtype="str")
    if text.str.fullmatch(_GROUPED).item():
        return "groups its thousands or has a decimal comma; write it with digits and a decimal point only, like 1234.5"
    if text.str.fullmatch(_COMMA_NUMBER).item():
        return "has a decimal comma in a comma-separated file; write it with a decimal point, like 1.5"
    return "is not a number; replace it, or leave the cell empty if the value is missing"
