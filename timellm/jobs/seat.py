"""The seat of the machine's runner: the process that drains the queue. A machine has one seat, so it has one runner.

Inputs: the store's database. Outputs: the runner's identity. A runner leaves its seat in the same transaction in which
it finds that no run waits. A run that is queued at that moment is therefore either found, or the seat is free for a new
runner.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from timellm.jobs.database import Database
from timellm.jobs.process import ProcessIdentity
from timellm.jobs.queue import waiting
from timellm.jobs.schema import runners


def runner_of(database: Database) -> ProcessIdentity | None:
    """The process in this machine's seat; it may be gone."""
    with database.reading() as connection:
        seat = _seat(connection, database.machine)
    return None if seat is None else ProcessIdentity(seat.pid, seat.pid_started)


def fill_seat(database: Database, start: Callable[[], ProcessIdentity], *, patience_s: float = 0.0) -> bool:
    """Start a runner if runs wait and there is none; True if one was started.

    A runner that died within `patience_s` of its start is not replaced yet.

    Raises:
        OSError: the process cannot be made.
    """
    with database.reading() as connection:  # cheap while nothing waits
        if not waiting(connection, database.machine) or _taken(connection, database.machine, patience_s):
            return False
    with database.writing() as connection:
        if not waiting(connection, database.machine) or _taken(connection, database.machine, patience_s):
            return False
        _sit(connection, database.machine, start())
    return True


def take_seat(database: Database, process: ProcessIdentity) -> bool:
    """Make `process` this machine's runner if there is none; True if it is the runner now."""
    with database.writing() as connection:
        seat = _seat(connection, database.machine)
        if seat is not None and seat.pid != process.pid and ProcessIdentity(seat.pid, seat.pid_started).alive():
            return False
        _sit(connection, database.machine, process)
    return True


def give_up_seat(database: Database, process: ProcessIdentity, *, though_runs_wait: bool = False) -> bool:
    """Leave the seat unless runs wait; True if it was left."""
    with database.writing() as connection:
        if not though_runs_wait and waiting(connection, database.machine):
            return False
        mine = (runners.c.machine == database.machine) & (runners.c.pid == process.pid)
        connection.execute(sa.delete(runners).where(mine))
    return True


def _seat(connection: sa.Connection, machine: str) -> sa.Row | None:
    return connection.execute(sa.select(runners).where(runners.c.machine == machine)).one_or_none()


def _taken(connection: sa.Connection, machine: str, patience_s: float) -> bool:
    seat = _seat(connection, machine)
    if seat is None:
        return False
    # The clock may have been set back meanwhile: then the runner seems to start in the future, for hours perhaps.
    fresh = timedelta() <= datetime.now(UTC) - seat.since < timedelta(seconds=patience_s)
    return fresh or ProcessIdentity(seat.pid, seat.pid_started).alive()


def _sit(connection: sa.Connection, machine: str, process: ProcessIdentity) -> None:
    connection.execute(sa.delete(runners).where(runners.c.machine == machine))
    seat = {"pid": process.pid, "pid_started": process.started, "since": datetime.now(UTC)}
    connection.execute(sa.insert(runners).values(machine=machine, **seat))
