"""Columns in a Parquet file that carries its digest, and whose declared size is checked before it is read.

Inputs and outputs: Arrow tables. A Parquet file of 3 MB can declare 100 million rows, so a reader says how many it may
have; whatever it says, a file that shrinks more than real columns do is refused (as timellm.jobs.archive.unpacking
does for an archive).
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from timellm.files.parquetfooter import declared_values
from timellm.files.sealed import KEY, SLOT, check_seal, seal_file, sealed
from timellm.workspace import write_whole, writing_whole

MOST_VALUES = 2**30
"""Of any file of a run: 8 GiB in memory."""
_SHRINKS_FREELY, _MOST_SHRUNK = 256 * 2**20, 100
_VALUE_BYTES = 8
_BATCH_ROWS = 65_536
_AROUND_FOOTER = 12  # bytes of its length and of the format's name at both ends


def write_parquet(path: Path, table: pa.Table, **layout: Any) -> None:
    """Write a table whole or not at all, with its digest; `layout` goes to `pyarrow.parquet.ParquetWriter`.

    Raises:
        OSError: the disk is full; the file before stays.
    """
    data = _written(table, layout)
    if _shrinks_too_much(_values(data, pq.read_metadata(pa.BufferReader(data))), len(data)):  # all the same, perhaps
        data = _written(table, {"use_dictionary": False, "compression": "none"})
    data = sealed(data, at_end=True)
    write_whole(path, lambda scratch: scratch.write_bytes(data))


@contextlib.contextmanager
def writing_parquet(path: Path, schema: pa.Schema, **layout: Any) -> Iterator[pq.ParquetWriter]:
    """Write a file with its digest table by table, each one a row group that is on the disk before the next one.

    The file appears when the block ends without an exception. `layout` goes to `pyarrow.parquet.ParquetWriter`; columns
    that may be equal everywhere need compression "none", because a file that shrinks too much cannot be read again.

    Raises:
        OSError: the disk is full; the file before stays.
    """
    with writing_whole(path) as scratch:
        with pq.ParquetWriter(scratch, schema, write_page_checksum=True, **layout) as writer:
            yield writer
            writer.add_key_value_metadata({KEY: SLOT})
        seal_file(scratch)


def read_parquet(
    path: Path,
    *,
    columns: Sequence[str] | None = None,
    most_rows: int | None = None,
    most_values: int = MOST_VALUES,
) -> pa.Table:
    """The columns, or those named, of a file that declares no more rows and values than these.

    Raises:
        ValueError, OSError, pa.ArrowException: it is damaged, too large, or no Parquet file.
    """
    source, declared = _checked(path, most_rows=most_rows, most_values=most_values)
    names = _texts(declared)
    # One long text that is named a million times stays one text.
    wanted = None if columns is None else list(columns)
    table = pq.read_table(source, columns=wanted, page_checksum_verification=True, read_dictionary=names)
    for number, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            _check_texts(table[field.name].combine_chunks(), field.name)
            table = table.set_column(number, field.name, table[field.name].cast(pa.string()))
    metadata = {key: value for key, value in (table.schema.metadata or {}).items() if key != KEY.encode()}
    return table.replace_schema_metadata(metadata or None)


def read_parquet_in_batches(path: Path, *, most_rows: int, most_values: int) -> tuple[int, Iterator[pa.RecordBatch]]:
    """How many rows a file has, and all of them, piece by piece; texts are dictionaries.

    What the pieces hold is not in memory at once, which for a file of lists took four times what the lists hold.

    Raises:
        ValueError, OSError, pa.ArrowException: it is damaged, too large, or no Parquet file; the pieces raise, too.
    """
    source, declared = _checked(path, most_rows=most_rows, most_values=most_values)
    file = pq.ParquetFile(source, page_checksum_verification=True, read_dictionary=_texts(declared))
    return _rows(declared), file.iter_batches(batch_size=_BATCH_ROWS)


@dataclass(frozen=True)
class Declared:
    """What a file says of itself, read from its footer alone."""

    rows: int
    memory_bytes: int
    """Of its columns: 8 bytes a value, or more where texts are longer."""
    file_bytes: int


def declared_size(path: Path) -> Declared:
    """How large a file says that it is; none of its values is read.

    Raises:
        ValueError, OSError, pa.ArrowException: it is damaged, or no Parquet file.
    """
    declared = pq.read_metadata(path)
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - declared.serialized_size - _AROUND_FOOTER))
        tail = file.read()
    unpacked = sum(declared.row_group(number).total_byte_size for number in range(declared.num_row_groups))
    return Declared(_rows(declared), max(unpacked, _values(tail, declared) * _VALUE_BYTES), size)


def _checked(path: Path, *, most_rows: int | None, most_values: int) -> tuple[pa.BufferReader, pq.FileMetaData]:
    """A file whose digest is right and that declares no more than it may."""
    data = path.read_bytes()
    check_seal(data, at_end=True)
    source = pa.BufferReader(data)
    declared = pq.read_metadata(source)
    rows, values = _rows(declared), _values(data, declared)
    if (most_rows is not None and rows > most_rows) or values > most_values:
        raise ValueError(
            f"it declares {rows:,} rows of {values:,} values, and this run's has at most"
            f" {most_values if most_rows is None else most_rows:,} {'values' if most_rows is None else 'rows'}"
        )
    if _shrinks_too_much(values, len(data)):
        raise ValueError(f"a file of {len(data):,} bytes declares {values:,} values, more than a run's would")
    source.seek(0)
    return source, declared


def _texts(declared: pq.FileMetaData) -> list[str]:
    columns = map(declared.schema.column, range(declared.num_columns))
    return [column.path for column in columns if column.physical_type == "BYTE_ARRAY"]


def _written(table: pa.Table, layout: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    with pq.ParquetWriter(out, table.schema, write_page_checksum=True, **layout) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({KEY: SLOT})
    return out.getvalue()


def _values(data: bytes, declared: pq.FileMetaData) -> int:
    """How many values all columns have together; lists have several a row."""
    columns = range(declared.num_columns)
    if any(declared.schema.column(number).max_repetition_level for number in columns):
        return declared_values(data)
    return _rows(declared) * len(columns)


def _rows(declared: pq.FileMetaData) -> int:
    return max(declared.num_rows, sum(declared.row_group(i).num_rows for i in range(declared.num_row_groups)))


def _shrinks_too_much(values: int, size: int) -> bool:
    in_memory = values * _VALUE_BYTES
    return in_memory > _SHRINKS_FREELY and in_memory > _MOST_SHRUNK * size


def _check_texts(column: pa.Array, name: str) -> None:
    lengths = pc.binary_length(column.dictionary)
    total = pc.sum(lengths.take(column.indices).cast(pa.int64())).as_py() or 0
    if total > _SHRINKS_FREELY:
        raise ValueError(f"the texts of column '{name}' would take {total:,} bytes")
