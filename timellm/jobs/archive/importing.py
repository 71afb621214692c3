"""Import a run from an archive into the store; a refused archive leaves no file and no row.

Inputs: an archive (timellm.jobs.archive.writing). Outputs: a run, under its id if that is free. It is unpacked
beside the runs (timellm.jobs.archive.unpacking), its content is checked, and its folder gets its name in the
transaction that writes its row.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import psutil
import sqlalchemy as sa

from timellm.config import RunConfig, TimeLLMConfig
from timellm.data.uploads import adopt_upload
from timellm.errors import CheckpointError
from timellm.files.sealed import read_sealed_json
from timellm.forecasters.registry import REGISTRY
from timellm.forecasters.saved import reading
from timellm.jobs.archive.unpacking import unpack
from timellm.jobs.archive.writing import FILES, MOST_POINTS, ROW, TABLE, Manifest, Row
from timellm.jobs.store.event import add_event, files_in, replace_artefacts
from timellm.jobs.store.queue import queue_device
from timellm.jobs.store.run import IMPORTED, Run, new_run_id
from timellm.jobs.store.run_store import Store
from timellm.jobs.store.schema import curves, events, runs

_KEEP_FREE = 64 * 2**20
MOST_IN_MEMORY = 512 * 2**20
"""Bytes that a Parquet file of an archive may declare. Reading a table takes more than twice as much."""
MOST_OF_WINDOWS = 2 * 2**30
"""Those of the two files that have rows for each test window; the table bounds them, too."""
_MOST_SHRUNK = 8  # of errors by window, whose sums are never packed: 5 of their 12 values a row take 4 bytes each
_STAGED = re.compile(r"\.import-(\d+)-.+")


@dataclass(frozen=True)
class Imported:
    """An imported run."""

    run: Run
    notes: tuple[str, ...]
    """What is not as it was: another id, a table that stayed behind ..."""


def import_run(store: Store, file: BinaryIO) -> Imported:
    """Import a run from an archive.

    Raises:
        CheckpointError: the archive is damaged, from another version, holds what it should not, or is too large.
        JobError: the store cannot be written.
    """
    place = store.place.checkpoints
    try:
        place.mkdir(parents=True, exist_ok=True)
        _sweep(place)
        with _staging(place) as staged:
            manifest, row = unpack(file, staged, free=shutil.disk_usage(place).free - _KEEP_FREE)
            config, notes = _config(staged, row, manifest)
            try:
                _check(staged / FILES)
            except CheckpointError as error:
                raise CheckpointError(_of_archive(str(error), staged / FILES)) from error
            return _take_in(store, staged, _Arrival(manifest, row, config, notes))
    except OSError as error:
        raise CheckpointError(f"the archive cannot be unpacked in {place} ({error}); nothing was imported") from error


def _of_archive(message: str, folder: Path) -> str:
    """What a reader says of a run's folder, said of the archive: nobody will find the folder, or start its run."""
    message = message.replace(f"{folder}/", "").replace("; start the run again", "; export the run again")
    return f"in the archive, {message}"


@dataclass(frozen=True)
class _Arrival:
    manifest: Manifest
    row: Row
    config: RunConfig
    notes: list[str]


# ---- what came out of it


def _config(staged: Path, row: Row, manifest: Manifest) -> tuple[RunConfig, list[str]]:
    """The run's settings for this workspace, except the table's path, and notes on what differs."""
    from timellm.training.checkpoint import CONFIG, load_config

    config, notes = RunConfig.from_json(row.config_text), list[str]()
    if (staged / FILES / CONFIG).is_file():  # with what was found in the table; a description made of a file's name
        config = config.updated(description=load_config(staged / FILES).data.description)
    if isinstance(config.forecaster, TimeLLMConfig):
        config = _untrusted(config, notes)
    if not any(name.startswith(TABLE) for name in manifest.files) and not Path(config.data.path).is_file():
        notes.append(
            "The archive does not contain its table; its results and a copy of the rows that it learned from are here."
        )
    start = config.training.start_from if config.training else ""
    if start and not Path(start).is_dir():
        notes.append(
            f"It began at the adapters in {start}, which is not here. What it took of them came with it; to start it"
            " again from its beginning, name a folder that is here."
        )
    last, most = max((point[0] for point in row.curve), default=0), config.training.steps if config.training else 0
    if last > most:
        raise CheckpointError(
            f"{ROW} in the archive has a loss at step {last:,}, and the run had at most {most:,} steps; export it again"
        )
    if len(row.curve) > MOST_POINTS:
        notes.append(f"Of the {len(row.curve):,} points of its curve, about {MOST_POINTS:,} are kept.")
    return config, notes


