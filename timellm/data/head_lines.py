"""The first lines of a text, split into cells, with the kind of each: number, time, text or nothing.

Inputs: decoded text, whose lines end in a newline character. Outputs: lines of cells, the delimiter under which they
are most alike, and the mark of comment lines. What the lines are is found by `timellm.data.region`.

The delimiter is the one under which most lines have one width and most cells look like a number, a date or plain text
(the idea of van den Burg et al., 2019, "Wrangling messy CSV files by detecting row and type patterns").
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from timellm.data.dressed import DRESSED
from timellm.data.month_names import STARTS
from timellm.data.numerals import look_like_numbers
from timellm.data.records import DELIMITERS, excerpt
from timellm.errors import DataError

SPACES = " "
"""Runs of spaces, where no other delimiter divides the lines."""
_MARKS = ("#", "%", "//", "!")
_HEAD_CHARACTERS = 1 << 19
_HEAD_LINES = 2000
_TYPED_LINES = 100
_MOST_SPANNED = 100
STRONG = 0.7
"""Of a column's cells, to be called a column of numbers or of times."""
_MISSING = ("", "na", "n/a", "#n/a", "nan", "-nan", "null", "none", "<na>", "nat", "-", "--", "---", "?", ".")
_TIME = (
    r"^(?:[0-9]{4}[-/.][0-9]{1,2}(?:[-/.][0-9]{1,2})?|[0-9]{1,2}[./-][0-9]{1,2}[./-][0-9]{2,4}|[0-9]{1,2}:[0-9]{2})"
    r"|^[0-9]{8}:[0-9]{2}|^[0-9]{1,2}[ -][A-Za-z]{3}|^[A-Za-z]{2,9}(?:[.-]|,? )+[0-9]"
    r"|^[0-9]{4}[年M]|^Q[1-4][ /.-]?[0-9]{4}$"
)
_NUMBERED = r"^[A-Za-z]{2,9} [0-9]{1,4}$"
"""A word with a number, such as "series 1" or "Jan 2020"."""
_OF_TIME = rf"^(?i:{STARTS}|kw|wk|week|sem|qt|quart|year)"


@dataclass
class Line:
    number: int  # counted from 0
    text: str
    begin: int  # character at which it begins
    cells: list[str] = field(default_factory=list)
    kinds: str = ""
    blank: bool = False


def head_lines(text: str) -> list[Line]:
    pieces = text[:_HEAD_CHARACTERS].split("\n", _HEAD_LINES)
    if len(pieces) > 1 and (len(pieces) > _HEAD_LINES or len(text) > _HEAD_CHARACTERS):
        pieces.pop()  # the rest of the text, or the beginning of a line
    lines, begin, place = [], 0, 0
    while place < len(pieces):
        count = _spanned(pieces, place)
        text_of = "\n".join(pieces[place : place + count])
        lines.append(Line(place, text_of, begin))
        begin += len(text_of) + 1
        place += count
    return lines


def _spanned(pieces: Sequence[str], place: int) -> int:
    """Lines that one record takes: several where a quoted cell has line ends in it."""
    if pieces[place].count('"') % 2 == 0:
        return 1
    for count, piece in enumerate(pieces[place + 1 : place + _MOST_SPANNED], start=2):
        if piece.count('"') % 2:
            return count
    return 1


def comment_mark(lines: Sequence[Line]) -> str:
    """The mark of comment lines; empty if the first line that is not blank begins with none."""
    first = next(line.text.lstrip() for line in lines if line.text.strip())
    marks = [mark for mark in _MARKS if first.startswith(mark)]
    if marks:
        return marks[0]
    # Below a preamble, a header may be a comment of its own (# STN,YYYYMMDD,HH).
    hashed = [line for line in lines if line.text.lstrip().startswith("#")]
    return "#" if 0 < len(hashed) <= len(lines) / 2 else ""


