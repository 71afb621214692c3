"""Text as records of cells, and on which line of the file each record starts.

Inputs: the text of a table and its delimiter. Outputs: `Records`, and the lines that have more or fewer cells than the
first one: what becomes of these is settled by `timellm.data.ragged`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from timellm.errors import DataError

# The comma last: in a line such as 20200131;1,5 it may be a decimal one.
DELIMITERS = {";": "semicolon", "\t": "tab", "|": "bar", ",": "comma"}
_END = "\x1e"  # a last line of one cell: it is missed where a quotation mark is never closed
_HEAD_CHARACTERS = 1 << 20
_SHOWN = 60
_MOST_ODD = 100_000
_BLOCK_CELLS = 4_000_000


@dataclass(frozen=True)
class OddLine:
    """A record with more or fewer cells than the first one."""

    place: int
    """How many records stand before it."""
    line: int
    """Line of the file, counted from 1, on which it starts."""
    text: str
    cells: int


@dataclass(frozen=True)
class Records:
    """Columns of stripped text, and the line (from 1) on which each record of them starts."""

    columns: list[pa.Array]
    lines: np.ndarray
    odd: tuple[OddLine, ...] = ()
    """Records that are not in the columns."""


def blocks(columns: Sequence[pa.Array]) -> Iterator[tuple[slice, pa.Array]]:
    """Columns of one length end to end, some at a time: one call on many short columns costs what one on each does."""
    step = max(1, _BLOCK_CELLS // max(len(columns[0]), 1)) if columns else 1
    for start in range(0, len(columns), step):
        some = slice(start, min(start + step, len(columns)))
        yield some, pa.concat_arrays(columns[some])


def excerpt(text: str) -> str:
    """A cell or line for a message: on one line, at most 60 characters."""
    flat = text.replace("\n", "⏎")
    return flat if len(flat) <= _SHOWN else f"{flat[:_SHOWN]}…"


def split_records(body: str, delimiter: str, *, name: str, first_line: int) -> Records:
    """Split text, whose lines end in a newline character, into records; blank lines are left out.

    Raises:
        DataError: no record below the first one is as wide as it, or a quotation mark is never closed.
    """
    # Spreadsheets leave lines of nothing but delimiters below a table.
    if any(f"\n{mark}" in body for mark in (" ", "\t", delimiter)):
        body = re.sub(rf"(?m)^[ \t{re.escape(delimiter)}]+$", "", body)
    odd = _Odd()
    cells = _parse(f"{body}\n{_END}", delimiter, name, odd)
    if cells.num_columns == 1:
        raise DataError(
            f"{name}, line {first_line}: the first line of the table ('{excerpt(body.split(chr(10), 1)[0])}') has one "
            "cell; give a timestamp column and at least one column of numbers, separated by commas, semicolons"
            " or tabs, or name what separates them in setting 'delimiter'"
        )
    lines, odd_lines = _start_lines(cells, odd, first_line, body)
    _check(odd, cells, (lines, odd_lines), name)
    columns, lines = _stripped(cells), lines[:-1]
    blank = pc.equal(columns[0], "").to_numpy(zero_copy_only=False)
    for at in np.flatnonzero(blank):
        blank[at] = not any(column[int(at)].as_py() for column in columns)
    before = np.concatenate([[0], np.cumsum(~blank)])
    if blank.any():
        kept = pa.array(~blank)
        columns, lines = [column.filter(kept) for column in columns], lines[~blank]
    found = tuple(
        OddLine(int(before[number - 1 - place]), int(line), text, width)
        for place, ((number, text, width), line) in enumerate(zip(odd.rows, odd_lines, strict=True))
    )
    return Records(columns, lines, found)


def _stripped(cells: pa.Table) -> list[pa.Array]:
    columns = [column.combine_chunks() if column.num_chunks != 1 else column.chunk(0) for column in cells.columns]
    rows = cells.num_rows
    return [
        stripped.slice(position * rows, rows)
        for some, flat in blocks(columns)
        for stripped in [pc.utf8_trim_whitespace(flat)]
        for position in range(some.stop - some.start)
    ]


class _Odd:
    """The records whose number of cells is not the first one's."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, str, int]] = []  # number among all records (from 1), text, cells
        self.expected = 0
        self.ended = False

    def __call__(self, row: pa.csv.InvalidRow) -> str:
        if row.text == _END:
            self.ended = True
            return "skip"
        self.expected = row.expected_columns
        self.rows.append((row.number, row.text, row.actual_columns))
        return "error" if len(self.rows) > _MOST_ODD else "skip"


