"""Where in a text the table lies: below which lines, between which delimiters, under which header.

Inputs: decoded text, whose lines end in a newline character. Outputs: a `Region`. Exports carry a title, metadata,
comments, a row of units or types, or several tables; they are left out with a note that says what and where. Nothing
here decides what a column means.

The table begins at the first line whose cells are of the kinds that its columns hold further down; the line before is
the header.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from timellm.data.head_lines import (
    SPACES,
    STRONG,
    Line,
    cells_of,
    comment_mark,
    find_delimiter,
    head_lines,
    is_comment,
    split_lines,
)
from timellm.data.records import excerpt
from timellm.data.wrappings import unwrapped, without_repeats
from timellm.errors import DataError

NAMES = {"semicolon": ";", "tab": "\t", "bar": "|", "comma": ",", "spaces": SPACES}
"""Delimiters as the setting `delimiter` names them."""
MOST_COLUMNS = 50_000
_UNIT = re.compile(  # [mm], (°C), a type of a statistics agency (15s, 10d, 8n), %, °C, W/m2
    r"^(?:[\[(].*[\])]|[0-9]{1,2}[sdn]|%|[^\s0-9]{0,3}°[CFK]?|[A-Za-zµ]{1,4}(?:[/·*^.][A-Za-z0-9²³^-]{1,4})*)?$"
)


@dataclass(frozen=True)
class Region:
    """A table within a text."""

    delimiter: str
    body: str
    """The table's own text: header and rows. Lines that were left out inside are blank, so that lines still count."""
    first_line: int
    """Line of the text, counted from 1, on which the body begins."""
    notes: tuple[str, ...]


def find_region(text: str, *, name: str, delimiter: str = "auto") -> Region:
    """Find the table in a text that is not empty; `delimiter` is auto or one of `NAMES`.

    Raises:
        DataError: no delimiter divides the lines into columns.
    """
    text, wrapped = unwrapped(text)
    lines = head_lines(text)
    comment = comment_mark(lines)
    shown = [line for line in lines if line.text.strip() and not (comment and is_comment(line, comment))]
    if not shown:
        raise DataError(f"{name} holds comments alone; choose a file with a header and rows of data")
    mark = find_delimiter(shown, name) if delimiter == "auto" else NAMES[delimiter]
    width = split_lines(lines, mark)
    if all(line.blank for line in shown):
        raise DataError(f"{name} holds delimiters and no cells; choose a file with a header and rows of data")
    if width > MOST_COLUMNS:
        raise DataError(
            f"{name} has {width:,} columns, and at most {MOST_COLUMNS:,} are read; save fewer columns, or one row per "
            "series and timestamp (unique_id, ds, y)"
        )
    data = _data_lines([line for line in shown if not line.blank], width)
    if not data:
        return replace(_whole(text, shown[0], mark, comment), notes=wrapped)
    run, others = _longest_run(shown, data, width)
    first = _first_of(lines, run[0], mark, comment)
    top = _top(lines, first, width, (mark, comment, name))
    if top.header is not None and (joined := without_repeats(text, top.header.text, first.begin, mark)) is not None:
        region = find_region(joined, name=name, delimiter=delimiter)
        note = f"The header stands again between the rows ('{excerpt(top.header.text)}'), and is left out there."
        return replace(region, notes=(*wrapped, *region.notes, note))
    below = [line for line in others if line.number > run[-1].number]
    end = _start_of_block(shown, run[-1], below[0]).begin if below else len(text)
    region = _cut(text, top, first, (mark, comment, end))
    return replace(region, notes=(*wrapped, *_notes(lines, top.header or first, top, comment, others)))


