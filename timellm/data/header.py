"""Whether the first line of a file names its columns, and what they are called.

Inputs: the cells of the first line. Outputs: column names, or a question where the line looks like data.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pyarrow as pa

from timellm.data.numerals import look_like_numbers
from timellm.data.records import excerpt
from timellm.data.timestamps import PLAUSIBLE, looks_like_time
from timellm.errors import Choice, DataError, QuestionError


def check_header(first: Sequence[str], time_candidates: Sequence[str], *, name: str, line: int) -> None:
    """Ask whether the first line is a header where it looks like the data below it.

    It does where a column of timestamps is named like a timestamp, or where no column holds timestamps and all names
    are numbers. Numbers beside a name such as "date" are names.

    Raises:
        QuestionError: it looks like data.
    """
    if any(map(_is_timestamp, time_candidates)) or (not time_candidates and _all_numbers(first)):
        raise _question(first, name, line)


def column_names(first: Sequence[str], *, name: str, line: int, setting: str) -> list[str]:
    """Names for all columns, each once; `setting` is the setting `header`.

    Raises:
        DataError: a name stands twice.
        QuestionError: a name stands twice because the line is data.
    """
    if setting == "no":
        return [f"column {position}" for position in range(1, len(first) + 1)]
    names = [text or f"column {position}" for position, text in enumerate(first, start=1)]
    places: dict[str, int] = {}
    for position, text in enumerate(names, start=1):
        if text in places:
            if setting == "auto" and (any(map(_is_timestamp, first)) or _all_numbers(first)):
                raise _question(first, name, line)
            raise DataError(
                f"{name}, line {line}: the column name '{text}' stands twice (columns {places[text]} and {position}); "
                "give every column its own name"
            )
        places[text] = position
    return names


def _is_timestamp(cell: str) -> bool:
    """Whether one cell is a timestamp; 2020 alone is more likely a name."""
    cells = pd.Series([cell], dtype="str")
    return len(cell) > 4 and bool(cells.str.contains(PLAUSIBLE).item()) and looks_like_time(cells)


def _question(first: Sequence[str], name: str, line: int) -> QuestionError:
    """The question whether a first line is data."""
    shown = excerpt(", ".join(f"'{cell}'" for cell in first[:5]))
    numbered = "column 1, column 2 …" if len(first) > 2 else "column 1, column 2"
    return QuestionError(
        f"{name}, line {line}: the first line ({shown}) looks like data, not like names of columns",
        setting="header",
        choices=[
            Choice("no", "the first line is data", f"the columns are called {numbered}"),
            Choice("yes", "the first line names the columns", f"they are called {shown}"),
        ],
    )


def _all_numbers(names: Sequence[str]) -> bool:
    given = [name for name in names if name]
    return len(given) > 1 and bool(look_like_numbers(pa.array(given, pa.large_string())).all())
