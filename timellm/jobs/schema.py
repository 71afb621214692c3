"""The store's two tables: `runs`, one row a run, and `curves`, one row a training step that was reported.

Enters: nothing. Leaves: SQLAlchemy table definitions for timellm.jobs.store, which alone reads and writes them.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Boolean, Column, DateTime, Float, Index, Integer, MetaData, String, Table, Text, TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """Moments in UTC; SQLite forgets the zone, so it is put back on the way out."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: object) -> datetime | None:
        """Drop the zone after turning to UTC."""
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: object) -> datetime | None:
        """Say that the moment is UTC."""
        return None if value is None else value.replace(tzinfo=UTC)


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
    # The process that waits for the run's turn or works on it: a pid alone may be given to another process later.
    Column("pid", Integer),
    Column("pid_started", Float),
    Column("phase", String(16)),
    Column("done", Integer, nullable=False, default=0),
    Column("total", Integer, nullable=False, default=0),
    Column("fraction", Float, nullable=False, default=0.0),
    Column("eta_s", Float),
    Column("train_loss", Float),
    Column("validation_loss", Float),
    Column("best_validation_loss", Float),
    Column("learning_rate", Float),
    Column("windows_per_s", Float),
    Column("memory_mib", Float),
    Column("message", Text, nullable=False, default=""),
    Column("error", Text),
    Column("summary", Text, nullable=False, default="{}"),
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