def _data_lines(lines: Sequence[Line], width: int) -> list[Line]:
    """Lines whose cells are of the kinds that the columns hold: numbers in columns of numbers, times in those of times.

    Empty where no column is of numbers or times: then nothing tells a header from data.
    """
    wide = [line for line in lines if len(line.cells) == width]
    strong: dict[int, str] = {}  # of a column, the kinds that its cells have
    for column in range(width):
        kinds = Counter(line.kinds[column] for line in wide)
        given = sum(kinds.values()) - kinds["e"]
        # The one dressed cell of a column is more likely its name, such as "series 1".
        for kind in ("t", "nd" if kinds["d"] > 1 else "n"):
            if given and sum(kinds[one] for one in kind) >= STRONG * given:
                strong[column] = kind
    if not strong:
        return []

    def fits(line: Line) -> bool:
        given = [column for column in strong if line.kinds[column] != "e"]
        right = sum(line.kinds[column] in strong[column] for column in given)
        # A header has no time in a column of times; a row with one wrong cell has.
        timed = any(line.kinds[column] == strong[column] == "t" for column in given)
        return bool(given) and (2 * right > len(given) or (timed and 2 * right == len(given)))

    return [line for line in wide if fits(line)]


def _longest_run(lines: Sequence[Line], data: Sequence[Line], width: int) -> tuple[list[Line], list[Line]]:
    """The data lines of the longest table, and those of others.

    A new table begins where a line of texts stands between data lines that looks like a header: as wide as the table or
    wider than one cell, without any number or time.
    """
    is_data = {line.number for line in data}
    runs: list[list[Line]] = [[]]
    for line in lines:
        if line.number in is_data:
            runs[-1].append(line)
        elif runs[-1] and _begins_a_table(line, width):
            runs.append([])
    longest = max(runs, key=len)
    return longest, [line for run in runs if run is not longest for line in run]


def _begins_a_table(line: Line, width: int) -> bool:
    texts_alone = len(line.cells) > 1 and not set(line.kinds) & set("ndt")
    return texts_alone and not line.blank and 2 * line.kinds.count("x") > min(width, len(line.cells))


def _start_of_block(lines: Sequence[Line], last: Line, other: Line) -> Line:
    """The first line below `last` that belongs to the table of the line `other`."""
    return next(line for line in lines if last.number < line.number <= other.number)


@dataclass(frozen=True)
class _Top:
    """What stands above the first data line: the header, and a row of units or types below it, if there are such."""

    header: Line | None = None
    text: str = ""
    """The header as it is to be read."""
    units: Line | None = None


def _first_of(lines: Sequence[Line], first: Line, mark: str, comment: str) -> Line:
    """The first row: above it, rows with a cell too many or too few may stand below the header."""
    if first.kinds[0] != "t":
        return first
    found, number = first, first.number
    for line in reversed([line for line in lines if line.number < first.number]):
        if line.blank or (comment and is_comment(line, comment)):
            number = line.number
            continue
        if line.number != number - 1 - line.text.count("\n"):
            break
        if len(line.cells) < 2 or line.kinds[0] != "t":
            return found if _names(line, len(first.cells)) else first
        found, number = line, line.number
    return first


def _top(lines: Sequence[Line], first: Line, width: int, how: tuple[str, str, str]) -> _Top:
    mark, comment, name = how
    above = [line for line in lines if line.number < first.number and line.text.strip() and not line.blank]
    while above and comment and is_comment(above[-1], comment):
        bare = above[-1].text.lstrip().lstrip(comment).strip()
        if len(cells_of(bare, mark)) == width:
            return _Top(above[-1], bare)
        above.pop()
    if not above:
        return _Top()
    above = above[-2:]
    near = above[-1]
    if near.text.count('"') % 2:
        raise DataError(f"{name}, line {near.number + 1}: a quotation mark is never closed; close or remove it")
    missing = width - len(near.cells)
    if missing > 0 and len(first.cells) == width and set(first.kinds[-missing:]) == {"e"}:
        # The names of empty columns at the end were left out.
        near.text += mark * missing
        near.cells, near.kinds = near.cells + [""] * missing, near.kinds + "e" * missing
    if not _names(near, width):
        # Texts alone, right above the data: a header that is too long or too short, which is refused with its line.
        alone = len(near.cells) > 1 and set(near.kinds) == {"x"} and near.number == first.number - 1
        return _Top(near, near.text) if alone else _Top()
    upper = above[0] if len(above) > 1 and _names(above[0], width) else None
    if upper is None or (comment and is_comment(upper, comment)):
        return _Top(near, near.text)
    names, lower = ([cell.strip() for cell in line.cells] for line in (upper, near))
    if all(map(_UNIT.match, lower)) and "" not in names:
        return _Top(upper, upper.text, near)
    if "" in lower or len(set(lower)) < width:  # alone, they would not tell the columns apart
        return _Top(near, _joined(names, lower, mark))
    return _Top(near, near.text)


