"""Very many series in long files, read as a stream: the end of each series, a few hundred series at a time.

Inputs: Parquet or CSV files with columns unique_id, ds, y, in which the rows of a series stand together, in one file.
Outputs: `Chunk`s, each with the last rows of some series and how to scale them. Only one chunk and one part of the file
are in memory at a time. A series that cannot be forecast is left out, with its reason, because one of a million that
lacks a row must not stop the others.

Shapes: S series of a chunk, T context.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from timellm.data.gaps import last_context
from timellm.data.table import LARGEST_VALUE
from timellm.errors import DataError

COLUMNS = ("unique_id", "ds", "y")
_KINDS = (".parquet", ".csv")
_STRETCH_ROWS = 131_072
_STAMP = pa.timestamp("us")


@dataclass(frozen=True)
class Reading:
    """How series are read: what the trained run expects of them."""

    context: int
    frequency: str
    interpolate: bool
    """Fill the gaps of a context from its own past, as the run was told to."""
    series_a_chunk: int


@dataclass
class Chunk:
    """The ends of some series, in original units."""

    ids: list[str] = field(default_factory=list)
    ends: list[np.datetime64] = field(default_factory=list)
    """The last timestamp of each."""
    contexts: list[np.ndarray] = field(default_factory=list)
    """S arrays of [T] float64."""
    means: list[float] = field(default_factory=list)
    scales: list[float] = field(default_factory=list)
    """Mean and standard deviation over the series' whole history; 1 for a constant one."""
    left_out: list[tuple[str, str]] = field(default_factory=list)
    """Series that cannot be forecast, each with its reason."""

    def to_arrow(self) -> pa.Table:
        """The chunk as one row, in which it can travel to another process."""
        context = len(self.contexts[0]) if self.contexts else 0
        flat = np.concatenate(self.contexts) if self.contexts else np.empty(0)
        columns = {
            "ids": pa.array([self.ids], pa.list_(pa.string())),
            "ends": pa.array([np.array(self.ends, "datetime64[us]").astype(np.int64)], pa.list_(pa.int64())),
            "context": pa.array([context], pa.int64()),
            "values": pa.array([flat], pa.list_(pa.float64())),
            "means": pa.array([self.means], pa.list_(pa.float64())),
            "scales": pa.array([self.scales], pa.list_(pa.float64())),
            "left_out_ids": pa.array([[name for name, _ in self.left_out]], pa.list_(pa.string())),
            "left_out_why": pa.array([[why for _, why in self.left_out]], pa.list_(pa.string())),
        }
        return pa.table(columns)

    @classmethod
    def from_arrow(cls, row: pa.Table) -> Chunk:
        """Inverse of `to_arrow`."""
        column = {name: row.column(name).combine_chunks() for name in row.column_names}
        values = column["values"].flatten().to_numpy()
        context = column["context"][0].as_py()
        return cls(
            column["ids"][0].as_py(),
            list(column["ends"].flatten().to_numpy().astype("datetime64[us]")),
            list(values.reshape(-1, context)) if context else [],
            column["means"][0].as_py(),
            column["scales"][0].as_py(),
            list(zip(column["left_out_ids"][0].as_py(), column["left_out_why"][0].as_py(), strict=True)),
        )


