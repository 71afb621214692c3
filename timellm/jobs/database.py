"""How the store's SQLite file is opened: settings of a connection, the kind of transaction, and what its failures mean.

Enters: the path of the file. Leaves: engines for timellm.jobs.store, one for writers and one for readers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from timellm.errors import JobError

BUSY_TIMEOUT_MS = 10_000


def open_engine(file: Path, *, immediate: bool) -> sa.Engine:
    """An engine on `file`; with `immediate`, every transaction takes the write lock at its start.

    Without it, two processes may both read, then both write, and one update is lost (510 of 800 when measured).
    """
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(file)))

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: object) -> None:
        if immediate:
            connection.isolation_level = None  # else the driver begins transactions by itself, and late
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    if immediate:

        @sa.event.listens_for(engine, "begin")
        def _begin(connection: sa.Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


@contextmanager
def store_errors(file: Path) -> Iterator[None]:
    """Turn failures of the disk or the file into an error a user can act on; mistakes in the SQL stay as they are.

    Raises:
        JobError: the file is locked, full, unreadable or not a store.
    """
    try:
        yield
    except exc.DatabaseError as error:
        if type(error) not in (exc.OperationalError, exc.DatabaseError):
            raise
        cause = f"the store of runs cannot be used: {error.orig} ({file})"
        raise JobError(f"{cause}; look whether the disk is full, the folder writable and the file undamaged") from error