def _names(line: Line, width: int) -> bool:
    """Whether a line could name this many columns."""
    worded = line.kinds.count("x") + line.kinds.count("d")  # "series 1" is a name, too
    return len(line.cells) == width and 2 * worded >= width - line.kinds.count("e")


def _joined(upper: Sequence[str], lower: Sequence[str], mark: str) -> str:
    """A header of two lines in one; a name that stands over several columns is written in its first one alone."""
    names, over = [], ""
    for above, below in zip(upper, lower, strict=True):
        over = above or over
        names.append(f"{over} {below}".strip().replace('"', ""))
    return (mark if mark != SPACES else "\t").join(f'"{one}"' for one in names)


def _whole(text: str, first: Line, mark: str, comment: str) -> Region:
    """The text from its first line that is no comment on."""
    body, mark = _readable(text[first.begin :], mark, comment)
    return Region(mark, body, first.number + 1, ())


def _cut(text: str, top: _Top, first: Line, ending: tuple[str, str, int]) -> Region:
    mark, comment, end = ending
    header = top.header
    if header is not None and header.text == top.text and first.begin == header.begin + len(header.text) + 1:
        body, mark = _readable(text[header.begin : end], mark, comment)  # a large text is not copied where it is whole
        return Region(mark, body, header.number + 1, ())
    body, mark = _readable(text[first.begin : end], mark, comment)
    if header is None:
        return Region(mark, body, first.number + 1, ())
    named = top.text
    if mark == "\t" and ending[0] == SPACES and '"' not in named:
        named = "\t".join(named.split())
    return Region(mark, named + "\n" * (first.number - header.number) + body, header.number + 1, ())


def _readable(body: str, mark: str, comment: str) -> tuple[str, str]:
    """A body without the text of comment lines, with tabs in place of runs of spaces; and its delimiter."""
    if comment and f"\n{comment}" in body:
        body = re.sub(rf"(?m)^{re.escape(comment)}.*$", "", body)
    if mark == SPACES:
        body, mark = re.sub(r"(?m)^[ \t]+|[ \t]+$", "", body), "\t"
        body = re.sub(r"[ \t]+", "\t", body)
    return body, mark


def _notes(lines: Sequence[Line], first: Line, top: _Top, comment: str, others: Sequence[Line]) -> tuple[str, ...]:
    notes = []
    above = [line for line in lines if line.number < first.number and line.text.strip()]
    if above:
        shown = f"line {above[0].number + 1}: '{excerpt(above[0].text)}'"
        notes.append(f"{_range(above)} above the table, and {_is(above)} left out ({shown}).")
    if top.units is not None:
        units = top.units
        notes.append(
            f"Line {units.number + 1} holds units or types, not values, and is left out ('{excerpt(units.text)}')."
        )
    below = [line for line in others if line.number > first.number]
    if others:
        other = (below or list(others))[0].number + 1
        notes.append(
            f"The file holds several tables, and the longest one is read; line {other:,} belongs to another one. To "
            "read that, put it into a file of its own."
        )
    return tuple(notes)


def _is(lines: Sequence[Line]) -> str:
    return "is" if len(lines) == 1 else "are"


def _range(lines: Sequence[Line]) -> str:
    first, last = lines[0].number + 1, lines[-1].number + 1
    return f"Line {first} stands" if first == last else f"Lines {first:,} to {last:,} stand"
