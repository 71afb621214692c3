"""Actions on a run other than start and delete: each is one conditional change and one event.

Inputs: the store and a run's id. Outputs: the changed run. A caller that resumes a run must also launch it
(timellm.jobs.local.launcher).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from timellm.errors import JobError
from timellm.forecasters.start_rules import PRETRAINED
from timellm.jobs.cluster.runs import end_job
from timellm.jobs.store.event import Happening, add_event, files_in, replace_artefacts
from timellm.jobs.store.process import ProcessIdentity
from timellm.jobs.store.queue import last_position
from timellm.jobs.store.run import Run, State, one_line
from timellm.jobs.store.run_store import Store
from timellm.jobs.store.schema import curves, runs

MOST_TAGS, TAG_LETTERS, NOTE_LETTERS = 12, 40, 4000
_KILL_S = 5.0
_NOT_YET = {
    "state": "queued", "stop_requested": False, "ended": None, "error": None, "cause": None, "summary": "{}",
    "pid": None, "pid_started": None, "phase": None, "done": 0, "total": 0, "fraction": 0.0, "eta_s": None,
    "message": "", "started": None, "heartbeat": None,
}  # fmt: skip
_NOTHING_MEASURED = dict.fromkeys(
    ("train_loss", "validation_loss", "best_validation_loss", "learning_rate", "windows_per_s", "memory_mib")
)


def rename(store: Store, run_id: str, name: str) -> Run:
    """Give a run another name.

    Raises:
        JobError: there is no such run, or the name is empty.
    """
    name = one_line(name)[:200].strip()
    if not name:
        raise JobError("a run needs a name; write one")
    before = store.get(run_id)
    if before.name == name:
        return before
    return _change(store, before, {"name": name}, "renamed", f"was {before.name}")


def label(store: Store, run_id: str, *, tags: list[str], note: str) -> Run:
    """Give a run tags to find it by, and a note.

    Raises:
        JobError: there is no such run, or there are too many tags, too long ones, or too long a note.
    """
    wanted = tuple(dict.fromkeys(filter(None, map(one_line, tags))))
    if len(wanted) > MOST_TAGS or any(len(tag) > TAG_LETTERS for tag in wanted):
        raise JobError(f"a run may have {MOST_TAGS} tags of {TAG_LETTERS} letters; leave some out")
    if len(note) > NOTE_LETTERS:
        raise JobError(f"the note has {len(note):,} letters, and {NOTE_LETTERS:,} are allowed; shorten it")
    before = store.get(run_id)
    if (before.tags, before.note) == (wanted, note):
        return before
    return _change(store, before, {"tags": "\n".join(wanted), "note": note}, "labelled", ", ".join(wanted))


def go_on(store: Store, run_id: str, *, from_the_beginning: bool = False) -> Run:
    """Queue a stopped or failed run again, in the same folder.

    It continues from its training state, if there is one; `from_the_beginning` removes the state, what was learned in a
    pre-training, and the curves.

    Raises:
        JobError: there is no such run, it is running or has finished, or its files cannot be removed.
    """
    before = store.get(run_id)
    if before.state not in ("stopped", "failed"):
        raise JobError(f"run '{run_id}' is {before.state}; only a stopped or failed run can go on")
    changes: dict[str, Any] = _NOT_YET | {"worked_s": before.seconds or 0.0, "job": None}
    changes["machine"] = before.machine if before.on_cluster else store.database.machine
    kind: Happening = "resumed"
    if from_the_beginning:
        changes |= _NOTHING_MEASURED | {"worked_s": 0.0}
        kind = "started over"
    with store.database.writing() as connection:
        changes["position"] = last_position(connection, changes["machine"])
        _change_in(connection, before, changes)
        if from_the_beginning:
            connection.execute(sa.delete(curves).where(curves.c.run_id == run_id))
            try:  # before the change is committed: a run that starts over must not find it
                before.state_file.unlink(missing_ok=True)
                if (pretrained := before.run_dir / PRETRAINED).exists():
                    shutil.rmtree(pretrained)
            except OSError as error:
                raise JobError(f"the training state of run '{run_id}' cannot be removed: {error}") from None
        add_event(connection, run_id, kind)
    return store.get(run_id)


def ask_to_stop(store: Store, run_id: str) -> Run:
    """Request that a run stops and keeps its best checkpoint; a waiting run is withdrawn, from its cluster too.

    Raises:
        JobError: there is no such run, or the cluster cannot be asked; the run itself is withdrawn then.
    """
    before = store.get(run_id)
    after = store.request_stop(run_id)
    if before.on_cluster and after.state == "stopped" != before.state:
        end_job(before)
    return after


def stop_now(store: Store, run_id: str) -> Run:
    """End a run at once: its processes are killed, nothing is evaluated; its files stay.

    Raises:
        JobError: there is no such run, it works on another machine, or its process cannot be killed.
    """
    before = store.get(run_id)
    if before.state != "running":
        return ask_to_stop(store, run_id)  # a waiting one is withdrawn, an ended one stays as it is
    if before.machine != store.database.machine and not before.on_cluster:
        raise JobError(f"run '{run_id}' works on the machine '{before.machine}'; stop it there, or ask it to stop")
    worker = store.process_of(run_id)
    left = files_in(before.run_dir)
    ending = {"state": "stopped", "stop_requested": True, "ended": datetime.now(UTC), "eta_s": None, "summary": "{}"}
    with store.database.writing() as connection:
        _change_in(connection, before, ending)
        add_event(connection, run_id, "stopped", "at once, without evaluation")
        replace_artefacts(connection, run_id, left)
    # After its row: a worker that is still there cannot report any more, and gives up by itself.
    if before.on_cluster:
        end_job(before)
    elif worker is not None:
        _kill(worker)
    return store.get(run_id)


def _kill(worker: ProcessIdentity) -> None:
    if worker.pid == os.getpid() or not worker.alive():
        return
    with contextlib.suppress(ProcessLookupError):
        try:
            # A worker leads a group of its own, with whatever it has started; any other group is not its own.
            leads = os.getpgid(worker.pid) == worker.pid
            (os.killpg if leads else os.kill)(worker.pid, signal.SIGKILL)
        except PermissionError:
            raise JobError(f"process {worker.pid} belongs to another user, so it cannot be ended from here") from None
    deadline = time.monotonic() + _KILL_S
    while worker.alive() and time.monotonic() < deadline:
        time.sleep(0.02)


def _change(store: Store, before: Run, changes: dict[str, Any], kind: Happening, detail: str) -> Run:
    with store.database.writing() as connection:
        _change_in(connection, before, changes, any_state=True)
        add_event(connection, before.id, kind, detail)
    return store.get(before.id)


def _change_in(connection: sa.Connection, before: Run, changes: dict[str, Any], *, any_state: bool = False) -> None:
    """Change a run's row if it is still as it was read.

    Raises:
        JobError: it has changed meanwhile; nothing is written then.
    """
    seen = runs.c.id == before.id
    if not any_state:
        seen &= (runs.c.state == before.state) & runs.c.pid.is_not_distinct_from(before.pid)
    if connection.execute(sa.update(runs).where(seen).values(changes)).rowcount == 0:
        now: State | None = connection.scalar(sa.select(runs.c.state).where(runs.c.id == before.id))
        raise JobError(f"run '{before.id}' is {now or 'gone'} by now, no longer {before.state}; look at it again")
