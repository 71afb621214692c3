"""Runs whose process is gone without a word: they are failed, with the likeliest cause.

Enters: the store. Leaves: the runs that were failed. Only runs of this machine can be told, since nobody can look at
another machine's processes.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from timellm.jobs.event import add_event, files_in, replace_artefacts
from timellm.jobs.process import ProcessIdentity
from timellm.jobs.run import Run
from timellm.jobs.schema import runs
from timellm.jobs.shortage import killed_for_memory, told

if TYPE_CHECKING:
    from timellm.jobs.store import Store

LOST = (
    "lost: its process ended without a word (killed, out of memory, or the machine was restarted); "
    "the end of the log may say more, then start it again"
)


def fail_lost_runs(store: Store) -> tuple[Run, ...]:
    """Fail the runs whose process is gone. Cheap while nothing is lost: one read."""
    working = sa.select(runs.c.id, runs.c.pid, runs.c.pid_started)
    working = working.where(runs.c.state == "running", runs.c.machine == store.database.machine)
    with store.database.reading() as connection:
        rows = connection.execute(working).all()
    lost = [row for row in rows if not ProcessIdentity(row.pid, row.pid_started).alive()]
    return tuple(store.get(row.id) for row in lost if _fail_if_unchanged(store, row))


def _fail_if_unchanged(store: Store, row: sa.Row) -> bool:
    seen = (runs.c.id == row.id) & (runs.c.state == "running") & (runs.c.pid == row.pid)
    ending: dict[str, Any] = {"state": "failed", "ended": datetime.now(UTC), "eta_s": None}
    run = store.get(row.id)
    if (shortage := killed_for_memory(run)) is not None:
        ending |= {"error": shortage.cause, "summary": json.dumps(told(shortage.offers)), "cause": "memory"}
    else:
        ending |= {"error": LOST, "cause": "lost"}
    left = files_in(run.run_dir)
    with store.database.writing() as connection:
        changed = connection.execute(sa.update(runs).where(seen).values(ending)).rowcount == 1
        if changed:
            add_event(connection, row.id, "failed", ending["error"])
            replace_artefacts(connection, row.id, left)
    return changed
