"""Lines with a cell too many or too few: left out, padded or joined, with a note that names them.

Inputs: the records of a table, and the setting `ragged`. Outputs: records without odd lines, and notes. Nothing says
which cell of such a line is missing or should not be there, so by default it is left out, and where there are many of
them the user is asked.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import pyarrow as pa

from timellm.data.numerals import look_like_numbers
from timellm.data.records import OddLine, Records, excerpt
from timellm.errors import Choice, DataError, QuestionError

Ragged = Literal["auto", "leave_out", "pad", "join"]
_FEW_LINES, _MOST_SHARE, _FEW_SHARE = 5, 0.1, 0.01
"""Without a question, five odd lines are left out if they are no more than a tenth of the rows, or 1 % of the rows."""
_NAMED = 3
_SAMPLE = 200


def settle_odd_lines(records: Records, delimiter: str, *, name: str, ragged: Ragged) -> tuple[Records, tuple[str, ...]]:
    """Records in which every line has as many cells as the first, and what was done, in sentences.

    Lines below all others that begin unlike them are a footer: they are left out whatever the setting says.

    Raises:
        DataError: no line is as wide as the first, which is empty.
        QuestionError: `ragged` is auto, and many lines are odd.
    """
    if not records.odd:
        return records, ()
    width, rows = len(records.columns), len(records.lines)
    if not rows:
        raise DataError(
            f"{name}: the first line of the table has {width} empty cells, and no line below has as many "
            f"({_shown(records.odd)}); give every column a name, and every row one cell a column"
        )
    begins_with_digit = _begins_with_digit(records.columns[0][rows - 1].as_py())
    footer = [one for one in records.odd if one.place == rows and _begins_with_digit(one.text) != begins_with_digit]
    inside = [line for line in records.odd if line not in footer]
    notes = [f"{_where(footer)} below the table and {_is(footer)} left out ({_shown(footer)})."] if footer else []
    records = replace(records, odd=())
    empty = [line for line in inside if line.cells > width and not any(_cells(line.text, delimiter)[width:])]
    if empty:
        verb = "have" if len(empty) > 1 else "has"
        notes.append(f"{_where(empty, verb=verb)} empty cells at the end, which are cut off ({_shown(empty)}).")
        inside = [line for line in inside if line not in empty]
    if ragged == "auto" and len(inside) > _few(rows + len(inside)):
        raise _question(inside, width, name)
    short = [line for line in inside if line.cells < width]
    long = [line for line in inside if line.cells > width]
    left_out = [*(short if ragged in ("auto", "leave_out") else []), *(long if ragged != "join" else [])]
    mended = [line for line in inside if line not in left_out]
    if left_out:
        notes.append(
            f"{_where(left_out, verb='have' if len(left_out) > 1 else 'has')} another number of cells than the {width}"
            f" of the first line, and {_is(left_out)} left out ({_shown(left_out)}). Setting 'ragged' can keep them."
        )
    if mended:
        done = "filled up with empty cells" if not long or ragged == "pad" else "filled up or joined to fit"
        notes.append(f"{_where(mended, verb='were' if len(mended) > 1 else 'was')} {done} ({_shown(mended)}).")
    if mended or empty:
        records = _with(records, sorted([*mended, *empty], key=lambda line: line.line), delimiter)
    return records, tuple(notes)


def _few(rows: int) -> float:
    return max(min(_FEW_LINES, _MOST_SHARE * rows), _FEW_SHARE * rows)


def _begins_with_digit(text: str) -> bool:
    return text.lstrip(' "')[:1].isdigit()


def _with(records: Records, lines: Sequence[OddLine], delimiter: str) -> Records:
    """The records with these lines among them, made as wide as the others."""
    samples = [look_like_numbers(column[1 : 1 + _SAMPLE]) for column in records.columns]
    numeric = [bool(len(sample) and sample.mean() > 0.5) for sample in samples]
    fitted = [_fit(_cells(line.text, delimiter), numeric) for line in lines]
    places = np.array([line.place for line in lines])
    order = np.argsort(np.concatenate([np.arange(len(records.lines)) + 0.5, places]), kind="stable")
    columns = []
    for position, column in enumerate(records.columns):
        added = pa.array([row[position] for row in fitted], column.type)
        columns.append(pa.concat_arrays([column, added]).take(pa.array(order)))
    every = np.concatenate([records.lines, [line.line for line in lines]])
    return Records(columns, every[order])


def _fit(cells: list[str], numeric: Sequence[bool]) -> list[str]:
    """A row of full width; of long rows, those cells are joined with which most columns hold what they usually hold."""
    width, surplus = len(numeric), len(cells) - len(numeric)
    if surplus <= 0:
        return cells + [""] * -surplus
    if not any(cells[width:]):
        return cells[:width]
    joined = [
        [*cells[:start], " ".join(cells[start : start + surplus + 1]), *cells[start + surplus + 1 :]]
        for start in range(width)
    ]

    def agreement(row: list[str]) -> int:
        numbers = look_like_numbers(pa.array(row, pa.large_string()))
        return sum(bool(number) == wanted for number, wanted in zip(numbers, numeric, strict=True))

    return max(reversed(joined), key=agreement)


def _cells(text: str, delimiter: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([text.replace("\n", " ")], delimiter=delimiter))]


def _question(lines: Sequence[OddLine], width: int, name: str) -> QuestionError:
    choices = [Choice("leave_out", "leave these lines out", "their values are missing")]
    if any(line.cells < width for line in lines):
        choices.append(Choice("pad", "fill short lines up with empty cells at their end", "longer ones are left out"))
    if any(line.cells > width for line in lines):
        choices.append(
            Choice(
                "join", "join the surplus cells of long lines", "with a neighbour that fits; short lines are filled up"
            )
        )
    return QuestionError(
        f"{name}: {len(lines):,} {'line has' if len(lines) == 1 else 'lines have'} more or fewer cells than the {width}"
        f" of the first line ({_shown(lines)})",
        setting="ragged",
        choices=choices,
    )


def _shown(lines: Sequence[OddLine]) -> str:
    shown = "; ".join(f"line {one.line:,}: {one.cells} {_cell(one)} '{excerpt(one.text)}'" for one in lines[:_NAMED])
    return shown + (f"; and {len(lines) - _NAMED:,} more" if len(lines) > _NAMED else "")


def _cell(line: OddLine) -> str:
    return "cell" if line.cells == 1 else "cells"


def _where(lines: Sequence[OddLine], verb: str | None = None) -> str:
    if len(lines) == 1:
        return f"Line {lines[0].line:,} {verb or 'stands'}"
    return f"{len(lines):,} lines {verb or 'stand'}"


def _is(lines: Sequence[OddLine]) -> str:
    return "is" if len(lines) == 1 else "are"
