"""Runs on a Ray cluster: send them, check on them, end them, and fetch their folders.

Inputs: runs whose machine is a cluster's queue. Outputs: the same rows of the store that every run has. The worker on
the cluster writes its own progress and ending. This module only fails a run whose job ended without writing an ending.
The cluster orders its jobs itself, so these runs are in no machine's queue.
"""

from __future__ import annotations

import logging
import secrets
import time
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import sqlalchemy as sa

from timellm.config import RunConfig
from timellm.errors import JobError
from timellm.jobs.cluster.client import Cluster, Job, Room
from timellm.jobs.cluster.remote_folder import RemoteFolder
from timellm.jobs.store.database import Database
from timellm.jobs.store.run import ACTIVE, CauseKind, Run, log_tail
from timellm.jobs.store.run_store import Store
from timellm.jobs.store.schema import runs

ASK_EVERY_S, REFUSED_S = 3.0, 30.0
"""How often the cluster is asked, and how long it is left alone when it could not be."""
NEW_S, SILENT_S = 60.0, 120.0
"""A job that the cluster does not know may only just be on its way, or the address may lead to another cluster: so long
is waited after it was sent, or after its run last reported."""
MOST_WORKERS = 1024
_SAID = 400

log = logging.getLogger(__name__)


def check_cluster(database: Database, config: RunConfig, *, workers: int) -> Cluster:
    """The cluster that runs can be sent to; no request is made.

    Raises:
        JobError: no cluster is set, its nodes cannot reach the store, a setting has no meaning, or one process fits
            this kind of forecaster and several are asked for.
    """
    cluster = Cluster.configured()
    if cluster is None:
        raise JobError(
            "no cluster is named here: set TIMELLM_RAY to the address of its dashboard, like http://head:8265"
        )
    if not database.shared:
        raise JobError(
            "a run on a cluster reports to a store that all its nodes reach, and this one is a file on this machine:"
            " set TIMELLM_STORE to a PostgreSQL server, here and on the nodes"
        )
    if not 1 <= workers <= MOST_WORKERS:
        raise JobError(f"{workers} workers are not possible; give a number from 1 to {MOST_WORKERS}")
    if workers > 1 and config.training is None:
        raise JobError(f"'{config.kind}' is fitted by one process; set the number of workers to 1, not {workers}")
    check_files(config)
    Room.of(config)
    return cluster


def check_files(config: RunConfig) -> None:
    """Refuse a run that needs more files than its table, which alone is sent to a cluster.

    Raises:
        JobError: it does.
    """
    if config.data.known_file:
        raise JobError(
            "a run on a cluster takes one file with it, and this one has a second one with columns known ahead; put"
            " these columns into the table"
        )
    if config.training is not None and (config.training.start_from or config.training.pretrain):
        raise JobError(
            "a run on a cluster takes one file with it, and this one begins at what other files of this machine give"
            " (start_from, pretrain); run it here"
        )


def send(run: Run, store: Store) -> None:
    """Send a queued run to its cluster.

    Raises:
        JobError: the cluster refuses it or cannot be reached, or the table cannot be uploaded for the nodes.
        OSError: the run's folder cannot be made.
    """
    cluster, room = _cluster_of(run), Room.of(run.config)
    if (remote := RemoteFolder.configured()) is not None:
        remote.put_table(run.id, Path(run.config.data.path))
    else:
        run.run_dir.mkdir(parents=True, exist_ok=True)
    job = f"timellm-{run.id}-{secrets.token_hex(3)}"
    with store.database.writing(alone=False) as connection:  # before it is sent: its worker has to find it
        row = (runs.c.id == run.id) & (runs.c.state == "queued")
        connection.execute(sa.update(runs).where(row).values(job=job, updated=datetime.now(UTC)))
    cluster.submit(job, f"python -m timellm.jobs.cluster.worker {run.id} {job}", room=room, workers=run.workers)


def reconcile_jobs(store: Store) -> None:
    """Fail the cluster's runs whose job ended without an ending in the store. Requests are rare."""
    cluster = Cluster.configured()
    if cluster is None or not store.database.shared or not _contact(cluster).may_ask():
        return
    mine = sa.select(runs.c.id).where(
        runs.c.state.in_(ACTIVE), runs.c.machine == cluster.queue, runs.c.job.is_not(None)
    )
    with store.database.reading() as connection:
        found = connection.execute(mine).scalars().all()
    if not found:
        return
    try:
        for run_id in found:
            run = store.get(run_id)
            if run.active and run.job:
                _settle(store, cluster, run, cluster.look(run.job))
        _contact(cluster).succeeded()
    except JobError as error:
        _contact(cluster).failed(str(error))


