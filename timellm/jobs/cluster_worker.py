"""The process of a run on a cluster: like `timellm.jobs.worker`, on any node that has room.

Inputs: a run id and the id of the job sent for it (`python -m timellm.jobs.cluster_worker RUN_ID JOB`), and from the
node's own environment the places of the store and the run folders. Outputs: the run's row and folder. A single worker
trains in this process; with several, this process starts them and waits (timellm.jobs.cluster_training).
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

from timellm.config import RunConfig
from timellm.errors import JobError, TimeLLMError
from timellm.jobs.run import Run
from timellm.jobs.shelf import Shelf
from timellm.jobs.store import Store
from timellm.jobs.worker import FitResult, work
from timellm.training.progress import OnProgress, Progress, ShouldStop
from timellm.workspace import Workspace

_PUSH_COST = 20
"""A push may take a twentieth of the time."""
_FORMAT = "%(asctime)s %(message)s"

log = logging.getLogger(__name__)


def node_store() -> Store:
    """The team's store as this node reaches it.

    Raises:
        JobError: the node's environment does not name the store or the run folders, or the node cannot reach them.
    """
    here = socket.gethostname()
    if not os.environ.get("TIMELLM_STORE"):
        raise JobError(
            f"TIMELLM_STORE is not set on the node {here}: set it in the environment in which Ray is started there"
        )
    if os.environ.get("TIMELLM_HOME"):
        return Store.open()
    if Shelf.configured() is None:
        raise JobError(
            f"on the node {here} neither TIMELLM_ARTIFACTS (a URL) nor TIMELLM_HOME (a folder that all machines share)"
            " is set, so that the run would be lost: set one in the environment in which Ray is started there"
        )
    return Store.open(Workspace(Path(tempfile.gettempdir()) / f"timellm-{os.getuid()}"))


def fit_here(run: Run, *, on_progress: OnProgress, should_stop: ShouldStop) -> FitResult:
    """Fine-tune in this process; with a shelf, in a folder that is downloaded before and uploaded after.

    Raises:
        TimeLLMError: `timellm.pipeline.fit` raised it, or the shelf or the run's folder cannot be used.
    """
    from timellm.pipeline import fit

    shelf = Shelf.configured()
    if shelf is None:
        if not run.run_dir.is_dir():  # the sender of the run has made it
            raise JobError(
                f"the node {socket.gethostname()} does not find the run's folder {run.run_dir}: TIMELLM_HOME must be a"
                " folder that all machines share, or set TIMELLM_ARTIFACTS to a URL"
            )
        with _logging_to(run.log_file):
            return fit(run.config, run_dir=run.run_dir, on_progress=on_progress, should_stop=should_stop)
    shelf.pull(run.id, run.run_dir)
    pushes = _Pushes(shelf, run, on_progress)
    try:
        with tempfile.TemporaryDirectory(prefix="timellm-table-") as folder, _logging_to(run.log_file):
            table = shelf.fetch_table(run.id, Path(folder))
            result = fit(run.config, run_dir=run.run_dir, on_progress=pushes, should_stop=should_stop, table_file=table)
    except JobError:  # the run may be another worker's by now, and so is what is kept of it
        raise
    except Exception:
        shelf.push(run.id, run.run_dir)
        raise
    shelf.push(run.id, run.run_dir)
    return result


class _Pushes:
    """Uploads the run's folder when its best weights or its state are new, so that another node can resume."""

    def __init__(self, shelf: Shelf, run: Run, on_progress: OnProgress) -> None:
        self._shelf, self._run, self._on_progress = shelf, run, on_progress
        self._pushed, self._next = self._newest(), 0.0

    def __call__(self, progress: Progress) -> None:
        self._on_progress(progress)
        begin = time.monotonic()
        if begin < self._next or (newest := self._newest()) == self._pushed:
            return
        try:
            self._shelf.push(self._run.id, self._run.run_dir)
            self._pushed = newest
        except JobError as error:  # the next one may do better; the last one has to
            log.warning("%s", error)
        end = time.monotonic()
        self._next = end + _PUSH_COST * (end - begin)

    def _newest(self) -> int:
        state = self._run.state_file
        return state.stat().st_mtime_ns if state.is_file() else 0


class _logging_to:
    """Write log messages also to a file, while this context is open."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __enter__(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._handler = logging.FileHandler(self._file, encoding="utf-8")
        self._handler.setFormatter(logging.Formatter(_FORMAT, "%F %T"))
        logging.getLogger().addHandler(self._handler)

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self._handler)
        self._handler.close()


def log_to_job() -> None:
    """Print log messages; the cluster keeps them as the job's log."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format=_FORMAT, datefmt="%F %T")


def main(arguments: list[str]) -> int:
    """Work on the run and job named on the command line; 0 when it finished, was stopped or has another process."""
    log_to_job()
    if len(arguments) != 2:
        print("usage: python -m timellm.jobs.cluster_worker RUN_ID JOB", file=sys.stderr)
        return 2
    run_id, job = arguments
    terminated = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: terminated.set())

    try:
        store = node_store()
        run = store.get(run_id)

        def fit(config: RunConfig, *, run_dir: Path, on_progress: OnProgress, should_stop: ShouldStop) -> FitResult:
            # What the run is now: it may have been edited while it waited, and its attempt is a new one.
            now = store.get(run_id)
            if now.workers == 1:
                return fit_here(now, on_progress=on_progress, should_stop=should_stop)
            from timellm.jobs.cluster_training import fit_on_workers

            return fit_on_workers(now, on_progress=on_progress, should_stop=should_stop)

        log.info("job %s on the node %s", job, socket.gethostname())
        state = work(run.id, store=store, fit=fit, terminated=terminated, job=job)
    except TimeLLMError as error:
        log.error("the worker ends: %s", error)
        return 1
    return 1 if state == "failed" else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
