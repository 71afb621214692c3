"""Start a run: write its row, then a process of its own that outlives the page, the server and the terminal.

Enters: a configuration. Leaves: the queued `Run`; from then on only the store knows how it fares.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading

from timellm.config import RunConfig
from timellm.errors import JobError
from timellm.jobs.actions import go_on
from timellm.jobs.cause import kind_of
from timellm.jobs.run import Run
from timellm.jobs.store import Store
from timellm.workspace import PROJECT, cache_folder


def start_run(config: RunConfig, *, name: str | None = None, store: Store | None = None) -> Run:
    """Queue a run and start its worker, which waits for its turn; one run works at a time.

    Raises:
        JobError: the run's folder or process cannot be made; the run is then kept as failed, with the cause.
    """
    store = store or Store.open()
    run = store.create_run(config, name=name)
    _launch_or_fail(run, store)
    return store.get(run.id)


def _launch_or_fail(run: Run, store: Store) -> None:
    try:
        launch(run, store=store)
    except OSError as error:
        cause = f"the worker of run '{run.id}' cannot be started: {error}"
        store.finish(run.id, "failed", error=cause, cause=kind_of(error))
        raise JobError(cause) from error


def start_again(run_id: str, *, store: Store, from_the_beginning: bool = False) -> Run:
    """Let a stopped or failed run go on in its folder, from where its training stood or from its beginning.

    Raises:
        JobError: the run is at work or finished, or its process cannot be made; the cause is then kept with the run.
    """
    run = go_on(store, run_id, from_the_beginning=from_the_beginning)
    _launch_or_fail(run, store)
    return store.get(run_id)


def launch(run: Run, *, store: Store) -> int:
    """Start the worker of a queued run and return its pid; what it prints goes to the run's log.

    Raises:
        OSError: the folder or the process cannot be made.
    """
    run.run_dir.mkdir(parents=True, exist_ok=True)
    # The worker starts in another folder, so places that may have been given relative to this one go along in full.
    places = {"TIMELLM_HOME": str(store.place.root.resolve()), "TIMELLM_CACHE": str(cache_folder())}
    with run.log_file.open("ab") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "timellm.jobs.worker", run.id],
            cwd=PROJECT,
            env={**os.environ, **places, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in the server's terminal must not reach it
        )
    # Somebody has to wait for a child that ends before the server does, or it stays as a zombie.
    threading.Thread(target=worker.wait, name=f"reap-{run.id}", daemon=True).start()
    return worker.pid
