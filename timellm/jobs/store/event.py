"""The events of a run and the files that it wrote: rows are added during the run and read in their order.

Inputs: open connections of timellm.jobs.store.run_store. Outputs: rows of `events` and `artefacts`, or frozen objects.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import sqlalchemy as sa

from timellm.jobs.store.schema import artefacts, events

Happening = Literal[
    "queued", "started", "loading", "fetching", "pretraining", "training", "evaluating", "finished", "stopped",
    "failed", "stop requested", "stop now requested", "resumed", "started over", "renamed", "labelled", "moved",
    "edited", "imported",
]  # fmt: skip


@dataclass(frozen=True)
class Event:
    """One thing that happened to a run."""

    at: datetime
    """UTC."""
    kind: Happening
    detail: str


@dataclass(frozen=True)
class Artefact:
    """One file that a run wrote; `path` is within its folder."""

    path: str
    size_bytes: int


def add_event(connection: sa.Connection, run_id: str, kind: Happening, detail: str = "") -> None:
    """Add an event that happened just now."""
    connection.execute(sa.insert(events).values(run_id=run_id, at=datetime.now(UTC), kind=kind, detail=detail))


def read_events(connection: sa.Connection, run_id: str) -> tuple[Event, ...]:
    """The events of a run, oldest first."""
    query = sa.select(events.c.at, events.c.kind, events.c.detail)
    rows = connection.execute(query.where(events.c.run_id == run_id).order_by(events.c.id))
    return tuple(Event(*row) for row in rows)


def files_in(folder: Path) -> list[Artefact]:
    """The files of a run's folder by name, without half-written ones: their name or their folder begins with a dot."""
    found = [path for path in sorted(_visible(folder)) if path.is_file()]
    return [Artefact(path.relative_to(folder).as_posix(), path.stat().st_size) for path in found]


def _visible(folder: Path) -> Iterator[Path]:
    for path in folder.glob("[!.]*"):
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _visible(path)


def replace_artefacts(connection: sa.Connection, run_id: str, found: list[Artefact]) -> None:
    """Replace the list of a run's files."""
    connection.execute(sa.delete(artefacts).where(artefacts.c.run_id == run_id))
    if found:
        rows = [{"run_id": run_id, "path": one.path, "size_bytes": one.size_bytes} for one in found]
        connection.execute(sa.insert(artefacts), rows)


def read_artefacts(connection: sa.Connection, run_id: str) -> tuple[Artefact, ...]:
    """The files of a run, by name."""
    query = sa.select(artefacts.c.path, artefacts.c.size_bytes).where(artefacts.c.run_id == run_id)
    return tuple(Artefact(*row) for row in connection.execute(query.order_by(artefacts.c.path)))
