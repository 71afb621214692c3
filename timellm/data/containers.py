"""Files that hold a table inside: gzip, zip, Excel workbooks, Parquet; as the bytes of a text table.

Inputs: the bytes of a file. Outputs: bytes of text, which the same reader takes as if they had been a CSV file. What a
file declares about its size is compared with the limits before anything is unpacked, and unpacking stops at them.
"""

from __future__ import annotations

import csv
import io
import lzma
import zipfile
import zlib
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from timellm.errors import Choice, DataError, QuestionError
from timellm.files.parquetfooter import declared_values

MOST_BYTES = 2**30
"""Of a table when it is unpacked."""
_MOST_CELLS = 50_000_000  # a cell takes about 30 bytes while a table is read
_GZIP, _ZIP, _OLD_EXCEL, _PARQUET = b"\x1f\x8b", b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"PAR1"
CONTAINERS = (_GZIP, _ZIP, _OLD_EXCEL, _PARQUET)
"""How the files begin that hold a table inside."""
_WORKBOOK = ("xl/workbook.xml", "xl/workbook.bin", "content.xml")
_TABLES = (".csv", ".txt", ".tsv", ".dat", ".tab", ".json", ".jsonl", ".ndjson")
_MOST_CHOICES = 20


def unpack(raw: bytes, *, name: str, sheet: str | None) -> bytes:
    """The bytes of the text table in a file; those of a plain text file as they are.

    `sheet` names a sheet of a workbook or a file of a zip archive, where there are several.

    Raises:
        DataError: the file is damaged, holds no table, or one that is too large.
        QuestionError: it holds several, and `sheet` names none.
    """
    if raw.startswith(_GZIP):
        return _gunzip(raw, name)
    if raw.startswith(_PARQUET):
        return _parquet(raw, name)
    if raw.startswith(_OLD_EXCEL):
        return _workbook(raw, name, sheet)
    if raw.startswith(_ZIP):
        return _zip(raw, name, sheet)
    return raw


def _gunzip(raw: bytes, name: str) -> bytes:
    found, size, rest = [], 0, raw
    try:
        while rest.startswith(_GZIP):  # a file may hold several parts, one after the other
            unpacker = zlib.decompressobj(wbits=31)
            found.append(unpacker.decompress(rest, MOST_BYTES - size + 1))
            size += len(found[-1])
            if size > MOST_BYTES:
                raise _too_large(name)
            if not unpacker.eof:
                raise DataError(f"{name} is a gzip file that ends too early; compress or export the table again")
            rest = unpacker.unused_data
    except zlib.error:
        raise DataError(f"{name} is a damaged gzip file; compress or export the table again") from None
    return b"".join(found)


def _zip(raw: bytes, name: str, sheet: str | None) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            files = {one.filename: one for one in archive.infolist() if not one.is_dir()}
            if sum(one.file_size for one in files.values()) > MOST_BYTES:
                raise _too_large(name)
            if any(part in files for part in _WORKBOOK):
                return _workbook(raw, name, sheet)
            # What is asked must be a name that can be shown and typed.
            tables = {
                "".join(sign if sign.isprintable() else "?" for sign in one): one
                for one in files
                if one.lower().endswith(_TABLES) and not one.startswith("__MACOSX/")
            }
            chosen = _chosen([*tables], name, sheet, "files", "table ending in .csv, .txt, .tsv or .json")
            with archive.open(tables[chosen]) as file:
                found = file.read(MOST_BYTES + 1)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError, ValueError):
        raise DataError(f"{name} is a damaged or encrypted zip archive; pack or export the table again") from None
    if len(found) > MOST_BYTES:
        raise _too_large(name)
    return found