def trouble(run: Run) -> str | None:
    """Why the last request to the cluster of an active run failed; None if it succeeded."""
    if not run.on_cluster or not run.active:
        return None
    cluster = Cluster.configured()
    if cluster is None or cluster.queue != run.machine:
        return f"it works on the cluster {_address(run)}, which is not the one that TIMELLM_RAY names here"
    return _contact(cluster).trouble


def end_job(run: Run) -> None:
    """End the job of a run on its cluster.

    Raises:
        JobError: the run's cluster is not the one that is set here, or it does not answer.
    """
    if run.job:
        _cluster_of(run).stop(run.job)


def log_of(run: Run, *, lines: int = 200) -> str:
    """The end of a run's log; for a run at work on a cluster, the cluster's own copy."""
    here = log_tail(run.log_file, lines=lines)
    if not run.on_cluster or not run.job or (here and not (run.active and RemoteFolder.configured())):
        return here
    try:
        return _cluster_log(_cluster_of(run), run.job, round(time.monotonic() / ASK_EVERY_S), lines) or here
    except JobError as error:
        return f"(the log cannot be read: {error})"


def sync_folder(run: Run, *, now: bool = False) -> None:
    """Update the local copy of a cluster run's folder from its URL, if they are kept at one; requests are rare.

    Raises:
        JobError: the place cannot be used.
        CheckpointError: the files there are not those that were uploaded.
    """
    if run.on_cluster and run.state != "queued" and (remote := RemoteFolder.configured()) is not None:
        moment = time.monotonic() if now else (run.state, run.ended, round(time.monotonic() / REFUSED_S))
        _synced(remote, run.id, run.run_dir, moment)


def forget(run: Run, *, all_of_it: bool = True) -> None:
    """Remove a run's files at the URL."""
    if run.on_cluster and (remote := RemoteFolder.configured()) is not None:
        remote.delete(run.id, table=all_of_it)


# ---- inside


class _Contact:
    """When this process last made a request to a cluster, and whether it answered."""

    def __init__(self) -> None:
        self.trouble: str | None = None
        self._ask_at = -float("inf")

    def may_ask(self) -> bool:
        if time.monotonic() < self._ask_at:
            return False
        self._ask_at = time.monotonic() + ASK_EVERY_S
        return True

    def succeeded(self) -> None:
        self.trouble = None

    def failed(self, why: str) -> None:
        if self.trouble is None:
            log.warning("%s", why)
        self.trouble, self._ask_at = why, time.monotonic() + REFUSED_S


@lru_cache(maxsize=8)
def _contact(cluster: Cluster) -> _Contact:
    return _Contact()


@lru_cache(maxsize=64)
def _cluster_log(cluster: Cluster, job: str, moment: int, lines: int) -> str:
    return cluster.log(job, lines=lines)


@lru_cache(maxsize=64)
def _synced(remote: RemoteFolder, run_id: str, folder: Path, moment: object) -> bool:
    return remote.pull(run_id, folder)


def _settle(store: Store, cluster: Cluster, run: Run, job: Job) -> None:
    if job.state == "waits" and run.state == "queued" and run.message != job.why:
        waits = (runs.c.id == run.id) & (runs.c.state == "queued")
        with store.database.writing(alone=False) as connection:
            connection.execute(sa.update(runs).where(waits).values(message=job.why))
    if job.state in ("waits", "works") or (job.state == "unknown" and _may_come(run)):
        return
    if run.state == "queued":
        said = " ".join(cluster.log(run.job or "", lines=12).split())[-_SAID:]
        error = f"{job.why}, and the run had not started" + (f"; its last output: … {said}" if said else "")
        cause: CauseKind = "crash"
    else:
        error = f"lost: {job.why}, and the run wrote no ending; read its log for more, then resume it or start it again"
        cause = "lost"
    try:
        sync_folder(run, now=True)
        if store.get(run.id).job == run.job:  # not sent anew meanwhile
            store.finish(run.id, "failed", error=error, cause=cause, attempt=run.attempt)
    except JobError as ended:  # it had its own word after all, or was deleted
        log.info("run %s: %s", run.id, ended)


def _may_come(run: Run) -> bool:
    since = run.updated or run.created
    return (datetime.now(UTC) - since).total_seconds() < (NEW_S if run.state == "queued" else SILENT_S)


def _cluster_of(run: Run) -> Cluster:
    cluster = Cluster.configured()
    if cluster is None or cluster.queue != run.machine:
        raise JobError(
            f"run '{run.id}' is for the cluster {_address(run)}, which is not the one that"
            " TIMELLM_RAY names here; set it, or do this where it is set"
        )
    return cluster


def _address(run: Run) -> str:
    return run.machine.partition(":")[2]
