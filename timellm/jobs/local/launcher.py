"""Start a run: write its row, then start the machine's runner, which goes on when page and server end.

Inputs: a configuration. Outputs: the queued `Run`; from then on only the store holds its state.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

from timellm.config import RunConfig
from timellm.errors import JobError
from timellm.forecasters.time_llm.remote_code import check_remote_code
from timellm.installation import PROJECT
from timellm.jobs.cluster import runs as cluster_runs
from timellm.jobs.local.actions import go_on
from timellm.jobs.local.lease import ensure_runner
from timellm.jobs.store.cause import kind_of
from timellm.jobs.store.process import ProcessIdentity
from timellm.jobs.store.promise import Promise
from timellm.jobs.store.run import Run
from timellm.jobs.store.run_store import Store
from timellm.workspace import places

_PATIENCE_S = 10.0  # a runner that cannot live at all is not started anew by every look at the page


def start_run(
    config: RunConfig,
    *,
    name: str | None = None,
    store: Store | None = None,
    on_cluster: bool = False,
    workers: int = 1,
    promise: Promise | None = None,
) -> Run:
    """Queue a run for this machine's runner, or send it to the cluster that `TIMELLM_RAY` names.

    `promise` is the time that the user was told.

    Raises:
        BackboneError: it would run code of its backbone, and the operator of this server has not allowed that.
        JobError: the run's folder or the runner's process cannot be made, or the cluster does not take it; the run is
            then kept as failed. Nothing is kept when there is no cluster, or none that a run here could report from.
    """
    check_remote_code(config.forecaster)
    store = store or Store.open()
    if workers != 1 and not on_cluster:
        raise JobError("several workers need a cluster; on one machine, start them with torchrun and 'fit'")
    cluster = cluster_runs.check_cluster(store.database, config, workers=workers).queue if on_cluster else None
    run = store.create_run(config, name=name, cluster=cluster, workers=workers, promise=promise)
    _launch_or_fail(run, store)
    return store.get(run.id)


def start_again(run_id: str, *, store: Store, from_the_beginning: bool = False) -> Run:
    """Queue a stopped or failed run again, to continue its training or to begin it again.

    Raises:
        BackboneError: as `start_run`.
        JobError: the run is at work or finished, or no process can be made; the cause is then kept with the run.
    """
    check_remote_code(store.get(run_id).config.forecaster)
    run = go_on(store, run_id, from_the_beginning=from_the_beginning)
    if from_the_beginning:
        cluster_runs.forget(run, all_of_it=False)
    _launch_or_fail(run, store)
    return store.get(run_id)


def supervise(store: Store) -> None:
    """Fail runs whose process is gone, and replace a runner that died while runs wait; pages call this.

    Raises:
        JobError: the runner's process cannot be made.
    """
    store.reconcile()
    cluster_runs.reconcile_jobs(store)
    try:
        ensure_runner(store.database, lambda: start_runner(store), patience_s=_PATIENCE_S)
    except OSError as error:
        raise JobError(f"runs wait, but the runner's process cannot be started: {error}") from error


def launch(run: Run, *, store: Store) -> None:
    """Make a queued run's folder and see that the machine has a runner, or send it to its cluster.

    Raises:
        OSError: the folder or the process cannot be made.
        JobError: the cluster does not take it.
    """
    if run.on_cluster:
        cluster_runs.send(run, store)
        return
    run.run_dir.mkdir(parents=True, exist_ok=True)
    ensure_runner(store.database, lambda: start_runner(store))


def start_runner(store: Store) -> ProcessIdentity:
    """Start the machine's runner; what it prints goes to `runner.log` beside the runs.

    Raises:
        OSError: the process cannot be made.
    """
    runner = start_process(["timellm.jobs.local.runner"], log=store.place.checkpoints / "runner.log", store=store)
    # Somebody has to wait for a child that ends before the server does, or it stays as a zombie.
    threading.Thread(target=runner.wait, name="reap-runner", daemon=True).start()
    return ProcessIdentity.of(runner.pid)


def start_process(module: list[str], *, log: Path, store: Store) -> subprocess.Popen:
    """Start a module in a new process and session, in the store's workspace.

    Raises:
        OSError: the log's folder or the process cannot be made.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", *module],
            cwd=PROJECT,
            env={**os.environ, **places(), "TIMELLM_HOME": str(store.place.root.resolve()), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in the server's terminal must not reach it
        )


def _launch_or_fail(run: Run, store: Store) -> None:
    try:
        launch(run, store=store)
    except (OSError, JobError) as error:
        cause = str(error) if run.on_cluster else f"the worker of run '{run.id}' cannot be started: {error}"
        store.finish(run.id, "failed", error=cause, cause=kind_of(error))
        raise JobError(cause) from error
