"""Forecasts of very many series by a trained run: long files in, a folder of Parquet parts out.

A part holds one chunk of series (timellm.data.longtable) and is written whole or not at all, so that an interrupted
forecast continues where it was. Chunks and parts do not depend on the workers: one process and many on a cluster
(timellm.forecasting.spread) write the same files.

    part-FFFFF-CCCCC.parquet       unique_id, ds, yhat of chunk C of file F
    _left-out-FFFFF-CCCCC.csv      series that could not be forecast, with their reasons
    _forecast.json                 of which run and which files this is the forecast

Shapes: S series of a chunk, T context, H horizon.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from timellm.data.exported import safe_cell
from timellm.data.longtable import Chunk, Reading, chunks, grid, long_files
from timellm.data.prepared import PreparedData
from timellm.data.windows import Scaler, WindowIndex
from timellm.errors import DataError
from timellm.forecasters.bounds import forecast as bounded_forecast
from timellm.forecasters.registry import kind_of
from timellm.forecasting.fitted import FittedRun
from timellm.training.evaluation_batch import EVALUATION_BATCH

_ABOUT = "_forecast.json"
_BATCHES_A_CHUNK = 8


@dataclass(frozen=True)
class Task:
    """What is to be forecast, with what, and where to; small enough to travel."""

    run_dir: str
    files: tuple[str, ...]
    out: str
    """A folder or fsspec URL."""
    reading: Reading
    device: str | None
    """Overrides the run's own."""


@dataclass(frozen=True)
class Part:
    """What came of one chunk."""

    file: int
    chunk: int
    series: int
    left_out: int
    hashes: np.ndarray
    """[S] uint64 of the ids."""

    @property
    def name(self) -> str:
        """The part's file."""
        return f"part-{self.file:05}-{self.chunk:05}.parquet"


@dataclass(frozen=True)
class Done:
    """What a forecast of many series came to."""

    series: int = 0
    left_out: int = 0
    parts: int = 0


OnPart = Callable[[Done], None]


def forecast_many(
    run_dir: str | Path,
    data: str | Path,
    out: str | Path,
    *,
    device: str | None = None,
    on_part: OnPart = lambda done: None,
) -> Done:
    """Forecast the horizon after the end of every series of `data`, in this process.

    A series that is a channel of the run is scaled as the run's own table; any other one by its own history.

    Raises:
        DataError: a file cannot be read, or `out` holds the forecast of something else.
        CheckpointError: the run folder is incomplete or damaged.
        BackboneError: the backbone cannot be loaded on this machine.
    """
    task = prepare(run_dir, data, out, device=device)
    worker = Worker(task)
    parts = (worker(number, place, chunk) for number in range(len(task.files)) for place, chunk in read(task, number))
    return gather(task, parts, on_part=on_part)


def prepare(run_dir: str | Path, data: str | Path, out: str | Path, *, device: str | None = None) -> Task:
    """Check that everything is there, and write in `out` which run and files the forecast is of.

    Raises:
        DataError, CheckpointError: as `forecast_many`.
    """
    from timellm.forecasting.artifacts import RunFolder

    folder = RunFolder(Path(run_dir).resolve())
    config, table = folder.config(), folder.table()
    if folder.effects() is not None or config.tells_known:
        raise DataError(
            f"the run in {folder.path.name} uses columns known ahead, and the files of forecast-many have no place for"
            " them; forecast a table with these columns by 'forecast --data', or train with known_effect=off"
        )
    if steps := [step for step in config.data.repair if step not in ("fill:linear", "fill:none")]:
        raise DataError(
            f"the run in {folder.path.name} repairs its tables ({', '.join(steps)}), which forecast-many does not do;"
            " forecast them by 'forecast --data', or train on a table that needs no repair"
        )
    found = long_files(str(data))
    rows = config.task.context
    if kind_of(config.kind).quick:  # loaded at once; it may read more than the context
        rows = max(rows, kind_of(config.kind).load().load(folder.path, config).past_rows)
    reading = Reading(rows, table.frequency, config.missing == "interpolate", _BATCHES_A_CHUNK * EVALUATION_BATCH)
    fitted = folder.path / kind_of(config.kind).file
    about = {
        "adapter": hashlib.sha256(fitted.read_bytes()).hexdigest() if fitted.is_file() else None,
        "files": found,
        "reading": asdict(reading),
    }
    out = str(out) if "://" in str(out) else str(Path(out).resolve())
    _claim_folder(out, about)
    return Task(str(folder.path), tuple(name for name, _ in found), out, reading, device)


def read(task: Task, number: int) -> Iterator[tuple[int, Chunk]]:
    """The chunks of one file of the task, numbered."""
    return enumerate(chunks(task.files[number], task.reading))


def gather(task: Task, parts: Iterator[Part], *, on_part: OnPart) -> Done:
    """Make the parts, and count them.

    Raises:
        DataError: a series is in two places, so it was forecast twice from half its rows.
    """
    done, hashes = Done(), []
    for part in parts:
        done = replace(
            done, series=done.series + part.series, left_out=done.left_out + part.left_out, parts=done.parts + 1
        )
        hashes.append(part.hashes)
        on_part(done)
    everyone = np.concatenate(hashes) if hashes else np.empty(0, np.uint64)
    if len(np.unique(everyone)) < len(everyone):
        raise DataError(
            f"{len(everyone) - len(np.unique(everyone)):,} series stand in more than one place of the files, so their"
            f" forecasts rest on a part of their rows; sort the files by unique_id and ds, keep a series in one file,"
            f" and forecast into another folder than {task.out}"
        )
    return done


