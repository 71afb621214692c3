"""Lost runs: their worker is gone and wrote no ending. They are failed with the most likely cause.

Inputs: the store. Outputs: the runs that were failed. A worker of this machine is gone when its process is gone. A
worker of another machine is gone when it has sent no heartbeat for long (timellm.jobs.heartbeat). Its machine may only
have slept. Then the worker finds at its next check for a stop request, which it makes before each step, that the run
was taken from it, and ends without writing to the store. A process that resumed the run meanwhile works in another
attempt.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from timellm.jobs.event import add_event, files_in, replace_artefacts
from timellm.jobs.heartbeat import SILENT_S, silent_runs
from timellm.jobs.process import ProcessIdentity
from timellm.jobs.run import Run
from timellm.jobs.schema import runs
from timellm.jobs.shortage import killed_for_memory, told

if TYPE_CHECKING:
    from timellm.jobs.store import Store

LOST = (
    "lost: its process ended without writing an ending (killed, out of memory, or the machine was restarted); "
    "the end of the log may say more, then resume it, or start it again"
)


def fail_lost_runs(store: Store) -> tuple[Run, ...]:
    """Fail the runs whose process or machine is gone. It takes two reads when none is lost."""
    machine = store.database.machine
    here = sa.select(runs.c.id, runs.c.attempt, runs.c.pid, runs.c.pid_started)
    here = here.where(runs.c.state == "running", runs.c.machine == machine)
    with store.database.reading() as connection:
        working = connection.execute(here).all()
        silent = silent_runs(connection, machine)
    gone = [row for row in working if not ProcessIdentity(row.pid, row.pid_started).alive()]
    failed = [row.id for row in gone if _fail_if_unchanged(store, row, _ending(store.get(row.id)))]
    failed += [row.id for row in silent if _fail_if_unchanged(store, row, _silence(row.machine), silent=True)]
    return tuple(map(store.get, failed))


def _ending(run: Run) -> dict[str, Any]:
    if (shortage := killed_for_memory(run)) is not None:
        return {"error": shortage.cause, "summary": json.dumps(told(shortage.offers)), "cause": "memory"}
    return {"error": LOST, "cause": "lost"}


def _silence(machine: str) -> dict[str, Any]:
    cause = (
        f"lost: the machine '{machine}' has sent no heartbeat for {SILENT_S / 60:.0f} minutes (switched off, asleep,"
        " or cut off from the store); resume it here if its folder can be reached from here, or start it again"
    )
    return {"error": cause, "cause": "lost"}


def _fail_if_unchanged(store: Store, row: sa.Row, ending: dict[str, Any], *, silent: bool = False) -> bool:
    """Fail a run unless it has ended, was resumed, or wrote a heartbeat since it was read."""
    seen = (runs.c.id == row.id) & (runs.c.state == "running") & (runs.c.attempt == row.attempt)
    ending |= {"state": "failed", "ended": datetime.now(UTC), "eta_s": None}
    left = files_in(store.get(row.id).run_dir)
    with store.database.writing() as connection:
        if silent and row.id not in [one.id for one in silent_runs(connection, store.database.machine)]:
            return False
        changed = connection.execute(sa.update(runs).where(seen).values(ending)).rowcount == 1
        if changed:
            add_event(connection, row.id, "failed", ending["error"])
            replace_artefacts(connection, row.id, left)
    return changed
