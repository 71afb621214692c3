"""Verbs that send a run to this machine's queue or to a cluster, and follow, stop and log it from a terminal."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

from timellm.cli.answer import Answer
from timellm.cli.bar import Bar

if TYPE_CHECKING:
    from timellm.jobs.store.run import Run
    from timellm.jobs.store.run_store import Store

_LOOK_EVERY_S = 1.0


def submit(arguments: argparse.Namespace) -> Answer:
    """Queue a run for this machine, or send it to the cluster that `TIMELLM_RAY` names.

    Raises:
        TimeLLMError: the table, a setting or the backbone cannot be used, or the cluster refuses the run.
    """
    from timellm.cli.fitting import _configuration
    from timellm.jobs.local.launcher import start_run

    there = arguments.on == "cluster"
    run = start_run(_configuration(arguments), name=arguments.name, on_cluster=there, workers=arguments.workers)
    where = f"the cluster {run.machine.partition(':')[2]}" if there else "this machine"
    return Answer(_facts(run), f"{run.id} waits for {where}; 'follow {run.id}' shows its progress")


def follow(arguments: argparse.Namespace) -> Answer:
    """Show a run's progress until it ends; Ctrl-C ends this command, not the run.

    Raises:
        JobError: there is no such run.
    """
    from timellm.jobs.local.launcher import supervise

    store = _store()
    with Bar() as bar:
        while True:
            supervise(store)
            run = store.get(arguments.run)
            if not run.active:
                break
            if (progress := _progress(run)) is not None:
                bar.show(progress)
            time.sleep(_LOOK_EVERY_S)
    return Answer(_facts(run), _ending(run))


def stop(arguments: argparse.Namespace) -> Answer:
    """Request that a run stops and keeps its best checkpoint, or end it at once.

    Raises:
        JobError: there is no such run, or its machine or cluster cannot be reached.
    """
    from timellm.jobs.local.actions import ask_to_stop, stop_now

    run = (stop_now if arguments.now else ask_to_stop)(_store(), arguments.run)
    said = "it stops after its current step and keeps its best" if run.active else _ending(run)
    return Answer(_facts(run), said)


def log(arguments: argparse.Namespace) -> Answer:
    """The end of a run's log, on this machine or on a cluster.

    Raises:
        JobError: there is no such run.
    """
    from timellm.jobs.cluster.runs import log_of, sync_folder

    run = _store().get(arguments.run)
    sync_folder(run)
    text = log_of(run, lines=arguments.lines)
    return Answer({"run": run.id, "log": text}, text or "nothing has been written yet")


def _store() -> Store:
    from timellm.jobs.store.run_store import Store

    return Store.open()


def _facts(run: Run) -> dict[str, Any]:
    names = ("id", "name", "state", "machine", "workers", "phase", "fraction", "run_dir", "error", "summary")
    return {name: getattr(run, name) for name in names}


def _ending(run: Run) -> str:
    return f"{run.id} {run.state}" + (f": {run.error}" if run.error else "")


def _progress(run: Run) -> Any:
    from timellm.training.progress import Progress

    if run.phase is None:
        return None
    measured = ("fraction", "eta_s", "train_loss", "validation_loss", "windows_per_s", "memory_mib", "message")
    return Progress(run.phase, run.done, run.total, **{name: getattr(run, name) for name in measured})
