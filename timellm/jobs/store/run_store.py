"""The store of runs: which there are, the state of each, its progress, and how it ended.

Inputs: configurations from pages, progress and endings from workers. Outputs: `Run` objects, loss curves, events. It is
an SQLite file beside the run folders, or a PostgreSQL server when `TIMELLM_STORE` names one. A run's status is in its
row and nowhere else. Every change is one transaction that no other one interrupts, so several processes may write at
once without losing an update.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from timellm.config import RunConfig
from timellm.errors import JobError, RunNotFoundError
from timellm.jobs.store import queue
from timellm.jobs.store.curve import read_curve
from timellm.jobs.store.database import Database
from timellm.jobs.store.event import (
    Artefact,
    Event,
    add_event,
    files_in,
    read_artefacts,
    read_events,
    replace_artefacts,
)  # fmt: skip
from timellm.jobs.store.lost import fail_lost_runs
from timellm.jobs.store.process import ProcessIdentity, this_process
from timellm.jobs.store.promise import Promise
from timellm.jobs.store.report import write_report
from timellm.jobs.store.run import (
    ACTIVE,
    TERMINAL,
    CauseKind,
    Ending,
    Run,
    default_name,
    ending_loss,
    new_run_id,
    one_line,
    remove_folder,
    run_of,
    with_absolute_paths,
)
from timellm.jobs.store.schema import artefacts, curves, events, migrate, runs, up_to_date
from timellm.training.progress import Progress
from timellm.workspace import Workspace, workspace

if TYPE_CHECKING:
    import pandas as pd


class Store:
    """Runs of one workspace, or of a team that shares a server. Safe to share between threads."""

    def __init__(self, place: Workspace, database: Database) -> None:
        self.place = place
        self.database = database

    @classmethod
    def open(cls, place: Workspace | None = None) -> Store:
        """The store of a workspace (the one in force when none is given), made if there is none yet.

        Raises:
            JobError: the folder cannot be written, the file is not a store, or the server cannot be reached.
        """
        place = place or workspace()
        database = Database.of(place.checkpoints / "runs.sqlite")
        with database.reading() as connection:
            ready = up_to_date(connection)
        if not ready:
            with database.writing() as connection:  # nobody else can make it between the look and the making
                migrate(connection)
        return cls(place, database)

    def close(self) -> None:
        """Close the connections."""
        self.database.close()

    # ---- reading

    def get(self, run_id: str) -> Run:
        """One run.

        Raises:
            RunNotFoundError: there is no such run.
        """
        row = None
        if run_id.isascii() and run_id.isprintable():  # as every id is; databases refuse some other texts
            with self.database.reading() as connection:
                row = connection.execute(sa.select(runs).where(runs.c.id == run_id)).mappings().one_or_none()
        if row is None:
            raise RunNotFoundError(f"there is no run '{run_id}'; it may have been deleted")
        return run_of(row, self.place.checkpoints)

    def runs(self, limit: int | None = 1000) -> tuple[Run, ...]:
        """Runs, newest first."""
        query = sa.select(runs).order_by(runs.c.created.desc(), runs.c.id.desc()).limit(limit)
        with self.database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return tuple(run_of(row, self.place.checkpoints) for row in rows)

    def curve(self, run_id: str, *, most: int | None = None) -> pd.DataFrame:
        """Losses as reported: columns step, train_loss, validation_loss, learning_rate; NaN where not measured.

        With `most`, a long curve is thinned to about so many rows besides its validations, which all stay.
        """
        with self.database.reading() as connection:
            return read_curve(connection, run_id, most=most)

    def process_of(self, run_id: str) -> ProcessIdentity | None:
        """The process that works on a run, or did last."""
        with self.database.reading() as connection:
            columns = sa.select(runs.c.pid, runs.c.pid_started)
            row = connection.execute(columns.where(runs.c.id == run_id)).one_or_none()
        return ProcessIdentity(row.pid, row.pid_started) if row is not None and row.pid is not None else None

    def active_runs(self) -> int:
        """How many runs wait or work."""
        count = sa.select(sa.func.count()).select_from(runs).where(runs.c.state.in_(ACTIVE))
        with self.database.reading() as connection:
            return connection.execute(count).scalar_one()

    def working_here(self) -> tuple[ProcessIdentity, ...]:
        """The processes of this machine that work on runs at this moment."""
        works = (runs.c.state == "running") & (runs.c.machine == self.database.machine) & runs.c.pid.is_not(None)
        with self.database.reading() as connection:
            rows = connection.execute(sa.select(runs.c.pid, runs.c.pid_started).where(works)).all()
        return tuple(one for row in rows if (one := ProcessIdentity(row.pid, row.pid_started)).alive())

    def events(self, run_id: str) -> tuple[Event, ...]:
        """What happened to a run, oldest first."""
        with self.database.reading() as connection:
            return read_events(connection, run_id)

    def artefacts(self, run_id: str) -> tuple[Artefact, ...]:
        """The files an ended run has left."""
        with self.database.reading() as connection:
            return read_artefacts(connection, run_id)

    # ---- writing

    def create_run(
        self,
        config: RunConfig,
        *,
        name: str | None = None,
        cluster: str | None = None,
        workers: int = 1,
        promise: Promise | None = None,
    ) -> Run:
        """Write a queued run; paths in its configuration become absolute, since its worker starts elsewhere.

        It waits for this machine, or for the cluster whose queue is named; there, `workers` processes train together.
        `promise` is the time that the user was told.
        """
        config = with_absolute_paths(config)
        machine = cluster or self.database.machine
        now = datetime.now(UTC)
        row: dict[str, Any] = {
            "id": new_run_id(now),
            "name": one_line(name or "")[:200].strip() or default_name(config)[:200],
            "state": "queued",
            "config": config.to_json(),
            "created": now,
            "machine": machine,
            "device": queue.queue_device(config),
            "workers": workers,
            "promise": promise.to_text() if promise else None,
        }
        with self.database.writing() as connection:
            row["position"] = queue.last_position(connection, machine)
            connection.execute(sa.insert(runs).values(row))
            add_event(connection, row["id"], "queued")
        return self.get(row["id"])

    def claim(self, run_id: str, *, process: ProcessIdentity | None = None, job: str | None = None) -> bool:
        """Take a queued run for this process if it is its turn: no run works, and no older one waits.

        The cluster has its own order: there a run is taken by the `job` that was sent for it.
        """
        if job is None:
            self.reconcile()
        return queue.claim(self.database, run_id, process or this_process(), job=job)

    def due(self) -> tuple[str, ...]:
        """Ids of the waiting runs whose turn it is on this machine."""
        with self.database.reading() as connection:
            return tuple(queue.due(connection, self.database.machine))

    def waiting(self) -> tuple[Run, ...]:
        """The runs of this machine's queue, in their order."""
        with self.database.reading() as connection:
            order = queue.waiting(connection, self.database.machine)
            rows = connection.execute(sa.select(runs).where(runs.c.id.in_(order))).mappings().all()
        return tuple(sorted((run_of(row, self.place.checkpoints) for row in rows), key=lambda run: order.index(run.id)))

    def record(self, run_id: str, progress: Progress, *, attempt: int | None = None) -> None:
        """Write how far a running run is; what the report does not measure keeps its last value.

        With `attempt`, only if the run is still at work in that attempt.

        Raises:
            JobError: the run does not work (any more), or not in this attempt.
        """
        with self.database.writing(alone=False) as connection:  # one worker alone reports on a run
            write_report(connection, run_id, progress, attempt=attempt)

    def request_stop(self, run_id: str) -> Run:
        """Ask a run to stop: a waiting one is stopped at once, a working one when its worker next looks.

        A run that has ended stays as it is.

        Raises:
            JobError: there is no such run.
        """
        with self.database.writing() as connection:
            withdrawn = connection.execute(
                sa.update(runs)
                .where(runs.c.id == run_id, runs.c.state == "queued")
                .values(state="stopped", stop_requested=True, ended=datetime.now(UTC))
            )
            asked = connection.execute(
                sa.update(runs)
                .where(runs.c.id == run_id, runs.c.state == "running", ~runs.c.stop_requested)
                .values(stop_requested=True)
            )
            if withdrawn.rowcount:
                add_event(connection, run_id, "stopped", "withdrawn before it began")
            elif asked.rowcount:
                add_event(connection, run_id, "stop requested")
        return self.get(run_id)

    def finish(
        self,
        run_id: str,
        state: Ending,
        *,
        error: str | None = None,
        summary: dict[str, Any] | None = None,
        cause: CauseKind | None = None,
        attempt: int | None = None,
    ) -> Run:
        """Give a run its one terminal state; `error` says in words what a failure of the kind `cause` was.

        With `attempt`, only if the run is still at work in that attempt.

        Raises:
            JobError: there is no such run, it has ended already, or another attempt at it was begun.
        """
        assert state in TERMINAL, f"{state} is not an ending"
        ending: dict[str, Any] = {"state": state, "ended": datetime.now(UTC), "eta_s": None}
        ending |= {"error": error, "summary": json.dumps(summary or {}), "cause": cause}
        if state == "finished":
            ending["fraction"] = 1.0
        if (loss := ending_loss(summary)) is not None:  # a kind that is solved at once reports none before
            ending["best_validation_loss"] = sa.func.coalesce(runs.c.best_validation_loss, loss)
        left = files_in(self.place.checkpoints / run_id)
        with self.database.writing() as connection:
            goes_on = (runs.c.id == run_id) & runs.c.state.in_(ACTIVE)
            if attempt is not None:
                goes_on &= runs.c.attempt == attempt
            changed = connection.execute(sa.update(runs).where(goes_on).values(ending))
            if changed.rowcount:
                add_event(connection, run_id, state, error or "")
                replace_artefacts(connection, run_id, left)
        run = self.get(run_id)
        if changed.rowcount == 0 and run.active:
            raise JobError(f"run '{run_id}' was resumed elsewhere, so this attempt cannot be {state}")
        if changed.rowcount == 0:
            raise JobError(f"run '{run_id}' has already ended as {run.state}; it cannot also be {state}")
        return run

    def reconcile(self) -> tuple[Run, ...]:
        """Fail the runs whose worker is gone, and return them; cheap enough to be called before runs are shown."""
        return fail_lost_runs(self.database, self.get)

    def delete(self, run_id: str) -> None:
        """Remove a run that has ended, with its files.

        Raises:
            JobError: there is no such run, it has not ended, or its files cannot be removed.
        """
        run = self.get(run_id)
        if run.active:
            raise JobError(f"run '{run_id}' is {run.state}; stop it before you delete it")
        remove_folder(run)
        with self.database.writing() as connection:  # after the files, so that a failure half-way can be repeated
            for table in (curves, events, artefacts):
                connection.execute(sa.delete(table).where(table.c.run_id == run_id))
            connection.execute(sa.delete(runs).where(runs.c.id == run_id))