def _workbook(raw: bytes, name: str, sheet: str | None) -> bytes:
    from python_calamine import CalamineError, CalamineWorkbook, PasswordError

    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(raw))
        filled = [one for one in book.sheet_names if book.get_sheet_by_name(one).total_height > 1]
        rows = book.get_sheet_by_name(_chosen(filled, name, sheet, "sheets", "sheet with rows")).to_python()
    except PasswordError:
        raise DataError(f"{name} is a workbook with a password; save it without one") from None
    except (CalamineError, zipfile.BadZipFile, OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{name} is a damaged workbook, or none; save it again or export it as CSV") from None
    text = io.StringIO()
    csv.writer(text, delimiter="\t", lineterminator="\n").writerows([_cell(one) for one in row] for row in rows)
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    """A cell of a workbook as text; a moment at midnight as its date."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d" if value.time() == time() else "%Y-%m-%d %H:%M:%S")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value)
    return " ".join(str(value).split())


def _parquet(raw: bytes, name: str) -> bytes:
    try:
        facts = pq.read_metadata(pa.BufferReader(raw))
        declared = sum(facts.row_group(number).total_byte_size for number in range(facts.num_row_groups))
        if declared > MOST_BYTES or declared_values(raw) > _MOST_CELLS:
            raise _too_large(name)
        columns = map(facts.schema.column, range(facts.num_columns))
        texts = [column.path for column in columns if column.physical_type == "BYTE_ARRAY"]
        # One long text that stands in a million rows stays one text, until it is known how long they are together.
        file = pq.ParquetFile(pa.BufferReader(raw), read_dictionary=texts, page_checksum_verification=True)
        table = file.read(columns=[one.name for one in file.schema_arrow if not pa.types.is_nested(one.type)])
        if sum(map(_text_bytes, table.columns)) > MOST_BYTES:
            raise _too_large(name)
        table = _plain(table)
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{name} is a damaged Parquet file; write it again or export it as CSV") from None
    if table.num_columns < 2 or not table.num_rows:
        raise DataError(
            f"{name} holds {table.num_rows:,} rows of {table.num_columns} plain columns (lists, records and bytes are "
            "not read); choose a file with a column of timestamps and a column of numbers"
        )
    text = pa.BufferOutputStream()
    pyarrow.csv.write_csv(table, text)
    return text.getvalue().to_pybytes()


def _text_bytes(column: pa.ChunkedArray) -> int:
    """How long the texts of a column of dictionaries are together; 0 for other columns."""
    if not pa.types.is_dictionary(column.type) or not _is_text(column.type.value_type):
        return 0
    chunks = (pc.binary_length(one.dictionary).take(one.indices) for one in column.chunks)
    return sum(pc.sum(lengths.cast(pa.int64())).as_py() or 0 for lengths in chunks)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_large_string(kind) or pa.types.is_string(kind) or pa.types.is_binary(kind))


def _plain(table: pa.Table) -> pa.Table:
    """Columns that can be written as text: categories as their words, bytes and other kinds left out."""
    kept = {}
    for field in table.schema:
        column, kind = table[field.name], field.type
        if pa.types.is_dictionary(kind):
            column = column.cast(kind.value_type)
        if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
            column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
        if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
            continue
        kept[field.name] = column
    return pa.table(kept)


def _chosen(names: Sequence[str], name: str, sheet: str | None, what: str, wanted: str) -> str:
    if sheet is not None:
        if sheet not in names:
            listed = ", ".join(names[:_MOST_CHOICES]) or "none"
            raise DataError(f"setting 'sheet': {name} has no '{sheet}' with a table; it has {listed}")
        return sheet
    if not names:
        raise DataError(f"{name} holds no {wanted}; choose another file, or export the table as CSV")
    if len(names) == 1:
        return names[0]
    raise QuestionError(
        f"{name} holds {len(names):,} {what} with a table",
        setting="sheet",
        choices=[Choice(one, one, "this one is read") for one in names[:_MOST_CHOICES]],
    )


def _too_large(name: str) -> DataError:
    return DataError(
        f"{name} holds more than {MOST_BYTES // 2**20:,} MiB or {_MOST_CELLS:,} cells when it is unpacked; "
        "split it, or leave out columns that are not needed"
    )