def _parse(text: str, delimiter: str, name: str, odd: _Odd) -> pa.Table:
    raw = text.encode()
    first = text.split("\n", 1)[0]
    most = (text if '"' in first else first).count(delimiter, 0, _HEAD_CHARACTERS if '"' in first else None) + 1
    try:
        return pa.csv.read_csv(
            pa.py_buffer(raw),
            # One thread and one block: only so are records counted, and a cell may be as long as it likes.
            read_options=pa.csv.ReadOptions(use_threads=False, block_size=len(raw) + 1, autogenerate_column_names=True),
            parse_options=pa.csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=odd
            ),
            # Text throughout: only so can a wrong cell be shown as it stands, and an ID keep its leading zeros.
            convert_options=pa.csv.ConvertOptions(
                column_types={f"f{position}": pa.large_string() for position in range(most)}, null_values=[]
            ),
        )
    except pa.ArrowException as error:
        if len(odd.rows) > _MOST_ODD:
            _, text, width = odd.rows[0]
            raise DataError(
                f"{name}: more than {_MOST_ODD:,} lines have another number of cells than the {odd.expected} of the "
                f"first one (one of them, with {width}: '{excerpt(text)}'); save the table as CSV again"
            ) from None
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{name} cannot be split into columns ({reason}); save it as CSV again") from None


def _start_lines(cells: pa.Table, odd: _Odd, first_line: int, body: str) -> tuple[np.ndarray, np.ndarray]:
    """Line on which each regular record starts, with the line after the last one; and on which each odd one does.

    Quoted cells may span several lines.
    """
    total = cells.num_rows + len(odd.rows)
    spanned = np.zeros(total, dtype=np.int64)
    places = np.array([number - 1 for number, _, _ in odd.rows], np.int64)
    regular = np.delete(np.arange(total), places)
    if total <= body.count("\n"):
        for column in cells.columns:
            spanned[regular] += pc.count_substring(column, "\n").to_numpy()
        spanned[places] = [text.count("\n") for _, text, _ in odd.rows]
    starts = first_line + np.arange(total + 1)
    starts[1:] += np.cumsum(spanned)
    return np.append(starts[regular], starts[-1]), starts[places]


def _check(odd: _Odd, cells: pa.Table, lines: tuple[np.ndarray, np.ndarray], name: str) -> None:
    """Refuse what no choice can mend: an open quotation mark, and a first line that no other is as wide as."""
    regular, odd_lines = lines
    if not odd.ended:
        line = _unclosed(odd, cells, regular, odd_lines)
        raise DataError(f"{name}, line {line}: a quotation mark is never closed; close or remove it")
    if odd.rows and pc.sum(pc.not_equal(cells.column(0), "")).as_py() == 1:
        _, text, width = odd.rows[0]
        raise DataError(
            f"{name}: the first line has {odd.expected} cells, but none of the {len(odd.rows):,} lines below has as "
            f"many (line {odd_lines[0]} has {width}: '{excerpt(text)}'); give every column one name, and every row "
            "one cell a column"
        )


def _unclosed(odd: _Odd, cells: pa.Table, lines: np.ndarray, odd_lines: np.ndarray) -> int:
    """Line of the quotation mark that has swallowed the end of the text."""
    if odd.rows and _END in odd.rows[-1][1]:
        text = odd.rows[-1][1]
        return int(odd_lines[-1]) + text[: text.rindex('"')].count("\n")
    line = int(lines[-2])
    for column in cells.columns:
        text = column[-1].as_py()
        if _END in text:
            break
        line += text.count("\n")
    return line
