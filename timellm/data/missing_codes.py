"""Codes that stand for a missing value: -9999, ---, n.v.; asked for where they stand out, never guessed.

Inputs: the setting `missing_codes`, and a sheet or its values. Outputs: cells without the codes, or a question. The
setting holds the codes, parted by blanks; with `none` among them, nothing is asked any more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from timellm.errors import Choice, QuestionError

AUTO, NONE = "auto", "none"
_NUMBERS = (-9999.0, -999.0, -99.0, -99999.0, -9999.9, -999.9, -99.9, -7999.0, -8888.0, -888.0, -200.0, -1e30, 9999.0,
            99999.0, 999999.0, 999.9, 9999.9)  # fmt: skip
_FEWEST_TIMES, _FEWEST_OTHERS = 3, 10


def codes_of(setting: str) -> tuple[str, ...]:
    """The codes that a setting names."""
    return tuple(word for word in setting.split() if word not in (AUTO, NONE))


def without_codes(texts: Mapping[str, pa.Array], setting: str) -> dict[str, pa.Array]:
    """Columns of text in which cells that are a code are empty; -9999 also stands for -9999.0."""
    codes = codes_of(setting)
    if not codes:
        return dict(texts)
    found = pa.array(codes, pa.large_string())
    numbers = [code for code in codes if re.fullmatch(r"[+-]?[0-9.]+", code)]
    same = "|".join(rf"{re.escape(code)}(?:\.0*)?" for code in numbers)
    cleaned = {}
    for name, cells in texts.items():
        is_code = pc.is_in(cells, value_set=found)
        if same:
            is_code = pc.or_(is_code, pc.match_substring_regex(cells, f"^(?:{same})$"))
        cleaned[name] = pc.if_else(is_code, "", cells) if pc.any(is_code).as_py() else cells
    return cleaned


def ask_about_text(cell: str, times: int, *, where: str, setting: str) -> QuestionError | None:
    """The question whether a text among numbers stands for a missing value; None if it rather is a mistake."""
    if NONE in setting.split() or " " in cell or (times < _FEWEST_TIMES and re.search(r"[^\W_]", cell)):
        return None
    return _question(f"{where}: '{cell}' stands {times:,} times in a column of numbers", (cell,), setting)


def ask_about_numbers(values: pd.DataFrame, setting: str) -> QuestionError | None:
    """The question whether a usual code that lies far from all other values of its channel is a missing value."""
    if NONE in setting.split():
        return None
    found: dict[str, str] = {}
    lows, highs = (
        np.nanmin(values.to_numpy(), axis=0, initial=np.inf),
        np.nanmax(values.to_numpy(), axis=0, initial=-np.inf),
    )
    for position in np.flatnonzero(np.isin(lows, _NUMBERS) | np.isin(highs, _NUMBERS)):
        column = values.iloc[:, int(position)].to_numpy()
        for code in {float(lows[position]), float(highs[position])} & set(_NUMBERS):
            others = column[~np.isnan(column) & ~np.isin(column, _NUMBERS)]
            times = int((column == code).sum())
            if times < _FEWEST_TIMES or len(others) < _FEWEST_OTHERS:
                continue
            gap = max(others.min() - code, code - others.max())
            if gap > others.max() - others.min():
                found.setdefault(f"{code:g}", f"{code:g} stands {times:,} times in '{values.columns[int(position)]}'")
    if not found:
        return None
    return _question(f"{'; '.join(found.values())}, far from all other values", tuple(found), setting)


def _question(what: str, codes: Sequence[str], setting: str) -> QuestionError:
    known = codes_of(setting)
    shown = " and ".join(codes)
    return QuestionError(
        what,
        setting="missing_codes",
        choices=[
            Choice(" ".join([*known, *codes]), f"{shown}: the value is missing", "these cells stay empty"),
            Choice(" ".join([*known, NONE]), "it is a value", "nothing is changed"),
        ],
    )