def _check(folder: Path) -> None:
    """Read every file that has a format, so that an imported run can be used."""
    from timellm.evaluation.comparisons import COMPARISONS
    from timellm.evaluation.coverage import COVERAGE
    from timellm.evaluation.window_errors import WINDOW_ERRORS, read_window_errors
    from timellm.explain.parts import linear_path
    from timellm.files.tensorfile import read_tensors
    from timellm.forecasters.started import Start
    from timellm.forecasters.time_llm.attention_history import ATTENTION_HISTORY, AttentionHistory
    from timellm.forecasters.time_llm.kept import DICTIONARY, LINEAR_PATH, START
    from timellm.forecasting.artifacts import RunFolder
    from timellm.forecasting.bands import INTERVALS
    from timellm.forecasting.validation import BASELINES, PinnedForecasts, read_baselines
    from timellm.training.checkpoint import ADAPTER, CONFIG, EFFECTS, START_ADAPTER, read_adapter
    from timellm.training.pinned import PINNED
    from timellm.training.state import STATE

    run = RunFolder(folder)
    readers = {
        ADAPTER: lambda: read_adapter(folder),  # first, since it says which of the others were changed
        "table.parquet": run.table, EFFECTS: run.effects,
        "scaler.json": run.scaler, "scores.json": run.scores, "future.parquet": run.future,
        "test_forecasts.parquet": lambda: run.test_windows(run.prepared()) if (folder / CONFIG).is_file() else None,
        "prototypes.safetensors": run.prototypes, "words.json": run.words, "summary.json": run.summary,
        DICTIONARY: run.dictionary, START: lambda: read_tensors(folder / START, remedy="export the run again"),
        START_ADAPTER: lambda: Start.read(folder),
        LINEAR_PATH: lambda: linear_path(folder) if (folder / CONFIG).is_file() else None,
        WINDOW_ERRORS: lambda: read_window_errors(folder / WINDOW_ERRORS, "mae"), COMPARISONS: run.comparisons,
        INTERVALS: lambda: run.intervals() if (folder / CONFIG).is_file() else None, COVERAGE: run.coverage,
        PINNED: lambda: PinnedForecasts.read(folder), ATTENTION_HISTORY: lambda: AttentionHistory.read(folder),
        BASELINES: lambda: read_baselines(folder),
        STATE: lambda: read_tensors(folder / STATE, remedy="export the run again"),
    }  # fmt: skip
    for path in sorted(folder.glob("*.parquet")):
        _check_size(path)
    for name, read in readers.items():
        if (folder / name).is_file():
            read()
    if (folder / CONFIG).is_file() and (found := run.intervals()) is not None and found.kept is not None:
        found.kept.check()
    if (folder / CONFIG).is_file():
        _check_forecasters(folder, run.config())


def _check_forecasters(folder: Path, config: RunConfig) -> None:
    """Load the quick forecasters, which lie in every run's folder; read the file of another kind, which needs more."""
    for kind in REGISTRY.values():
        path = folder / kind.file
        if kind.quick and path.is_file():
            kind.load().load(folder, config.updated(kind=kind.name))
        elif path.suffix == ".json" and path.is_file():
            with reading(path):
                read_sealed_json(path)


def _check_size(path: Path) -> None:
    """Refuse a file by what it declares: reading 100 million rows out of 127 MB took 3.8 GB."""
    import pyarrow as pa

    from timellm.evaluation.window_errors import WINDOW_ERRORS
    from timellm.files.parquetfile import declared_size
    from timellm.forecasting.kept_quantiles import TEST_QUANTILES

    try:
        size = declared_size(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise CheckpointError(f"{path.name} is damaged ({error}); export the run again") from error
    most = MOST_OF_WINDOWS if path.name in ("test_forecasts.parquet", TEST_QUANTILES, WINDOW_ERRORS) else MOST_IN_MEMORY
    if path.name == WINDOW_ERRORS:
        most = min(most, max(MOST_IN_MEMORY, _MOST_SHRUNK * size.file_bytes))
    if size.memory_bytes > most:
        raise CheckpointError(
            f"{path.name} declares {size.rows:,} rows that would take {size.memory_bytes / 2**20:,.0f} MiB, and the"
            f" limit for this file is {most / 2**20:,.0f} MiB; nothing was imported. If you trust where the archive"
            " comes from, copy the run's folder instead"
        )


def _take_in(store: Store, staged: Path, arrival: _Arrival) -> Imported:
    files, config, notes = staged / FILES, arrival.config, list(arrival.notes)
    files.mkdir(exist_ok=True)
    with _adopted_table(store, staged, arrival) as table:
        if table is not None:
            config = config.updated(path=str(table))
        _put_path(files, config)
        with store.database.writing() as connection:
            run_id = arrival.manifest.run
            there = connection.scalar(sa.select(runs.c.id).where(runs.c.id == run_id))
            if there is not None or (store.place.checkpoints / run_id).exists():
                run_id = new_run_id(datetime.now(UTC))
                notes.insert(0, f"There is a run {arrival.manifest.run} here already, so this one is {run_id}.")
            connection.execute(sa.insert(runs).values(_values(store, arrival.row, config) | {"id": run_id}))
            _add_past(connection, run_id, arrival)
            replace_artefacts(connection, run_id, files_in(files))
            files.rename(store.place.checkpoints / run_id)
    return Imported(store.get(run_id), tuple(notes))


def _values(store: Store, row: Row, config: RunConfig) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in Row.model_fields if name not in ("events", "curve", "config_text")}
    return values | {
        "config": config.to_json(),
        "summary": json.dumps(_summary(row)),
        "tags": "\n".join(" ".join(tag.split()) for tag in row.tags),
        "machine": store.database.machine,
        "device": queue_device(config),
    }


