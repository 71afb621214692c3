"""The process of one run: claims it, fine-tunes, reports to the store, and ends in one terminal state.

Inputs: a run id and nothing else (`python -m timellm.jobs.worker RUN_ID`). Outputs: the run's folder, its row in the
store, and a log on standard output, which the launcher writes to the run's `log.txt`.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any, Protocol

import psutil

from timellm import __version__
from timellm.config import RunConfig
from timellm.errors import JobError, StoreError
from timellm.jobs.store.cause import cause_of, kind_of, mendable
from timellm.jobs.store.heartbeat import HeartbeatThread
from timellm.jobs.store.reporter import REFUSED_S, Reporter
from timellm.jobs.store.run import Ending, Run
from timellm.jobs.store.run_store import Store
from timellm.jobs.store.shortage import smaller_settings, told
from timellm.sizing.machine import let_the_kernel_end_this_first
from timellm.sizing.offers import Offer
from timellm.sizing.outofmemory import is_out_of_memory
from timellm.training.progress import OnProgress, ShouldStop

ASK_EVERY_S = 0.5
END_AGAIN_S, END_WITHIN_S = 5.0, 3600.0
"""How often, and for how long, an ending is tried that the store does not take."""

log = logging.getLogger(__name__)


class FitResult(Protocol):
    """Result of a fit: the summary for the store, and whether it was stopped before its end."""

    @property
    def summary(self) -> dict[str, Any]: ...

    @property
    def stopped(self) -> bool: ...


class Fit(Protocol):
    """The signature of `timellm.pipeline.fit`."""

    def __call__(
        self, config: RunConfig, *, run_dir: Path, on_progress: OnProgress, should_stop: ShouldStop
    ) -> FitResult: ...


def work(
    run_id: str, *, store: Store, fit: Fit, terminated: threading.Event | None = None, job: str | None = None
) -> Ending | None:
    """Claim the run, fit it, and write its one ending, which is returned; None if another process has the run.

    Setting `terminated` requests a stop, like the page's button. On a cluster, `job` is the id of the run's job.

    Raises:
        JobError: the run is unknown, or another process has ended its row meanwhile.
        StoreError: the store could not be used at the end, after many tries.
    """
    terminated = terminated or threading.Event()
    if not store.claim(run_id, job=job):
        log.info("the run is %s and it is not its turn, so there is nothing to do", store.get(run_id).state)
        return None
    run = store.get(run_id)
    with HeartbeatThread(store.database, run_id, attempt=run.attempt):
        return _fit_and_end(run, store=store, fit=fit, terminated=terminated)


def _fit_and_end(run: Run, *, store: Store, fit: Fit, terminated: threading.Event) -> Ending:
    reporter = Reporter(run.id, store, attempt=run.attempt)
    try:
        _log_header(run)
        stop = StopSign(run, store, terminated)
        result = fit(run.config, run_dir=run.run_dir, on_progress=reporter, should_stop=stop)
        reporter.flush()
    except Exception as error:
        offers = _after_shortage(error, run, reporter.memory_mib) if is_out_of_memory(error) else []
        cause = cause_of(error, offers)
        if mendable(error):
            log.error("failed: %s", cause)
        else:
            log.exception("failed: %s", cause)
        traceback.clear_frames(error.__traceback__)  # the ending may have to wait, and needs no memory for it
        return _end(run, "failed", store, error=cause, summary=told(offers), cause=kind_of(error))
    state = _end(run, "stopped" if result.stopped else "finished", store, summary=result.summary)
    log.info("%s after %.0f s", state, store.get(run.id).seconds or 0)
    return state


def _end(run: Run, state: Ending, store: Store, **ending: Any) -> Ending:
    """Write the run's ending; if the store cannot be used, for example on a full disk, try for a long time.

    Raises:
        JobError: the run no longer belongs to this worker.
        StoreError: it was tried for `END_WITHIN_S` seconds.
    """
    give_up = time.monotonic() + END_WITHIN_S
    while True:
        try:
            store.finish(run.id, state, attempt=run.attempt, **ending)
            return state
        except StoreError as error:
            if time.monotonic() > give_up:
                raise
            log.error("the ending '%s' cannot be written now and is tried again: %s", state, error)
        time.sleep(END_AGAIN_S)


def _after_shortage(error: Exception, run: Run, peak_mib: float | None) -> list[Offer]:
    """Settings with which the run would fit; the memory of the failed attempt is freed before they are searched."""
    traceback.clear_frames(error.__traceback__)
    gc.collect()
    own_mib = psutil.Process().memory_info().rss / 2**20
    return smaller_settings(run.config, run.run_dir, peak_mib=peak_mib, own_mib=own_mib)


class StopSign:
    """Whether the run should stop; the store is read at most twice a second, and may be unavailable."""

    def __init__(self, run: Run, store: Store, terminated: threading.Event) -> None:
        self._run, self._store, self._terminated = run, store, terminated
        self._ask_at, self._stop = -float("inf"), False

    def __call__(self) -> bool:
        """Look.

        Raises:
            JobError: the run was ended or resumed elsewhere, so nothing more may be written in its folder.
        """
        if self._stop or (_now() < self._ask_at and not self._terminated.is_set()):
            return self._stop
        self._ask_at = _now() + ASK_EVERY_S
        try:
            if self._terminated.is_set():
                self._store.request_stop(self._run.id)  # so that everybody sees it
            now = self._store.get(self._run.id)
        except StoreError as error:
            log.warning("the stop request cannot be read until the store can be used again: %s", error)
            self._ask_at = _now() + REFUSED_S
            self._stop = self._terminated.is_set()
            return self._stop
        if (now.state, now.attempt) != ("running", self._run.attempt):
            raise JobError(f"run '{now.id}' was ended or resumed elsewhere ({now.state}), so this worker stops")
        self._stop = now.stop_requested
        if self._stop:
            log.info("asked to stop; the best checkpoint is kept")
        return self._stop


def _now() -> float:
    """Seconds of a clock that also counts while the machine sleeps, if the system has one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def _log_header(run: Run) -> None:
    cores, memory = psutil.cpu_count(), psutil.virtual_memory().total / 2**30
    log.info("run %s: %s", run.id, run.name)
    log.info("Time-LLM %s, %s cores, %.0f GiB of memory, process %s", __version__, cores, memory, os.getpid())
    log.info("table %s", run.config.data.path)
    changed = run.config.differences(RunConfig.create(run.config.data.path, kind=run.config.kind))
    for name, (value, _) in changed.items():
        log.info("setting %s = %r", name, value)


def _fit(config: RunConfig, **callbacks: Any) -> FitResult:
    # torch comes in only now: a worker that waits for its turn stays small, and a broken installation fails the run.
    from timellm.pipeline import fit

    return fit(config, **callbacks)


def main(arguments: list[str]) -> int:
    """Work on the run named on the command line; 0 when it finished, was stopped or belongs to another process."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%F %T")
    if len(arguments) != 1:
        print("usage: python -m timellm.jobs.worker RUN_ID", file=sys.stderr)
        return 2
    let_the_kernel_end_this_first()
    terminated = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: terminated.set())
    try:
        return 1 if work(arguments[0], store=Store.open(), fit=_fit, terminated=terminated) == "failed" else 0
    except JobError as error:
        log.error("the worker ends: %s", error)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