class Worker:
    """Forecasts chunks, one after the other; the network is loaded once."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._files, self._root = fsspec.url_to_fs(task.out)
        self._run = FittedRun.load(task.run_dir, device=task.device)

    def __call__(self, file: int, number: int, chunk: Chunk) -> Part:
        """Forecast one chunk and write its part, unless that is there already."""
        hashes = pd.util.hash_array(np.array(chunk.ids, dtype=object)) if chunk.ids else np.empty(0, np.uint64)
        part = Part(file, number, len(chunk.ids), len(chunk.left_out), hashes)
        if chunk.left_out:
            text = io.StringIO()
            csv.writer(text).writerows([("unique_id", "reason"), *(map(safe_cell, one) for one in chunk.left_out)])
            self._write(f"_left-out-{file:05}-{number:05}.csv", text.getvalue().encode())
        if chunk.ids and not self._files.exists(f"{self._root}/{part.name}"):
            buffer = io.BytesIO()
            pq.write_table(forecast_chunk(self._run, chunk), buffer)
            self._write(part.name, buffer.getvalue())
        return part

    def _write(self, name: str, content: bytes) -> None:
        _write_whole(self._files, f"{self._root}/{name}", content)


def forecast_chunk(run: FittedRun, chunk: Chunk) -> pa.Table:
    """The forecast of a chunk: unique_id, ds, yhat in original units, H rows a series."""
    horizon = run.config.task.horizon
    mean_S, scale_S = np.array(chunk.means), np.array(chunk.scales)
    number = {name: i for i, name in enumerate(run.table.channels)}
    for place, name in enumerate(chunk.ids):
        if name in number:
            mean_S[place], scale_S[place] = (
                run.prepared.scaler.mean[number[name]],
                run.prepared.scaler.scale[number[name]],
            )
    contexts_ST, end_S = np.stack(chunk.contexts), np.array(chunk.ends)
    forecast_SH = np.empty((len(chunk.ids), horizon))
    # A table ends at one moment. It matters to a forecaster that reads the calendar; most series end together.
    by_end = run.forecaster.reads_time or bool(run.config.task.closed_days)
    ends = np.unique(end_S) if by_end else end_S[:1]
    for end in ends:
        mine = np.flatnonzero(end_S == end) if by_end else np.arange(len(end_S))
        scaler = Scaler(mean_S[mine], scale_S[mine])
        prepared = _table_of(run, contexts_ST[mine], [chunk.ids[place] for place in mine], end=end, scaler=scaler)
        every = WindowIndex(np.arange(len(mine)), np.full(len(mine), contexts_ST.shape[1], np.int64), 0)
        forecast_SH[mine] = bounded_forecast(run.forecaster, prepared, every)
    steps = [grid(end, run.table.frequency, -horizon) for end in chunk.ends]
    return pa.table(
        {
            "unique_id": pa.array(np.repeat(np.array(chunk.ids, dtype=object), horizon), pa.string()),
            "ds": pa.array(np.concatenate(steps), pa.timestamp("us")),
            "yhat": pa.array(forecast_SH.ravel(), pa.float64()),
        }
    )


def _table_of(
    run: FittedRun, contexts_ST: np.ndarray, names: list[str], *, end: np.datetime64, scaler: Scaler
) -> PreparedData:
    """Contexts that end at one moment as a table, whose channels are the series."""
    values_TS = np.ascontiguousarray(contexts_ST.T)
    index = pd.DatetimeIndex(grid(end, run.table.frequency, len(values_TS)), name="ds")
    table = replace(run.table, values=pd.DataFrame(values_TS, index=index, columns=names))
    return replace(run.prepared, table=table, values=values_TS, scaler=scaler)


def _claim_folder(out: str, about: dict) -> None:
    """Say in the folder of what it is the forecast; one that is of something else is refused."""
    text = json.dumps(about, indent=1)
    try:
        files, root = fsspec.url_to_fs(out)
        path = f"{root}/{_ABOUT}"
        if files.exists(path):
            if files.cat_file(path) != text.encode():
                raise DataError(f"{out} holds the forecast of another run or of other files; name another folder")
            return
        if files.exists(root) and files.ls(root):
            raise DataError(f"{out} is not empty and holds no forecast of this kind; name a new or an empty folder")
        files.makedirs(root, exist_ok=True)
        _write_whole(files, path, text.encode())
    except (OSError, ImportError, ValueError) as error:
        raise DataError(f"{out} cannot be written: {error}") from error


def _write_whole(files: fsspec.AbstractFileSystem, path: str, content: bytes) -> None:
    head, _, name = path.rpartition("/")
    scratch = f"{head}/.{name}.{os.getpid()}"
    files.pipe_file(scratch, content)
    files.mv(scratch, path)
