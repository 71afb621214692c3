"""Heartbeats: a worker writes one every few seconds, with the time of the database's clock.

Inputs: the store's database. Outputs: heartbeats, and the runs of other machines without a recent one. On its own
machine a worker is checked by its process; a machine that was switched off is found only by its missing heartbeats.

One look is not enough. When the database's clock is set forward, or its server was away, every run is without a recent
heartbeat until its worker writes the next one. So the first look only writes down its time (`doubted`), and a run is
lost if a later look still finds no newer heartbeat.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement

from timellm.errors import StoreError
from timellm.jobs.store.database import Database
from timellm.jobs.store.schema import runs

BEAT_EVERY_S = 20.0
SILENT_S = 15 * 60.0
"""After so long a silence a run is doubted; long enough for a server that restarts or a network that is mended."""
CONFIRM_S = 180.0
"""A doubted run is lost if no heartbeat comes for so long: several are due, also over a connection that was cut."""

log = logging.getLogger(__name__)


class database_clock(FunctionElement[float]):
    """Seconds since 1970 by the database's clock: the machines' own clocks differ and can be set."""

    type = sa.Float()
    inherit_cache = True


@compiles(database_clock, "sqlite")
def _in_sqlite(*_: object, **__: object) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(database_clock, "postgresql")
def _in_postgresql(*_: object, **__: object) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) AS double precision)"


def beat(database: Database, run_id: str, *, attempt: int) -> bool:
    """Write a heartbeat of the run's worker; False if the run no longer works in this attempt.

    Raises:
        StoreError: the store cannot be used at the moment.
    """
    mine = (runs.c.id == run_id) & (runs.c.state == "running") & (runs.c.attempt == attempt)
    with database.writing(alone=False) as connection:
        return connection.execute(sa.update(runs).where(mine).values(heartbeat=database_clock())).rowcount == 1


def silent_runs(connection: sa.Connection, machine: str) -> list[sa.Row]:
    """Runs at work on other machines than `machine` without a recent heartbeat: id, attempt, machine, doubted, lost.

    `doubted` says whether an earlier look doubted this heartbeat, and `lost` whether that is long enough ago. Runs
    without any heartbeat are left out, because workers of earlier versions write none.
    """
    lost = _doubted() & (runs.c.doubted < database_clock() - CONFIRM_S)
    columns = sa.select(runs.c.id, runs.c.attempt, runs.c.machine, _doubted().label("doubted"), lost.label("lost"))
    return list(connection.execute(columns.where(_silent(machine))).all())


def doubt_silent_runs(connection: sa.Connection, machine: str) -> None:
    """Write down when the heartbeats of other machines' runs were first found too old."""
    new = _silent(machine) & ~_doubted()
    connection.execute(sa.update(runs).where(new).values(doubted=database_clock()))


def _silent(machine: str) -> sa.ColumnElement[bool]:
    elsewhere = (runs.c.state == "running") & (runs.c.machine != machine)
    return elsewhere & (runs.c.heartbeat < database_clock() - SILENT_S)


def _doubted() -> sa.ColumnElement[bool]:
    """Whether the doubt is of the last heartbeat: a newer one ends it."""
    return sa.func.coalesce(runs.c.doubted, 0.0) > runs.c.heartbeat


class HeartbeatThread:
    """Writes heartbeats in its own thread while the context is open, so that a long step or validation delays none."""

    def __init__(self, database: Database, run_id: str, *, attempt: int, every_s: float = BEAT_EVERY_S) -> None:
        self._database, self._run_id, self._attempt, self._every_s = database, run_id, attempt, every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._live, name=f"heartbeat of {run_id}", daemon=True)

    def __enter__(self) -> HeartbeatThread:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._over.set()
        self._thread.join()

    def _live(self) -> None:
        while not self._over.wait(self._every_s):
            try:
                if not beat(self._database, self._run_id, attempt=self._attempt):
                    return  # ended or resumed elsewhere; the next report or stop check finds that
            except StoreError as error:
                log.warning("the heartbeat could not be written: %s", error)
