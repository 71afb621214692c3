"""A delimited text file as cells of text: encoding, delimiter and header are settled here, meaning is not.

In: a path. Out: a `Sheet`, whose cells are stripped text and which knows on which line of the file a record stands.
First station of the flow CSV -> sheet -> columns -> table.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import stat
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import pandas as pd
from pandas.errors import ParserError

from timellm.errors import DataError

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
# Spellings of "no value". A lone "-" or "?" is not among them: what they mean is the owner's to say.
MISSING = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "-nan", "NAN", "NULL", "null", "None", "none", "<NA>", "NaT")
_CONTAINERS = {
    b"PK\x03\x04": "an Excel workbook or a zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x1f\x8b": "a gzip archive",
    b"PAR1": "a Parquet file",
    b"SQLite format 3": "a SQLite database",
    b"%PDF": "a PDF document",
    b"\x89PNG": "a picture",
}
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")


@dataclass(frozen=True)
class Sheet:
    """Cells of a delimited file, as stripped text.

    Columns are the header's names; the index counts records with the header as 0, so that a record keeps its place
    when blank lines are dropped.
    """

    cells: pd.DataFrame
    name: str
    delimiter: str
    notes: tuple[str, ...]
    first_line: int  # line of the header, 1-based

    def only(self, chosen: pd.Series) -> Sheet:
        """The same sheet with the chosen records; lines are still those of the file."""
        return replace(self, cells=self.cells[chosen])

    def line(self, record: int) -> int:
        """Line of the file, counted from 1, on which a record starts."""
        before = self.cells[self.cells.index < record]
        quoted_newlines = sum(int(before[name].str.count("\n").sum()) for name in self.cells)
        return self.first_line + int(record) + quoted_newlines


def missing(cells: pd.Series) -> pd.Series:
    """True where a text cell stands for no value."""
    return cells.isin(MISSING)


def read_sheet(path: str | Path) -> Sheet:
    """Read a comma-, semicolon-, tab- or bar-separated text file.

    Raises:
        DataError: the file is absent, empty, binary or has no rows, or its header or a row is malformed.
    """
    path = Path(path)
    text, notes = _decode(_read_bytes(path), path.name)
    body = text.lstrip("\r\n \ufeff")
    if not body:
        raise DataError(f"{path.name} is empty; choose a file with a header and rows of data")
    first_line = text[: len(text) - len(body)].count("\n") + 1
    control = _CONTROL.search(body)
    if control:
        line = first_line + body.count("\n", 0, control.start())
        raise DataError(
            f"{path.name}, line {line}: the character {control.group()!r} does not belong in a text table; "
            "save the table as CSV in UTF-8"
        )
    delimiter = _find_delimiter(body, path.name)
    frame = _split_cells(body, delimiter, path.name, first_line)
    names = _check_header(frame.iloc[0], path.name, first_line)
    cells = frame.iloc[1:].set_axis(names, axis="columns")
    blank = cells.isin(MISSING[:1]).all(axis="columns")
    cells = cells[~blank]
    unnamed_empty = [name for name in names if name.startswith("column ") and missing(cells[name]).all()]
    cells = cells.drop(columns=unnamed_empty)  # a delimiter at the end of every line
    if cells.empty:
        raise DataError(f"{path.name} has a header but no rows; add data below the header")
    return Sheet(cells, path.name, delimiter, notes, first_line)


def _read_bytes(path: Path) -> bytes:
    try:
        kind = path.stat().st_mode  # before it is opened: that would wait at a pipe, and a device has no end
        if stat.S_ISDIR(kind):
            raise DataError(f"{path} cannot be read: it is a folder; choose a CSV file in it")
        if not stat.S_ISREG(kind):
            raise DataError(
                f"{path} cannot be read: it is a pipe or a device; write the table to a file and choose that"
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"there is no file {path}; check the path or choose the table again") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); choose a readable CSV file") from None


def _decode(raw: bytes, name: str) -> tuple[str, tuple[str, ...]]:
    for start, kind in _CONTAINERS.items():
        if raw.startswith(start):
            raise DataError(f"{name} is {kind}, not a text table; save or export it as CSV first")
    encoding = "utf-16" if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return raw.decode(encoding), ()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        if encoding == "utf-16":
            raise DataError(f"{name}, line {line}: the UTF-16 text is damaged; save it as CSV in UTF-8") from None
    try:
        note = f"The file is not UTF-8 (first at line {line}); it is read as Windows-1252. Check accented letters."
        return raw.decode("cp1252"), (note,)
    except UnicodeDecodeError:
        raise DataError(f"{name}, line {line}: neither UTF-8 nor Windows-1252 text; save it as CSV in UTF-8") from None


def _find_delimiter(body: str, name: str) -> str:
    """The delimiter under which most of the first records are as wide as the header, and the header widest."""
    head = list(islice(io.StringIO(body, newline=""), 60))
    ranked = []
    for delimiter in DELIMITERS:
        widths = [len(record) for record in csv.reader(head, delimiter=delimiter) if record]
        if widths and widths[0] > 1:
            agree = sum(width == widths[0] for width in widths) / len(widths)
            ranked.append((agree, widths[0], delimiter))
    if not ranked:
        raise DataError(
            f"{name} has one column ({body.splitlines()[0].strip()[:60]!r}); a table needs a timestamp column and at "
            "least one column of numbers, separated by commas, semicolons or tabs"
        )
    return max(ranked, key=lambda item: item[:2])[2]


def _split_cells(body: str, delimiter: str, name: str, first_line: int) -> pd.DataFrame:
    # Everything is read as text: only so can a wrong cell be shown as it stands, and an ID keep its leading zeros.
    try:
        frame = pd.read_csv(
            io.StringIO(body), sep=delimiter, header=None, dtype="str", keep_default_na=False, skip_blank_lines=False
        )
    except ParserError as error:
        uneven = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
        if uneven:
            expected, line, found = map(int, uneven.groups())
            raise DataError(
                f"{name}, line {line + first_line - 1}: {found} cells, but the header names {expected}; "
                f"remove the extra {DELIMITERS[delimiter]} or put the cell in quotes"
            ) from None
        unclosed = re.search(r"EOF inside string starting at row (\d+)", str(error))
        if unclosed:
            line = int(unclosed.group(1)) + first_line
            raise DataError(f"{name}, line {line}: a quotation mark is never closed; close or remove it") from None
        raise DataError(f"{name} cannot be split into columns ({error}); save it as CSV again") from None
    return frame.apply(lambda column: column.fillna("").str.strip())


def _check_header(header: pd.Series, name: str, first_line: int) -> list[str]:
    names = [text or f"column {position}" for position, text in enumerate(header, start=1)]
    for position, text in enumerate(names):
        if text in names[:position]:
            raise DataError(
                f"{name}, line {first_line}: the column name '{text}' stands twice (columns "
                f"{names.index(text) + 1} and {position + 1}); give every column its own name"
            )
    return names
