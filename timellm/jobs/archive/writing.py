"""A run as one file, to be moved to another workspace: the format, and its writing.

Inputs: an ended run. Outputs: a zip archive of plain files, none of which is ever unpickled.

    manifest.json    format, version, and size and sha256 of every other entry
    run.json         the run's row, its events and its curve
    files/...        what lies in its folder
    table/NAME.csv   the table, if it is wanted
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, BinaryIO, Literal, Self

import numpy as np
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from timellm import __version__
from timellm.errors import JobError
from timellm.jobs.store.event import files_in
from timellm.jobs.store.run import ODD_LETTERS, CauseKind, Run, one_line
from timellm.jobs.store.run_store import Store
from timellm.training.progress import Phase

FORMAT, VERSION = "timellm-run", 1
MANIFEST, ROW, FILES, TABLE = "manifest.json", "run.json", "files/", "table/"
MOST_FILES = 1000
MOST_BYTES = 4 * 10**9  # below what needs the larger kind of zip archive
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}(/[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}){0,3}")
KINDS = (".json", ".jsonl", ".safetensors", ".parquet", ".txt", ".csv")
_PACKED = (".json", ".jsonl", ".txt", ".csv")  # the others hold numbers that hardly shrink
_UPLOADED = re.compile(r"[0-9a-f]{12}-")
_CHUNK = 2**20

MOST_POINTS, MOST_EVENTS, MOST_TAGS, MOST_SUMMARY = 100_000, 10_000, 100, 2**20
"""Points of a curve, events, tags, and bytes of a summary that a run may bring."""

Text = Annotated[str, Field(max_length=100_000)]
# Neither control characters nor those that turn the direction of writing: both let a line look like another one.
Line = Annotated[str, Field(min_length=1, max_length=200, pattern=rf"^[^{ODD_LETTERS}]+$")]
Count = Annotated[int, Field(ge=0, le=2**53)]
Amount = Annotated[float, Field(ge=0, le=1e300)]
Seconds = Annotated[float, Field(ge=0, le=1e10)]
Loss = Amount | None
# Any clock was set to something in between, and every date in between can be shown in any time zone.
Moment = Annotated[AwareDatetime, Field(ge=datetime(1970, 1, 1, tzinfo=UTC), le=datetime(2200, 1, 1, tzinfo=UTC))]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Entry(_Strict):
    """Size and content of one file of an archive."""

    bytes: int = Field(ge=0, le=MOST_BYTES)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Manifest(_Strict):
    """The archive's own list of its files."""

    format: str
    version: int
    written_by: Annotated[str, Field(max_length=100)]
    run: Annotated[str, Field(max_length=40)]
    files: dict[str, Entry]


class Summary(BaseModel):
    """A run's outcome: fields that pages read must have the right type; other fields stay as they are."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    steps: Count | None = None
    best_step: Count | None = None
    best_validation_loss: Loss = None
    training_seconds: Seconds | None = None
    evaluation_seconds: Seconds | None = None
    seconds: Seconds | None = None
    windows_per_s: Amount | None = None
    memory_mib: Amount | None = None
    test_windows: Count | None = None
    test: dict[str, Loss] = {}
    skill: float | None = None
    verdict: Text = ""
    notes: tuple[Text, ...] = ()
    windows_left_out: dict[str, Count] = {}


class Row(_Strict):
    """A run's row in an archive, without paths of its old workspace."""

    name: Line
    state: Literal["finished", "stopped", "failed"]
    config_text: Annotated[str, Field(max_length=8 * 2**20)]
    created: Moment
    started: Moment | None
    updated: Moment | None
    ended: Moment | None
    phase: Phase | None
    done: Count
    total: Count
    fraction: Annotated[float, Field(ge=0, le=1)]
    train_loss: Loss
    validation_loss: Loss
    best_validation_loss: Loss
    learning_rate: Amount | None
    windows_per_s: Amount | None
    memory_mib: Amount | None
    message: Text
    error: Text | None
    cause: CauseKind | None
    summary: Summary
    tags: Annotated[tuple[Line, ...], Field(max_length=MOST_TAGS)]
    note: Text
    attempt: Annotated[int, Field(ge=0, le=10**6)]
    worked_s: Seconds
    events: Annotated[
        tuple[tuple[Moment, Annotated[str, Field(pattern="^[a-z ]{1,24}$")], Text], ...], Field(max_length=MOST_EVENTS)
    ]
    curve: tuple[tuple[Annotated[int, Field(ge=0, lt=2**31)], Loss, Loss, Loss], ...]
    """Step, training loss, validation loss, learning rate."""

    @model_validator(mode="after")
    def _has_a_step_once(self) -> Self:
        if len({point[0] for point in self.curve}) < len(self.curve):
            raise ValueError("the curve has a step twice")
        return self

    @field_validator("summary", mode="before")
    @classmethod
    def _is_small(cls, summary: Any) -> Any:
        if len(json.dumps(summary, default=str)) > MOST_SUMMARY:
            raise ValueError(f"is larger than {MOST_SUMMARY:,} bytes, the limit for a run's outcome")
        return summary


