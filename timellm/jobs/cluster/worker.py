"""The process of a run on a cluster: like `timellm.jobs.worker`, on any node that has room.

Inputs: a run id and the id of the job sent for it (`python -m timellm.jobs.cluster.worker RUN_ID JOB`), and what the
node's own environment says (timellm.jobs.cluster.node). Outputs: the run's row and folder. A single worker trains in
this process; with several, this process starts them and waits (timellm.jobs.cluster.training).
"""

from __future__ import annotations

import logging
import signal
import socket
import sys
import threading
from pathlib import Path

from timellm.config import RunConfig
from timellm.errors import TimeLLMError
from timellm.jobs.cluster.node import fit_here, log_to_job, node_store
from timellm.jobs.cluster.training import fit_on_workers
from timellm.jobs.worker import FitResult, work
from timellm.training.progress import OnProgress, ShouldStop

log = logging.getLogger(__name__)


def main(arguments: list[str]) -> int:
    """Work on the run and job named on the command line; 0 when it finished, was stopped or has another process."""
    log_to_job()
    if len(arguments) != 2:
        print("usage: python -m timellm.jobs.cluster.worker RUN_ID JOB", file=sys.stderr)
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
            return fit_on_workers(now, on_progress=on_progress, should_stop=should_stop)

        log.info("job %s on the node %s", job, socket.gethostname())
        state = work(run.id, store=store, fit=fit, terminated=terminated, job=job)
    except TimeLLMError as error:
        log.error("the worker ends: %s", error)
        return 1
    return 1 if state == "failed" else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
