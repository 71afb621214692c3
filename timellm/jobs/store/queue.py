"""The queue of waiting runs: their order can be changed; a device works on one run at a time, or on more by setting.

Inputs: the store's database. Outputs: the runs that are due, and claims of them. Every machine has its own queue. A run
is claimed in a transaction that no other process can interrupt, so it is never claimed twice.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from timellm.config import RunConfig
from timellm.errors import JobError
from timellm.forecasters.time_llm.remote_code import check_remote_code
from timellm.jobs.store.database import Database
from timellm.jobs.store.event import add_event
from timellm.jobs.store.heartbeat import database_clock
from timellm.jobs.store.process import ProcessIdentity
from timellm.jobs.store.promise import Promise
from timellm.jobs.store.run import with_absolute_paths
from timellm.jobs.store.schema import runs
from timellm.jobs.store.shortage import KILLS_BEFORE
from timellm.sizing.machine import oom_kills

_SETTING = "TIMELLM_RUNS_PER_DEVICE"
_NVIDIA = Path("/dev/nvidia0")


def runs_per_device() -> int:
    """How many runs a device works on at once.

    Raises:
        JobError: the setting is no number from 1 to 64.
    """
    text = os.environ.get(_SETTING) or "1"
    if not text.isdigit() or not 1 <= int(text) <= 64:
        raise JobError(f"{_SETTING} is '{text}'; give a number of runs from 1 to 64, or leave it out for one")
    return int(text)


def queue_device(config: RunConfig) -> str:
    """The device that a run is queued for; found in the machine's files, because this module must not load torch."""
    wanted = config.device
    return ("cuda" if _NVIDIA.exists() else "cpu") if wanted == "auto" else wanted


def last_position(connection: sa.Connection, machine: str) -> int:
    """The position after every waiting run."""
    last = connection.scalar(sa.select(sa.func.max(runs.c.position)).where(_waits(machine)))
    return (last or 0) + 1


def waiting(connection: sa.Connection, machine: str) -> list[str]:
    """Ids of the waiting runs, in their order."""
    return [row.id for row in _waiting(connection, machine)]


def due(connection: sa.Connection, machine: str) -> list[str]:
    """Ids of the runs to start now: the first waiting ones of each device that has room."""
    most = runs_per_device()
    works = sa.select(runs.c.device).where(runs.c.state == "running", runs.c.machine == machine)
    taken = Counter(connection.execute(works).scalars())
    turn = []
    for row in _waiting(connection, machine):
        if taken[row.device] < most:
            taken[row.device] += 1
            turn.append(row.id)
    return turn


def claim(database: Database, run_id: str, process: ProcessIdentity, *, job: str | None = None) -> bool:
    """Claim a run for a process if it is due; a run on a cluster, if it still waits for this `job`."""
    now, begun = datetime.now(UTC), json.dumps({KILLS_BEFORE: oom_kills()})
    with database.writing() as connection:
        if job is None and run_id not in due(connection, database.machine):
            return False
        mine: dict[str, Any] = {"pid": process.pid, "pid_started": process.started}
        mine |= {"attempt": runs.c.attempt + 1, "heartbeat": database_clock()}
        taken = connection.execute(
            sa.update(runs)
            .where(runs.c.id == run_id, runs.c.state == "queued", runs.c.job.is_not_distinct_from(job))
            .values(state="running", started=now, updated=now, summary=begun, **mine)
        )
        if job is not None and taken.rowcount == 0:  # withdrawn, or begun by a later job
            return False
        assert taken.rowcount == 1, "somebody changed a run in spite of the lock"
        add_event(connection, run_id, "started")
    return True


def move(database: Database, run_id: str, *, places: int | None) -> None:
    """Move a waiting run by so many places, towards the front when negative; None moves it to the front.

    Raises:
        JobError: the run does not wait on this machine.
    """
    with database.writing() as connection:
        order = waiting(connection, database.machine)
        if run_id not in order:
            raise JobError(f"run '{run_id}' does not wait in this machine's queue, or no longer, so it cannot be moved")
        before = order.index(run_id)
        after = 0 if places is None else min(max(0, before + places), len(order) - 1)
        if after == before:
            return
        order.insert(after, order.pop(before))
        for position, one in enumerate(order, start=1):
            connection.execute(sa.update(runs).where(runs.c.id == one).values(position=position))
        add_event(connection, run_id, "moved", f"from place {before + 1} to {after + 1} of the queue")


def edit(database: Database, run_id: str, config: RunConfig, *, name: str, promise: Promise | None = None) -> None:
    """Change the settings of a waiting run, and the time that was told for them; it keeps its place.

    Raises:
        BackboneError: it would run code of its backbone, and the operator of this server has not allowed that.
        JobError: the run no longer waits.
    """
    check_remote_code(config.forecaster)
    config = with_absolute_paths(config)
    changes = {
        "config": config.to_json(),
        "device": queue_device(config),
        "name": name.strip()[:200],
        "promise": promise.to_text() if promise else None,
    }
    with database.writing() as connection:
        waits = (runs.c.id == run_id) & (runs.c.state == "queued")
        if connection.execute(sa.update(runs).where(waits).values(changes)).rowcount == 0:
            raise JobError(
                f"run '{run_id}' has begun or ended, so its settings cannot be changed; start another run with these"
            )
        add_event(connection, run_id, "edited")


def _waits(machine: str) -> sa.ColumnElement[bool]:
    return (runs.c.state == "queued") & (runs.c.machine == machine)


def _waiting(connection: sa.Connection, machine: str) -> Sequence[sa.Row]:
    columns = sa.select(runs.c.id, runs.c.device).where(_waits(machine))
    return connection.execute(columns.order_by(runs.c.position, runs.c.created, runs.c.id)).all()