def is_comment(line: Line, mark: str) -> bool:
    return line.text.lstrip().startswith(mark)


def cells_of(text: str, delimiter: str) -> list[str]:
    if delimiter == SPACES:
        return text.split()
    if '"' in text:
        try:
            return next(csv.reader([text], delimiter=delimiter))
        except (csv.Error, StopIteration):
            pass  # a cell that is too long, or a quotation mark that is never closed: split at every delimiter
    return text.split(delimiter)


def _flat(rows: Sequence[Sequence[str]]) -> pa.Array:
    return pc.utf8_trim_whitespace(pa.array([cell for row in rows for cell in row], pa.large_string()))


def _kinds(flat: pa.Array) -> np.ndarray:
    """Of each cell: n number, d dressed number such as 12 %, t time, e empty or missing, x text; as bytes."""
    kinds = np.full(len(flat), ord("x"), np.uint8)
    kinds[pc.match_substring_regex(flat, _TIME).to_numpy(zero_copy_only=False)] = ord("t")
    numbered = pc.match_substring_regex(flat, _NUMBERED).to_numpy(zero_copy_only=False)
    kinds[numbered & ~pc.match_substring_regex(flat, _OF_TIME).to_numpy(zero_copy_only=False)] = ord("x")
    dressed = pc.match_substring_regex(flat, DRESSED).to_numpy(zero_copy_only=False) & (kinds != ord("t"))
    kinds[dressed] = ord("d")
    kinds[look_like_numbers(flat)] = ord("n")
    missing = pc.is_in(pc.utf8_lower(flat), value_set=pa.array(_MISSING, pa.large_string()))
    kinds[missing.to_numpy(zero_copy_only=False)] = ord("e")
    return kinds


def find_delimiter(lines: Sequence[Line], name: str) -> str:
    ranked: list[tuple[float, int, str]] = []
    sample = lines if len(lines) <= 2 * _TYPED_LINES else [*lines[:_TYPED_LINES], *lines[-_TYPED_LINES:]]
    for delimiter in (*DELIMITERS, SPACES):
        rows = [cells_of(line.text, delimiter) for line in sample]
        wide = Counter(len(row) for row in rows if len(row) > 1)
        if not wide:
            continue
        width = max(wide, key=lambda one: (wide[one], one))
        agree = [row for row in rows if len(row) == width]
        flat = _flat(agree)
        kinds, share = _kinds(flat), len(agree) / len(rows)
        others = "".join(other for other in DELIMITERS if other != delimiter)
        odd = pc.match_substring_regex(flat, f"[{re.escape(others)}]").to_numpy(zero_copy_only=False)
        typed = 1 - (odd & (kinds == ord("x"))).mean()
        if delimiter == SPACES and (ranked or share < STRONG or np.isin(kinds, list(b"ndt")).mean() < STRONG):
            continue
        ranked.append((round(share * typed, 1), width, delimiter))
    if not ranked:
        first = lines[0].text.strip()
        raise DataError(
            f"{name} has one column ('{excerpt(first)}'); give a timestamp column and at least one column of numbers, "
            "separated by commas, semicolons or tabs"
        )
    return max(ranked, key=lambda item: item[:2])[2]


def split_lines(lines: Sequence[Line], delimiter: str) -> int:
    """Give each line its cells; returns how many most of them have, of those with more than one."""
    widths: Counter[int] = Counter()
    for line in lines:
        line.cells = cells_of(line.text, delimiter)
    kinds = _kinds(_flat([line.cells for line in lines])).tobytes().decode()
    begin = 0
    for line in lines:
        line.kinds = kinds[begin : begin + len(line.cells)]
        begin += len(line.cells)
        line.blank = not line.text.replace(delimiter, "").strip()
        if len(line.cells) > 1 and not line.blank:
            widths[len(line.cells)] += 1
    return max(widths, key=lambda width: (widths[width], width), default=0)
