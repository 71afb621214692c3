"""A delimited text file as cells of text: encoding, delimiter and header are settled here, meaning is not.

Inputs: the data section of a configuration. Outputs: a `Sheet`, whose cells are stripped text and which knows on which
line of the file a record stands. First station of the flow CSV -> sheet -> columns -> table.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from timellm.config import DataConfig
from timellm.data.containers import unpack
from timellm.data.dressed import undressed
from timellm.data.encodings import decode, without_invisible
from timellm.data.header import column_names
from timellm.data.jsonrows import json_table
from timellm.data.missing_codes import AUTO, without_codes
from timellm.data.ragged import settle_odd_lines
from timellm.data.records import blocks, split_records
from timellm.data.region import find_region
from timellm.data.uploads import table_title
from timellm.errors import DataError, QuestionError

# Spellings of "no value". A lone "-" or "?" is not among them: what they mean is the owner's to say.
MISSING = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "-nan", "NAN", "NULL", "null", "None", "none", "<NA>", "NaT")
_ABSENT = pa.array(MISSING, pa.large_string())
_AS_TEXT = {pa.large_string(): pd.StringDtype(na_value=np.nan)}.get
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")


@dataclass(frozen=True)
class Sheet:
    """Cells of a delimited file, as stripped text: columns by name, of one length.

    Records are counted from the first line of text, so that each keeps its number when some are left out.
    """

    texts: Mapping[str, pa.Array]
    records: np.ndarray  # number of each record
    name: str
    delimiter: str
    notes: tuple[str, ...]
    lines: np.ndarray  # line of the file, counted from 1, on which each record starts
    first: tuple[str, ...]  # the first record as it stands, whether it is a header or not
    has_header: bool
    doubt: QuestionError | None = None  # to be raised if text beyond ASCII is needed
    missing_codes: str = AUTO  # the setting of that name

    def __len__(self) -> int:
        return len(self.records)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.texts)

    def column(self, name: str) -> pd.Series:
        """Text of a column, indexed by record."""
        return self.texts[name].to_pandas(types_mapper=_AS_TEXT).set_axis(self.records)

    def cell(self, record: int, name: str) -> str:
        """Text of one cell."""
        return self.texts[name][int(np.searchsorted(self.records, record))].as_py()

    def only(self, chosen: np.ndarray) -> Sheet:
        """The same sheet with the chosen records; lines are still those of the file."""
        kept = pa.array(chosen)
        texts = {name: cells.filter(kept) for name, cells in self.texts.items()}
        return replace(self, texts=texts, records=self.records[chosen])

    def line(self, record: int) -> int:
        """Line of the file, counted from 1, on which a record starts."""
        return int(self.lines[record])


def is_missing(cells: pa.Array) -> pa.Array:
    """True where a text cell stands for no value."""
    return pc.is_in(cells, value_set=_ABSENT)


def read_sheet(config: DataConfig) -> Sheet:
    """Read a text table, also one in a gzip or zip file, a workbook, or a Parquet file.

    Raises:
        DataError: the file is absent, empty, binary or has no rows, or its header or a row is malformed.
    """
    path = Path(config.path)
    name = f"{table_title(path)}{path.suffix}"
    # No name for the bytes: they are as large as the table, and needed no more once they are text.
    decoded = decode(unpack(_read_bytes(path), name=name, sheet=config.sheet), name=name, encoding=config.encoding)
    text = decoded.text
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = text.lstrip("\ufeff")
    if text.endswith(("\x00", "\x1a")):  # the rest of a disk block, or how DOS ended its files
        text = text.rstrip("\x00\x1a")
    text, cleaned = without_invisible(text)
    written = json_table(text, name=name)
    if written is not None:
        text, cleaned = written[0], (*cleaned, *written[1])
    if not text or text.isspace():
        raise DataError(f"{name} is empty; choose a file with a header and rows of data")
    control = _CONTROL.search(text)
    if control:
        line = 1 + text.count("\n", 0, control.start())
        raise DataError(
            f"{name}, line {line}: the character {control.group()!r} does not belong in a text table; "
            "save the table as CSV in UTF-8"
        )
    region = find_region(text, name=name, delimiter=config.delimiter)
    delimiter, first_line = region.delimiter, region.first_line
    records = split_records(region.body, delimiter, name=name, first_line=first_line)
    records, ragged_notes = settle_odd_lines(records, delimiter, name=name, ragged=config.ragged)
    first = tuple(column[0].as_py() for column in records.columns)
    has_header = config.header != "no"
    names = column_names(first, name=name, line=first_line, setting=config.header)
    columns = dict(zip(names, records.columns, strict=True))
    # A delimiter at the end of every line makes an empty column without a name.
    for unnamed in [column for column, text in zip(names, first, strict=True) if not text]:
        if pc.all(is_missing(columns[unnamed])).as_py():
            del columns[unnamed]
    rows = len(records.lines) - int(has_header)
    if not rows:
        raise DataError(f"{name} has a header but no rows; add data below the header")
    texts = {column: cells.slice(int(has_header)) for column, cells in columns.items()}
    texts, undressed_notes = undressed(without_codes(texts, config.missing_codes))
    kept = tuple(text for column, text in zip(names, first, strict=True) if column in columns)
    numbers = np.arange(int(has_header), len(records.lines))
    notes = (*decoded.notes, *cleaned, *region.notes, *ragged_notes, *undressed_notes)
    return Sheet(
        texts, numbers, name, delimiter, notes, records.lines, kept, has_header, decoded.doubt, config.missing_codes
    )


def check_cells_stay_on_their_line(sheet: Sheet, needed: Iterable[str], time_column: str) -> None:
    """Refuse quoted cells that have swallowed the lines after them.

    In a column that is needed, no cell spans lines. In any other, a cell may, unless a line of it looks like a record.

    Raises:
        DataError: a cell has; names the line in which its quotation mark opens.
    """
    if not any(pc.any(pc.match_substring(flat, "\n")).as_py() for _, flat in blocks(tuple(sheet.texts.values()))):
        return
    needed = set(needed)
    for column, record, cell in _spanning_cells(sheet):
        stamp = _shape(sheet.cell(record, time_column).split("\n")[0])
        swallowed = [
            line
            for line in cell.split("\n")[1:]
            if stamp in map(_shape, line.split(sheet.delimiter)) and line.count(sheet.delimiter) > 0
        ]
        if column in needed or swallowed:
            opened = sheet.line(record) + _newlines_before(sheet, record, column)
            raise DataError(
                f"{sheet.name}, line {opened}: a quotation mark opens in column '{column}' and closes "
                f"{cell.count(chr(10)):,} {'line' if cell.count(chr(10)) == 1 else 'lines'} below, so that the lines "
                "between are one cell; remove the quotation marks or close the first one in its line"
            )


def _spanning_cells(sheet: Sheet) -> Iterator[tuple[str, int, str]]:
    for column, cells in sheet.texts.items():
        for at in np.flatnonzero(pc.match_substring(cells, "\n").to_numpy(zero_copy_only=False)):
            yield column, int(sheet.records[at]), cells[int(at)].as_py()


def _newlines_before(sheet: Sheet, record: int, column: str) -> int:
    before = sheet.columns[: sheet.columns.index(column)]
    return sum(sheet.cell(record, name).count("\n") for name in before)


def _shape(text: str) -> str:
    return re.sub(r"[0-9]", "0", text.strip().strip('"'))


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
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path} cannot be read ({reason}); choose a readable CSV file") from None
