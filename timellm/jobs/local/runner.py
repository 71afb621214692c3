"""The machine's runner: starts a worker for each run that is due, and ends when no run waits.

Inputs: none (`python -m timellm.jobs.local.runner`). Outputs: worker processes, which go on if the runner dies. No
service is needed: a process that queues a run starts the runner, and a process that reads the runs starts a new one if
it has died.
"""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass

from timellm.errors import JobError, StoreError
from timellm.jobs.local.launcher import start_process
from timellm.jobs.local.lease import acquire_lease, release_lease
from timellm.jobs.store.cause import kind_of
from timellm.jobs.store.process import this_process
from timellm.jobs.store.run import CauseKind
from timellm.jobs.store.run_store import Store

POLL_S = 0.5
NEVER_STARTED = "its process ended before it started the run; look at its log, then start it again"

log = logging.getLogger(__name__)

StartWorker = Callable[[str, Store], subprocess.Popen]


@dataclass(frozen=True)
class _Worker:
    """A process that was started for a run."""

    process: subprocess.Popen
    attempt: int
    """The run's attempt when it was started; the process counts it up when it claims the run."""


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
    if not acquire_lease(store.database, me):
        log.info("another process is this machine's runner")
        return False
    log.info("process %s is this machine's runner", me.pid)
    workers: dict[str, _Worker] = {}
    while True:
        try:
            _look(store, start, workers)
            if not workers and release_lease(store.database, me):
                return True
        except StoreError as error:  # runs would wait until somebody looks at the page
            log.warning("the queue is read again when the store can be used: %s", error)
        if terminated.wait(POLL_S):
            return release_lease(store.database, me, though_runs_wait=True)


def _look(store: Store, start: StartWorker, workers: dict[str, _Worker]) -> None:
    """Handle workers that have ended, and start those that are due."""
    store.reconcile()
    for run_id, worker in list(workers.items()):
        if worker.process.poll() is not None:
            _see_to_its_end(store, run_id, worker)
            del workers[run_id]
    for run_id in store.due():
        if run_id not in workers:
            _start(store, run_id, start, workers)


def _start(store: Store, run_id: str, start: StartWorker, workers: dict[str, _Worker]) -> None:
    try:
        attempt = store.get(run_id).attempt
        workers[run_id] = _Worker(start(run_id, store), attempt)
        log.info("run %s: process %s", run_id, workers[run_id].process.pid)
    except OSError as error:
        cause = f"the worker of run '{run_id}' cannot be started: {error}"
        _fail(store, run_id, cause, kind_of(error))


def _see_to_its_end(store: Store, run_id: str, worker: _Worker) -> None:
    """Fail a run whose worker ended before it claimed the run, or it would be started again and again.

    A run that waits because it was resumed after its worker was killed is in a later attempt than at the start.
    """
    waits = any((run.id, run.attempt) == (run_id, worker.attempt) for run in store.waiting())
    if worker.process.returncode != 0 and waits:
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
