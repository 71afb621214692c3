"""The store's tables: runs, their loss curves, events and files, and the runner of each machine.

Inputs: none. Outputs: SQLAlchemy table definitions for this package, the same for SQLite and PostgreSQL, and an upgrade
of stores that earlier versions wrote.
"""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)


class UtcDateTime(TypeDecorator[datetime]):
    """Times in UTC; the zone is not stored, so it is added when a time is read."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: object) -> datetime | None:
        """Convert to UTC and drop the zone."""
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: object) -> datetime | None:
        """Mark the time as UTC."""
        return None if value is None else value.replace(tzinfo=UTC)


class PlainText(TypeDecorator[str]):
    """Text without the character 0, which PostgreSQL cannot store and an error message can hold."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: object) -> str | None:
        """Remove the character."""
        return None if value is None else value.replace("\0", "")


metadata = MetaData()

runs = Table(
    "runs",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("state", String(16), nullable=False),
    Column("config", Text, nullable=False),  # RunConfig.to_json, the same text as in the run's folder
    Column("stop_requested", Boolean, nullable=False, default=False),
    Column("created", UtcDateTime, nullable=False),
    Column("started", UtcDateTime),
    Column("updated", UtcDateTime),
    Column("ended", UtcDateTime),
    # How often the run was taken: a worker that was thought gone knows by it that the run is no longer its own.
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("worked_s", Float, nullable=False, server_default="0"),  # in earlier attempts
    Column("heartbeat", Float),  # seconds since 1970 by the database's clock; timellm.jobs.store.heartbeat
    Column("doubted", Float),  # by the same clock: when another machine first found the heartbeat too old
    # The process that works on the run: a pid alone may be given to another process later.
    Column("pid", Integer),
    Column("pid_started", Float),  # timellm.jobs.store.process
    Column("phase", String(16)),
    Column("done", BigInteger, nullable=False, default=0),  # bytes while fetching
    Column("total", BigInteger, nullable=False, default=0),
    Column("fraction", Float, nullable=False, default=0.0),
    Column("eta_s", Float),
    Column("train_loss", Float),
    Column("validation_loss", Float),
    Column("best_validation_loss", Float),
    Column("learning_rate", Float),
    Column("windows_per_s", Float),
    Column("memory_mib", Float),
    Column("message", PlainText, nullable=False, default=""),
    Column("error", PlainText),
    Column("summary", Text, nullable=False, default="{}"),
    Column("machine", String(200), nullable=False, server_default="local"),  # the one whose queue it is in
    Column("position", Integer, nullable=False, server_default="0"),  # in the queue, while it waits
    Column("device", String(16), nullable=False, server_default="cpu"),  # the one it is queued for
    Column("cause", String(16)),  # the kind of a failure
    Column("tags", Text, nullable=False, server_default=""),  # one a line
    Column("note", PlainText, nullable=False, server_default=""),
    Column("job", String(80)),  # the cluster's, for a run that works on one
    Column("workers", Integer, nullable=False, server_default="1"),  # processes that train together
    Column("promise", Text),  # the time that was told before it started (timellm.jobs.store.promise)
    Index("runs_by_state", "state"),
    Index("runs_by_age", "created"),
)

curves = Table(
    "curves",
    metadata,
    Column("run_id", String(40), primary_key=True),
    Column("step", Integer, primary_key=True),
    Column("train_loss", Float),
    Column("validation_loss", Float),
    Column("learning_rate", Float),
)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("run_id", String(40), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("kind", String(24), nullable=False),
    Column("detail", PlainText, nullable=False, default=""),
    Index("events_by_run", "run_id"),
)

artefacts = Table(
    "artefacts",
    metadata,
    Column("run_id", String(40), primary_key=True),
    Column("path", String(400), primary_key=True),  # within the run's folder, so that folders can move
    Column("size_bytes", BigInteger, nullable=False),
)


runners = Table(
    "runners",
    metadata,
    Column("machine", String(200), primary_key=True),
    Column("pid", Integer, nullable=False),
    Column("pid_started", Float, nullable=False),
    Column("since", UtcDateTime, nullable=False),
)


def up_to_date(connection: sa.Connection) -> bool:
    """Whether every table and column is there."""
    return not _missing_tables(connection) and not _missing_columns(connection)


def migrate(connection: sa.Connection) -> None:
    """Add the tables and columns that are missing, in the transaction of the connection; nothing is removed."""
    metadata.create_all(connection)
    for table, columns in _missing_columns(connection).items():
        for column in columns:
            definition = sa.schema.CreateColumn(column).compile(dialect=connection.dialect)
            connection.execute(sa.DDL(f"ALTER TABLE {table} ADD COLUMN {definition}"))


def _missing_tables(connection: sa.Connection) -> set[str]:
    return set(metadata.tables) - set(sa.inspect(connection).get_table_names())


def _missing_columns(connection: sa.Connection) -> dict[str, list[Column]]:
    inspector = sa.inspect(connection)
    missing = {}
    for table in metadata.sorted_tables:
        there = {column["name"] for column in inspector.get_columns(table.name)}
        if lacking := [column for column in table.columns if column.name not in there]:
            missing[table.name] = lacking
    return missing
