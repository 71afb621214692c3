"""Text as records of cells: the delimiter, how many cells a record has, and on which line of the file it starts.

Inputs: decoded text. Outputs: `Records`. A record that is longer or shorter than the first one is refused, because
nothing says which of its cells is the odd one.
"""

from __future__ import annotations

import re
from collections import Counter
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
_HEAD_LINES = 60
_HEAD_CHARACTERS = 1 << 20
_SHOWN = 60
_BLOCK_CELLS = 4_000_000


@dataclass(frozen=True)
class Records:
    """Columns of stripped text, and the line (from 1) on which each record of them starts."""

    columns: list[pa.Array]
    lines: np.ndarray


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


def find_delimiter(body: str, name: str) -> str:
    """The delimiter under which most of the first records are as wide as the first, and that one is widest.

    Raises:
        DataError: there is one column only.
    """
    head = "\n".join(body[:_HEAD_CHARACTERS].split("\n", _HEAD_LINES)[:_HEAD_LINES])
    ranked = []
    for delimiter in DELIMITERS:
        bare = re.sub(rf'(^|[{re.escape(delimiter)}\n])"[^"]*(?:"|$)', r"\1", head) if '"' in head else head
        widths = [record.count(delimiter) + 1 for record in bare.split("\n") if record.strip()]
        if widths and widths[0] > 1:
            agree = sum(width == widths[0] for width in widths) / len(widths)
            ranked.append((agree, widths[0], delimiter))
    if not ranked:
        raise DataError(
            f"{name} has one column ('{excerpt(body.splitlines()[0].strip())}'); a table needs a timestamp column and "
            "at least one column of numbers, separated by commas, semicolons or tabs"
        )
    return max(ranked, key=lambda item: item[:2])[2]


def split_records(body: str, delimiter: str, *, name: str, first_line: int) -> Records:
    """Split text, whose lines end in a newline character, into records; blank lines are left out.

    Raises:
        DataError: a record has more or fewer cells than the first, or a quotation mark is never closed.
    """
    # Spreadsheets leave lines of nothing but delimiters below a table.
    if any(f"\n{mark}" in body for mark in (" ", "\t", delimiter)):
        body = re.sub(rf"(?m)^[ \t{re.escape(delimiter)}]+$", "", body)
    odd = _Odd()
    cells = _parse(f"{body}\n{_END}", delimiter, name, odd)
    lines = _start_lines(cells, first_line, body)
    if odd.number is not None or not odd.ended:
        _refuse(odd, cells, lines, delimiter, name)
    columns, lines = _stripped(cells), lines[:-1]
    blank = pc.equal(columns[0], "").to_numpy(zero_copy_only=False)
    for at in np.flatnonzero(blank):
        blank[at] = not any(column[int(at)].as_py() for column in columns)
    if blank.any():
        kept = pa.array(~blank)
        columns, lines = [column.filter(kept) for column in columns], lines[~blank]
    return Records(columns, lines)


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
        self.number: int | None = None  # of the first such record, 1-based
        self.text, self.found, self.expected = "", 0, 0
        self.counts: Counter[int] = Counter()
        self.ended = False

    def __call__(self, row: pa.csv.InvalidRow) -> str:
        if row.text == _END:
            self.ended = True
            return "skip"
        if self.number is None:
            self.number, self.text = row.number, row.text
            self.found, self.expected = row.actual_columns, row.expected_columns
        self.counts[row.actual_columns] += 1
        return "skip"


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
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{name} cannot be split into columns ({reason}); save it as CSV again") from None


def _start_lines(cells: pa.Table, first_line: int, body: str) -> np.ndarray:
    """Line on which each record starts, and the line after the last one; quoted cells may span several lines."""
    lines = first_line + np.arange(cells.num_rows + 1)
    if cells.num_rows > body.count("\n"):
        return lines
    spanned = np.zeros(cells.num_rows, dtype=np.int64)
    for column in cells.columns:
        spanned += pc.count_substring(column, "\n").to_numpy()
    lines[1:] += np.cumsum(spanned)
    return lines


def _refuse(odd: _Odd, cells: pa.Table, lines: np.ndarray, delimiter: str, name: str) -> None:
    if odd.number is None or _END in odd.text:
        raise DataError(
            f"{name}, line {_unclosed(odd, cells, lines)}: a quotation mark is never closed; close or remove it"
        )
    line = int(lines[odd.number - 1])  # all records before the first odd one are regular
    rows = sum(odd.counts.values())
    if rows > 1 and len(odd.counts) == 1 and pc.sum(pc.not_equal(cells.column(0), "")).as_py() == 1:
        raise DataError(
            f"{name}: the first line has {odd.expected} cells, but all {rows:,} lines below have {odd.found} "
            f"(line {line}: '{excerpt(odd.text)}'); give every column one name and every row one cell a column"
        )
    cure = (
        f"remove the extra {DELIMITERS[delimiter]} or put the cell in quotes"
        if odd.found > odd.expected
        else f"add what is missing, and a {DELIMITERS[delimiter]} for each empty cell, also at the end of the line"
    )
    raise DataError(
        f"{name}, line {line}: {odd.found} cells, but the header names {odd.expected} ('{excerpt(odd.text)}'); {cure}"
    )


def _unclosed(odd: _Odd, cells: pa.Table, lines: np.ndarray) -> int:
    """Line of the quotation mark that has swallowed the end of the text."""
    if odd.number is not None:
        return int(lines[odd.number - 1]) + odd.text[: odd.text.rindex('"')].count("\n")
    line = int(lines[-2])
    for column in cells.columns:
        text = column[-1].as_py()
        if _END in text:
            break
        line += text.count("\n")
    return line