@dataclass(frozen=True)
class Contents:
    """The content of a run's archive."""

    files: tuple[str, ...]
    files_bytes: int
    left_out: tuple[str, ...]
    """Files of other kinds, such as a tracker's, which are left out."""
    table: Path | None
    """The table, if it is still there."""
    table_bytes: int


def contents(run: Run) -> Contents:
    """What an archive of the run would hold, and how large it is.

    Raises:
        JobError: the run has not ended.
        ConfigError: the run's settings were written by another version.
    """
    if run.active:
        raise JobError(f"run '{run.id}' is {run.state}; it can be exported when it has ended")
    found = files_in(run.run_dir)
    wanted = [one for one in found if _travels(run.run_dir, one.path)]
    table = Path(run.config.data.path)
    there = table.is_file()
    return Contents(
        files=tuple(one.path for one in wanted),
        files_bytes=sum(one.size_bytes for one in wanted),
        left_out=tuple(one.path for one in found if one not in wanted),
        table=table if there else None,
        table_bytes=table.stat().st_size if there else 0,
    )


def write_archive(store: Store, run_id: str, out: BinaryIO, *, with_table: bool) -> Contents:
    """Write a run's archive to `out`, a piece at a time.

    Raises:
        JobError: there is no such run, it has not ended, is too large, or its files cannot be read.
        OSError: `out` cannot be written.
    """
    run = store.get(run_id)
    held = contents(run)
    if held.files_bytes + held.table_bytes * with_table > MOST_BYTES or len(held.files) >= MOST_FILES:
        raise JobError(
            f"run '{run_id}' has {len(held.files):,} files of {held.files_bytes / 1e9:.1f} GB and a table of"
            f" {held.table_bytes / 1e9:.1f} GB, and an archive holds {MOST_FILES:,} files of {MOST_BYTES / 1e9:.0f} GB;"
            " leave the table out, or copy the folder"
        )
    entries: dict[str, Entry] = {}
    with zipfile.ZipFile(out, "w") as archive:
        # A summary has what its kind of forecaster reports, and no steps where nothing trains step by step.
        row = _row(run, store).model_dump_json(indent=1, exclude_unset=True).encode()
        entries[ROW] = _add(archive, ROW, row)
        for name in held.files:
            entries[FILES + name] = _add(archive, FILES + name, run.run_dir / name)
        if with_table and held.table is not None:
            name = f"{TABLE}{_UPLOADED.sub('', held.table.stem)}.csv"
            name = name if NAME.fullmatch(name) else f"{TABLE}table.csv"
            entries[name] = _add(archive, name, held.table)
        manifest = Manifest(format=FORMAT, version=VERSION, written_by=__version__, run=run_id, files=entries)
        _add(archive, MANIFEST, manifest.model_dump_json(indent=1).encode())
    return held


def _travels(folder: Path, name: str) -> bool:
    path = folder / name
    # A link could lead anywhere, also to what is nobody else's business.
    linked = any(one.is_symlink() for one in (path, *path.parents) if folder in one.parents)
    return not linked and NAME.fullmatch(name) is not None and PurePosixPath(name).suffix in KINDS


def _add(archive: zipfile.ZipFile, name: str, content: bytes | Path) -> Entry:
    info = zipfile.ZipInfo(name, date_time=datetime.now(UTC).timetuple()[:6])
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    info.compress_type = zipfile.ZIP_DEFLATED if name.endswith(_PACKED) else zipfile.ZIP_STORED
    digest, size = hashlib.sha256(), 0
    with archive.open(info, "w") as into:
        for piece in _pieces(content):
            into.write(piece)
            digest.update(piece)
            size += len(piece)
    return Entry(bytes=size, sha256=digest.hexdigest())


def _pieces(content: bytes | Path) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    try:
        with content.open("rb") as file:
            while piece := file.read(_CHUNK):
                yield piece
    except OSError as error:
        raise JobError(f"{content} cannot be read ({error.strerror}), so the run is not exported") from error


def _row(run: Run, store: Store) -> Row:
    values = {name: _finite(getattr(run, name)) for name in Row.model_fields if name not in ("events", "curve")}
    values |= {"name": one_line(run.name) or run.id, "tags": tuple(filter(None, map(one_line, run.tags)))}
    curve = store.curve(run.id, most=MOST_POINTS // 2).replace([np.inf, -np.inf], np.nan)
    steps = curve[["step", "train_loss", "validation_loss", "learning_rate"]].astype(object)
    values |= {
        "curve": tuple(steps.where(steps.notna(), None).itertuples(index=False, name=None)),
        "events": tuple((event.at, event.kind, event.detail) for event in store.events(run.id)[-MOST_EVENTS:]),
    }
    try:
        return Row(**values)
    except ValidationError as error:
        what, why = error.errors()[0]["loc"], error.errors()[0]["msg"]
        raise JobError(
            f"run '{run.id}' cannot be exported: its {'.'.join(map(str, what))} is not as a run's is ({why});"
            " copy its folder instead"
        ) from None


def _finite(value: Any) -> Any:
    """NaN and infinity become None, as in JSON: a training that diverged has them."""
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_finite(one) for one in value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