def _summary(row: Row) -> dict[str, Any]:
    outcome = row.summary.model_dump(mode="json", exclude_unset=True)
    outcome.pop("offers", None)  # settings that would have fitted into the memory of another machine
    return outcome | {IMPORTED: True}


def _add_past(connection: sa.Connection, run_id: str, arrival: _Arrival) -> None:
    row = arrival.row
    if row.events:
        past = [{"run_id": run_id, "at": at, "kind": kind, "detail": detail} for at, kind, detail in row.events]
        connection.execute(sa.insert(events), past)
    if row.curve:
        names = ("step", "train_loss", "validation_loss", "learning_rate")
        connection.execute(
            sa.insert(curves), [{"run_id": run_id, **dict(zip(names, p, strict=True))} for p in _thinned(row.curve)]
        )
    add_event(connection, run_id, "imported", f"was {arrival.manifest.run}, of version {arrival.manifest.written_by}")


def _untrusted(config: RunConfig, notes: list[str]) -> RunConfig:
    """The settings without the permission to run a backbone's code; adds to `notes` what differs."""
    backbone = Path(config.model.backbone)
    if backbone.is_absolute() and not backbone.is_dir():
        notes.append(f"Its backbone is the folder {backbone}, which is not here; new forecasts need it.")
    if not config.model.trust_remote_code:
        return config
    notes.append(
        f"It ran Python code that ships with {config.model.backbone}; that is switched off here,"
        " until somebody trusts its source."
    )
    return config.updated(trust_remote_code=False)


def _thinned(curve: Sequence[tuple]) -> list[tuple]:
    """About `MOST_POINTS` of a curve's points, evenly spaced, and its validations, unless these alone are too many."""
    every = max(1, -(-len(curve) // MOST_POINTS))
    validated = sum(point[2] is not None for point in curve)
    every_validation = 1 if validated <= MOST_POINTS else every
    return [
        point for i, point in enumerate(curve) if i % every == 0 or (point[2] is not None and i % every_validation == 0)
    ]


def _put_path(files: Path, config: RunConfig) -> None:
    """Write the table's path and whether code is trusted into the folder's settings."""
    from timellm.training.checkpoint import CONFIG, load_config, save_config

    if (files / CONFIG).is_file():
        kept = load_config(files).updated(path=config.data.path)
        if isinstance(config.forecaster, TimeLLMConfig):
            kept = kept.updated(trust_remote_code=config.forecaster.trust_remote_code)
        save_config(files, kept)


@contextmanager
def _adopted_table(store: Store, staged: Path, arrival: _Arrival) -> Iterator[Path | None]:
    """Add the archive's table to the uploads; remove it again if the import fails."""
    name = next((name for name in arrival.manifest.files if name.startswith(TABLE)), None)
    if name is None:
        yield None
        return
    sha256 = arrival.manifest.files[name].sha256
    path, new = adopt_upload(staged / name, sha256=sha256, folder=store.place.uploads)
    try:
        yield path
    except BaseException:
        if new:
            path.unlink(missing_ok=True)
        raise


# ---- the staging folder


@contextmanager
def _staging(place: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=f".import-{os.getpid()}-", dir=place) as folder:
        yield Path(folder)


def _sweep(place: Path) -> None:
    """Remove the files of imports whose process was killed."""
    for left in place.glob(".import-*"):
        found = _STAGED.fullmatch(left.name)
        if found and not psutil.pid_exists(int(found[1])):
            shutil.rmtree(left, ignore_errors=True)