def long_files(path: str) -> list[tuple[str, int]]:
    """The Parquet and CSV files of a folder (or the one file) at a path or fsspec URL, in order, with their sizes.

    Raises:
        DataError: there is none, or the place cannot be read.
    """
    try:
        files, root = fsspec.url_to_fs(path)
        if files.isfile(root):
            found = [root]
        else:
            found = sorted(name for name in files.find(root) if not name.rsplit("/", 1)[-1].startswith(("_", ".")))
        found = [name for name in found if name.endswith(_KINDS)]
        sizes = [(files.unstrip_protocol(name), int(files.size(name))) for name in found]
    except (OSError, ImportError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if not sizes:
        raise DataError(
            f"{path} holds no .parquet and no .csv file; give a file or a folder with columns unique_id,ds,y"
        )
    return sizes


def chunks(file: str, reading: Reading) -> Iterator[Chunk]:
    """The series of one file, in its order; the chunks do not depend on the reader.

    Raises:
        DataError: the file cannot be read, or lacks a column.
    """
    chunk = Chunk()
    for name, stamps, values in _series(file):
        _add(chunk, name, stamps, values, reading)
        if len(chunk.ids) == reading.series_a_chunk:
            yield chunk
            chunk = Chunk()
    if chunk.ids or chunk.left_out:
        yield chunk


def _series(file: str) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Each series: id, timestamps [R] datetime64[us], values [R] float64."""
    held: pa.Table | None = None
    for stretch in _stretches(file):
        rows = pa.concat_tables([held, stretch]).combine_chunks() if held is not None else stretch
        if not rows.num_rows:
            continue
        ids = rows["unique_id"].combine_chunks()
        borders = np.flatnonzero(pc.not_equal(ids[1:], ids[:-1]).to_numpy(zero_copy_only=False)) + 1
        starts = np.concatenate([[0], borders])
        held = rows.slice(starts[-1])  # the last one may go on in the next stretch
        yield from _cut(rows.slice(0, starts[-1]), starts)
    if held is not None:
        yield from _cut(held, np.array([0, held.num_rows]))


def _cut(rows: pa.Table, borders: np.ndarray) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    if not rows.num_rows:
        return
    names = rows["unique_id"].combine_chunks().take(pa.array(borders[:-1])).to_pylist()
    stamps, values = rows["ds"].to_numpy(), rows["y"].to_numpy()
    for name, begin, end in zip(names, borders[:-1], borders[1:], strict=True):
        yield name, stamps[begin:end], values[begin:end]


def _stretches(file: str) -> Iterator[pa.Table]:
    try:
        with fsspec.open(file, "rb") as opened:
            if file.endswith(".parquet"):
                parquet = pq.ParquetFile(opened)
                _check_columns(file, parquet.schema_arrow.names)
                batches = (
                    batch
                    for group in range(parquet.num_row_groups)  # asked for all of them, it keeps what it has read
                    for batch in parquet.iter_batches(_STRETCH_ROWS, row_groups=[group], columns=list(COLUMNS))
                )
            else:
                types = {"unique_id": pa.string(), "y": pa.float64()}
                batches = pa_csv.open_csv(opened, convert_options=pa_csv.ConvertOptions(column_types=types))
                _check_columns(file, batches.schema.names)
            for batch in batches:
                yield _typed(file, pa.Table.from_batches([batch]))
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{file} cannot be read: {' '.join(str(error).split())[:300]}") from error


def _check_columns(file: str, names: list[str]) -> None:
    for name in COLUMNS:
        if name not in names:
            raise DataError(
                f"{file} has no column '{name}' (columns: {', '.join(names[:20])}); give unique_id, ds and y"
            )


def _typed(file: str, rows: pa.Table) -> pa.Table:
    kind = rows.schema.field("ds").type
    if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        raise DataError(f"{file}: column 'ds' holds {kind}, not timestamps; write them like 2020-01-31 13:00")
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        raise DataError(f"{file}: column 'ds' has the time zone {kind.tz}; write it without one")
    columns = {
        "unique_id": rows["unique_id"].cast(pa.string()),
        "ds": rows["ds"].cast(_STAMP, safe=False),
        "y": rows["y"].cast(pa.float64()),
    }
    for name in ("unique_id", "ds"):
        if columns[name].null_count:
            raise DataError(f"{file}: column '{name}' misses {columns[name].null_count:,} values; fill them in")
    columns["y"] = pc.fill_null(columns["y"], float("nan"))
    return pa.table({name: column.combine_chunks() for name, column in columns.items()})


def _add(chunk: Chunk, name: str, stamps: np.ndarray, values: np.ndarray, reading: Reading) -> None:
    context = reading.context
    if len(values) < context:
        chunk.left_out.append((name, f"it has {len(values):,} rows, and a context is {context:,}"))
        return
    if (np.diff(stamps) < np.timedelta64(0)).any():
        order = np.argsort(stamps, kind="stable")
        stamps, values = stamps[order], values[order]
    if not np.array_equal(stamps[-context:], grid(stamps[-1], reading.frequency, context)):
        chunk.left_out.append((name, f"its last {context:,} rows are not one every {reading.frequency}"))
        return
    ending = values[-context:]
    if reading.interpolate and np.isnan(ending).any():
        ending = last_context(values, rows=context, missing="interpolate")
    if not np.isfinite(ending).all():
        chunk.left_out.append((name, f"a value is missing or infinite in its last {context:,} rows"))
        return
    known = values[np.isfinite(values)]
    if np.abs(known).max() > LARGEST_VALUE:
        chunk.left_out.append((name, f"a value is beyond {LARGEST_VALUE:g}"))
        return
    deviation = float(known.std())
    chunk.ids.append(name)
    chunk.ends.append(stamps[-1])
    chunk.contexts.append(np.ascontiguousarray(ending))
    chunk.means.append(float(known.mean()))
    chunk.scales.append(deviation if deviation > 0 else 1.0)


@lru_cache(maxsize=1024)  # most series of a table end together
def grid(end: np.datetime64, frequency: str, rows: int) -> np.ndarray:
    """The `rows` timestamps up to `end`, [rows] datetime64[us]; the ones after it when `rows` is negative."""
    if rows > 0:
        found = pd.date_range(end=end, periods=rows, freq=frequency, unit="us")
    else:
        found = pd.date_range(start=end, periods=1 - rows, freq=frequency, unit="us")[1:]
    return found.to_numpy()
