"""Lost runs: their worker is gone and wrote no ending. They are failed with the most likely cause.

Inputs: the store's database. Outputs: the runs that were failed. A worker of this machine is gone when its process is
gone. A worker of another machine is gone when it has sent no heartbeat for long, on two looks some minutes apart
(timellm.jobs.store.heartbeat). Its machine may only have slept. Then the worker finds at its next check for a stop
request, which it makes before each step, that the run was taken from it, and ends without writing to the store. A
process that resumed the run meanwhile works in another attempt.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from timellm.jobs.store.database import Database
from timellm.jobs.store.event import add_event, files_in, replace_artefacts
from timellm.jobs.store.heartbeat import SILENT_S, doubt_silent_runs, silent_runs
from timellm.jobs.store.process import ProcessIdentity
from timellm.jobs.store.run import Run
from timellm.jobs.store.schema import runs
from timellm.jobs.store.shortage import killed_for_memory, told

LOST = (
    "lost: its process ended without writing an ending (killed, out of memory, or the machine was restarted); "
    "the end of the log may say more, then resume it, or start it again"
)


def fail_lost_runs(database: Database, get: Callable[[str], Run]) -> tuple[Run, ...]:
    """Fail the runs whose process or machine is gone; `get` reads one run. It takes two reads when none is lost."""
    here = sa.select(runs.c.id, runs.c.attempt, runs.c.pid, runs.c.pid_started)
    here = here.where(runs.c.state == "running", runs.c.machine == database.machine)
    with database.reading() as connection:
        working = connection.execute(here).all()
        silent = silent_runs(connection, database.machine)
    failed = []
    for row in working:
        if not ProcessIdentity(row.pid, row.pid_started).alive():
            run = get(row.id)
            if _fail_if_unchanged(database, row, _ending(run), folder=run.run_dir):
                failed.append(run.id)
    if not all(row.doubted for row in silent):
        with database.writing(alone=False) as connection:
            doubt_silent_runs(connection, database.machine)
    for row in silent:
        if not row.lost:
            continue
        run, ending = get(row.id), _silence(row.machine)
        if _fail_if_unchanged(database, row, ending, folder=run.run_dir, if_silent=True):
            failed.append(run.id)
    return tuple(map(get, failed))


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


def _fail_if_unchanged(
    database: Database, row: sa.Row, ending: dict[str, Any], *, folder: Path, if_silent: bool = False
) -> bool:
    """Fail a run unless it has ended, was resumed, or wrote a heartbeat since it was read."""
    seen = (runs.c.id == row.id) & (runs.c.state == "running") & (runs.c.attempt == row.attempt)
    ending |= {"state": "failed", "ended": datetime.now(UTC), "eta_s": None}
    left = files_in(folder)
    with database.writing() as connection:
        if if_silent and row.id not in [one.id for one in silent_runs(connection, database.machine) if one.lost]:
            return False
        changed = connection.execute(sa.update(runs).where(seen).values(ending)).rowcount == 1
        if changed:
            add_event(connection, row.id, "failed", ending["error"])
            replace_artefacts(connection, row.id, left)
    return changed
