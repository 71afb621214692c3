"""The database behind the store: an SQLite file beside the run folders, or a PostgreSQL server that a team shares.

Inputs: the workspace, and `TIMELLM_STORE` if it is set. Outputs: transactions for the rest of this room, and failures
in words. Both databases guarantee the same: only one process writes at a time.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from timellm.errors import JobError, StoreError
from timellm.installation import install_command

LOCK_TIMEOUT_MS = 10_000
_CONNECT_TIMEOUT_S = 10
_WRITERS_LOCK = 8_464_633_556  # any number, but the same for every process that opens the database
_PERMISSION_DENIED = "42501"


class Database:
    """One database with its two kinds of transaction. Safe to share between threads."""

    def __init__(self, url: sa.URL) -> None:
        self.where = url.database if url.drivername == "sqlite" else url.render_as_string(hide_password=True)
        """The file, or the URL without its password."""
        self._password = url.password
        self._server = url.drivername != "sqlite"
        self.shared = self._server
        """Whether other machines can use it, too."""
        self.machine = (os.environ.get("TIMELLM_MACHINE") or socket.gethostname()) if self._server else "local"
        """Whose processes can be looked at from here. A file is used by one machine, whatever its name is today."""
        self._writer = _server_engine(url) if self._server else _file_engine(url, immediate=True)
        self._reader = self._writer if self._server else _file_engine(url, immediate=False)

    @classmethod
    def of(cls, file: Path) -> Database:
        """The server that `TIMELLM_STORE` names, or `file` when it names none.

        Raises:
            JobError: it names something else, the server's driver is missing, or the file's folder cannot be made.
        """
        named = os.environ.get("TIMELLM_STORE")
        if named:
            return cls(_server_url(named))
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise JobError(f"cannot make the folder for runs, {file.parent}: {error.strerror}") from None
        return cls(sa.URL.create("sqlite", database=str(file)))

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A transaction that only reads, and never waits."""
        with self._failures(), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def writing(self, *, alone: bool = True) -> Iterator[sa.Connection]:
        """A transaction that writes, committed at its end.

        With `alone`, no other such transaction happens meanwhile, in any process: what it reads stays true until it
        has written. Without, a server lets others write at the same time; enough for one conditional statement.
        """
        with self._failures(), self._writer.begin() as connection:
            if alone and self._server:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_WRITERS_LOCK)))
            yield connection

    def close(self) -> None:
        """Close the connections."""
        self._writer.dispose()
        self._reader.dispose()

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Turn failures of disk, file or server into an error that a user can act on, but not errors in the SQL.

        Raises:
            StoreError: the database is locked, full, unreadable, not a store, or cannot be reached.
        """
        try:
            yield
        except exc.DatabaseError as error:
            denied = getattr(error.orig, "sqlstate", None) == _PERMISSION_DENIED
            if type(error) not in (exc.OperationalError, exc.DatabaseError) and not denied:
                raise
            found = " ".join(str(error.orig).split())
            if self._password:
                found = found.replace(str(self._password), "***")
            remedy = (
                "check that the server runs and accepts this user"
                if self._server
                else "check that the disk has room, the folder is writable and the file is undamaged"
            )
            raise StoreError(f"the store of runs cannot be used: {found} ({self.where}); {remedy}") from error


def _server_url(named: str) -> sa.URL:
    try:
        url = sa.make_url(named)
    except (exc.ArgumentError, ValueError):  # not shown: whatever it is, it may hold a password
        url = None
    if url is None or url.get_backend_name() != "postgresql":
        raise JobError(
            "TIMELLM_STORE must be a URL like postgresql+psycopg://user:password@host/database; leave it out to keep"
            " runs in a file"
        )
    if url.drivername == "postgresql":  # as most tools write it
        url = url.set(drivername="postgresql+psycopg")
    return url


def _server_engine(url: sa.URL) -> sa.Engine:
    try:
        return sa.create_engine(
            url,
            pool_pre_ping=True,  # a server that was restarted is found again
            hide_parameters=True,
            connect_args={
                "connect_timeout": _CONNECT_TIMEOUT_S,
                "application_name": "timellm",
                "options": f"-c lock_timeout={LOCK_TIMEOUT_MS}",
            },
        )
    except (ImportError, exc.NoSuchModuleError):
        raise JobError(
            f"TIMELLM_STORE names a PostgreSQL server, whose driver is not installed: {install_command('postgresql')}"
        ) from None


def _file_engine(url: sa.URL, *, immediate: bool) -> sa.Engine:
    """An engine on a file; with `immediate`, every transaction takes the write lock at its start.

    Without it, two processes may both read, then both write, and one update is lost (510 of 800 when measured).
    """
    engine = sa.create_engine(url)

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: object) -> None:
        if immediate:
            connection.isolation_level = None  # else the driver begins transactions by itself, and late
        connection.execute(f"PRAGMA busy_timeout={LOCK_TIMEOUT_MS}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    if immediate:

        @sa.event.listens_for(engine, "begin")
        def _begin(connection: sa.Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
