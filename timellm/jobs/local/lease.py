"""The lease of the machine's runner, the process that drains the queue. A machine has one lease, so it has one runner.

Inputs: the store's database. Outputs: the runner's identity. A runner releases its lease in the same transaction in
which it finds that no run waits. A run that is queued at that moment is therefore either found, or the lease is free
for a new runner.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from timellm.jobs.store.database import Database
from timellm.jobs.store.process import ProcessIdentity
from timellm.jobs.store.queue import waiting
from timellm.jobs.store.schema import runners


def runner_of(database: Database) -> ProcessIdentity | None:
    """The process that holds this machine's lease; it may be gone."""
    with database.reading() as connection:
        lease = _lease(connection, database.machine)
    return None if lease is None else ProcessIdentity(lease.pid, lease.pid_started)


def ensure_runner(database: Database, start: Callable[[], ProcessIdentity], *, patience_s: float = 0.0) -> bool:
    """Start a runner if runs wait and there is none; True if one was started.

    A runner that died within `patience_s` of its start is not replaced yet.

    Raises:
        OSError: the process cannot be made.
    """
    with database.reading() as connection:  # cheap while nothing waits
        if not waiting(connection, database.machine) or _is_held(connection, database.machine, patience_s):
            return False
    with database.writing() as connection:
        if not waiting(connection, database.machine) or _is_held(connection, database.machine, patience_s):
            return False
        _write_lease(connection, database.machine, start())
    return True


def acquire_lease(database: Database, process: ProcessIdentity) -> bool:
    """Make `process` this machine's runner if there is none; True if it is the runner now."""
    with database.writing() as connection:
        lease = _lease(connection, database.machine)
        if lease is not None and lease.pid != process.pid and ProcessIdentity(lease.pid, lease.pid_started).alive():
            return False
        _write_lease(connection, database.machine, process)
    return True


def release_lease(database: Database, process: ProcessIdentity, *, though_runs_wait: bool = False) -> bool:
    """Release the lease unless runs wait; True if it was released."""
    with database.writing() as connection:
        if not though_runs_wait and waiting(connection, database.machine):
            return False
        mine = (runners.c.machine == database.machine) & (runners.c.pid == process.pid)
        connection.execute(sa.delete(runners).where(mine))
    return True


def _lease(connection: sa.Connection, machine: str) -> sa.Row | None:
    return connection.execute(sa.select(runners).where(runners.c.machine == machine)).one_or_none()


def _is_held(connection: sa.Connection, machine: str, patience_s: float) -> bool:
    lease = _lease(connection, machine)
    if lease is None:
        return False
    # The clock may have been set back meanwhile: then the runner seems to start in the future, for hours perhaps.
    fresh = timedelta() <= datetime.now(UTC) - lease.since < timedelta(seconds=patience_s)
    return fresh or ProcessIdentity(lease.pid, lease.pid_started).alive()


def _write_lease(connection: sa.Connection, machine: str, process: ProcessIdentity) -> None:
    connection.execute(sa.delete(runners).where(runners.c.machine == machine))
    lease = {"pid": process.pid, "pid_started": process.started, "since": datetime.now(UTC)}
    connection.execute(sa.insert(runners).values(machine=machine, **lease))
