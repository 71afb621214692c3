"""The machine's runner: starts a worker for each run that is due, and ends when no run waits.

Inputs: none (`python -m timellm.jobs.runner`). Outputs: worker processes, which go on if the runner dies. No service is
needed: a process that queues a run starts the runner, and a process that reads the runs starts a new one if it has
died.
"""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

from timellm.errors import JobError, StoreError
from timellm.jobs.cause import kind_of
from timellm.jobs.launcher import start_process
from timellm.jobs.process import this_process
from timellm.jobs.run import CauseKind
from timellm.jobs.seat import give_up_seat, take_seat
from timellm.jobs.store import Store

POLL_S = 0.5
NEVER_STARTED = "its process ended before it started the run; look at its log, then start it again"

log = logging.getLogger(__name__)

StartWorker = Callable[[str, Store], subprocess.Popen]


def start_worker(run_id: str, store: Store) -> subprocess.Popen:
    """Start the worker of a run; its output goes to the run's log.

    Raises:
        OSError: the run's folder or the process cannot be made.
    """
    return start_process(["timellm.jobs.worker", run_id], log=store.get(run_id).log_file, store=store)


def drain(store: Store, *, start: StartWorker = start_worker, terminated: threading.Event | None = None) -> bool:
    """Start waiting runs until none is left; False if another process does so already.

    Setting `terminated` ends it early; workers go on.
    """
    terminated, me = terminated or threading.Event(), this_process()
    if not take_seat(store.database, me):
        log.info("another process is this machine's runner")
        return False
    log.info("process %s is this machine's runner", me.pid)
    workers: dict[str, subprocess.Popen] = {}
    while True:
        try:
            _look(store, start, workers)
            if not workers and give_up_seat(store.database, me):
                return True
        except StoreError as error:  # runs would wait until somebody looks at the page
            log.warning("the queue is read again when the store can be used: %s", error)
        if terminated.wait(POLL_S):
            return give_up_seat(store.database, me, though_runs_wait=True)


def _look(store: Store, start: StartWorker, workers: dict[str, subprocess.Popen]) -> None:
    """Handle workers that have ended, and start those that are due."""
    store.reconcile()
    for run_id, worker in list(workers.items()):
        if worker.poll() is not None:
            _see_to_its_end(store, run_id, worker.returncode)
            del workers[run_id]
    for run_id in store.due():
        if run_id not in workers:
            _start(store, run_id, start, workers)


def _start(store: Store, run_id: str, start: StartWorker, workers: dict[str, subprocess.Popen]) -> None:
    try:
        workers[run_id] = start(run_id, store)
        log.info("run %s: process %s", run_id, workers[run_id].pid)
    except OSError as error:
        cause = f"the worker of run '{run_id}' cannot be started: {error}"
        _fail(store, run_id, cause, kind_of(error))


def _see_to_its_end(store: Store, run_id: str, code: int) -> None:
    """Fail a run whose worker ended before it claimed the run, or it would be started again and again."""
    if code != 0 and any(run.id == run_id for run in store.waiting()):
        _fail(store, run_id, NEVER_STARTED, "crash")


def _fail(store: Store, run_id: str, error: str, cause: CauseKind) -> None:
    log.error("run %s: %s", run_id, error)
    try:
        store.finish(run_id, "failed", error=error, cause=cause)
    except StoreError:  # to be told again
        raise
    except JobError as ended:  # withdrawn or deleted at this very moment; other runs still wait
        log.info("run %s: %s", run_id, ended)


def main() -> int:
    """Drain the queue of this machine; 0 when it is empty or another runner works on it."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%F %T")
    terminated = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: terminated.set())
    try:
        drain(Store.open(), terminated=terminated)
    except JobError as error:
        log.error("the runner ends: %s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
