"""Whose turn it is: runs wait in an order that can be changed; each device works on one at a time, or more by setting.

Enters: the store's database. Leaves: which runs are due, and claims of them. Every machine has a queue of its own.
Turns are decided in a transaction that no other process interrupts, so a run is never taken twice.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from timellm.config import RunConfig
from timellm.errors import JobError
from timellm.jobs.database import Database
from timellm.jobs.event import add_event
from timellm.jobs.heartbeat import database_clock
from timellm.jobs.process import ProcessIdentity
from timellm.jobs.run import with_absolute_paths
from timellm.jobs.schema import runs
from timellm.jobs.shortage import KILLS_BEFORE
from timellm.training.machine import oom_kills

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
    """The device that a run is queued for; told from the machine's files, since nothing here loads torch."""
    wanted = config.training.device
    return ("cuda" if _NVIDIA.exists() else "cpu") if wanted == "auto" else wanted


def last_position(connection: sa.Connection, machine: str) -> int:
    """The position behind every waiting run."""
    last = connection.scalar(sa.select(sa.func.max(runs.c.position)).where(_waits(machine)))
    return (last or 0) + 1


def waiting(connection: sa.Connection, machine: str) -> list[str]:
    """Ids of the runs that wait, in their order."""
    return [row.id for row in _waiting(connection, machine)]


def due(connection: sa.Connection, machine: str) -> list[str]:
    """Ids of the runs whose turn it is: the first that wait for each device that has room for another."""
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
    """Take a run for a process if it is its turn; a run on a cluster, if it still waits for this `job` of it."""
    now, begun = datetime.now(UTC), json.dumps({KILLS_BEFORE: oom_kills()})
    with database.writing() as connection:
        if job is None and run_id not in due(connection, database.machine):
            return False
        mine = {"pid": process.pid, "pid_started": process.started}
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
        JobError: it does not wait on this machine.
    """
    with database.writing() as connection:
        order = waiting(connection, database.machine)
        if run_id not in order:
            raise JobError(f"run '{run_id}' does not wait in this machine's queue (any more), so it cannot be moved")
        before = order.index(run_id)
        after = 0 if places is None else min(max(0, before + places), len(order) - 1)
        if after == before:
            return
        order.insert(after, order.pop(before))
        for position, one in enumerate(order, start=1):
            connection.execute(sa.update(runs).where(runs.c.id == one).values(position=position))
        add_event(connection, run_id, "moved", f"from place {before + 1} to {after + 1} of the queue")


def edit(database: Database, run_id: str, config: RunConfig, *, name: str) -> None:
    """Give a waiting run other settings and keep its place.

    Raises:
        JobError: it does not wait any more.
    """
    config = with_absolute_paths(config)
    changes = {"config": config.to_json(), "device": queue_device(config), "name": name.strip()[:200]}
    with database.writing() as connection:
        waits = (runs.c.id == run_id) & (runs.c.state == "queued")
        if connection.execute(sa.update(runs).where(waits).values(changes)).rowcount == 0:
            raise JobError(
                f"run '{run_id}' has begun or ended by now, so its settings stay; start another run with these"
            )
        add_event(connection, run_id, "edited")


def _waits(machine: str) -> sa.ColumnElement[bool]:
    return (runs.c.state == "queued") & (runs.c.machine == machine)


def _waiting(connection: sa.Connection, machine: str) -> list[sa.Row]:
    columns = sa.select(runs.c.id, runs.c.device).where(_waits(machine))
    return connection.execute(columns.order_by(runs.c.position, runs.c.created, runs.c.id)).all()
