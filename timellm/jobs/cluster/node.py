"""What a worker on a cluster finds on its node: the store, the log, and the run's folder, from afar if need be.

Inputs: the places of the store and the run folders, from the node's own environment, and a run that its job claimed.
Outputs: the store, and the result of the fit in this process.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import tempfile
import time
from pathlib import Path

from timellm.errors import JobError
from timellm.jobs.cluster.remote_folder import RemoteFolder
from timellm.jobs.store.run import Run
from timellm.jobs.store.run_store import Store
from timellm.jobs.worker import FitResult
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
    if RemoteFolder.configured() is None:
        raise JobError(
            f"on the node {here} neither TIMELLM_ARTIFACTS (a URL) nor TIMELLM_HOME (a folder that all machines share)"
            " is set, so that the run would be lost: set one in the environment in which Ray is started there"
        )
    return Store.open(Workspace(Path(tempfile.gettempdir()) / f"timellm-{os.getuid()}"))


def fit_here(run: Run, *, on_progress: OnProgress, should_stop: ShouldStop) -> FitResult:
    """Fine-tune in this process; with a remote folder, in a folder that is downloaded before and uploaded after.

    Raises:
        TimeLLMError: `timellm.pipeline.fit` raised it, or the remote folder or the run's folder cannot be used.
    """
    from timellm.pipeline import fit

    remote = RemoteFolder.configured()
    if remote is None:
        if not run.run_dir.is_dir():  # the sender of the run has made it
            raise JobError(
                f"the node {socket.gethostname()} does not find the run's folder {run.run_dir}: TIMELLM_HOME must be a"
                " folder that all machines share, or set TIMELLM_ARTIFACTS to a URL"
            )
        with _logging_to(run.log_file):
            return fit(run.config, run_dir=run.run_dir, on_progress=on_progress, should_stop=should_stop)
    remote.pull(run.id, run.run_dir)
    pushes = _Pushes(remote, run, on_progress)
    try:
        with tempfile.TemporaryDirectory(prefix="timellm-table-") as folder, _logging_to(run.log_file):
            table = remote.fetch_table(run.id, Path(folder))
            result = fit(run.config, run_dir=run.run_dir, on_progress=pushes, should_stop=should_stop, table_file=table)
    except JobError:  # the run may be another worker's by now, and so is what is kept of it
        raise
    except Exception:
        remote.push(run.id, run.run_dir)
        raise
    remote.push(run.id, run.run_dir)
    return result


class _Pushes:
    """Uploads the run's folder when its best weights or its state are new, so that another node can resume."""

    def __init__(self, remote: RemoteFolder, run: Run, on_progress: OnProgress) -> None:
        self._remote, self._run, self._on_progress = remote, run, on_progress
        self._pushed, self._next = self._newest(), 0.0

    def __call__(self, progress: Progress) -> None:
        self._on_progress(progress)
        begin = time.monotonic()
        if begin < self._next or (newest := self._newest()) == self._pushed:
            return
        try:
            self._remote.push(self._run.id, self._run.run_dir)
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
