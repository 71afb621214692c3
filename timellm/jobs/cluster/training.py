"""Several workers on one run: Ray Train starts them where there is room, and connects them as `torchrun` does.

Inputs: a run that its job has claimed. Outputs: the result of the main worker's fit, or the error that ended it. The
main worker alone writes the run's folder, reports to the store and reads the stop request; the job's own process waits.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from timellm.errors import JobError, LostError, TimeLLMError
from timellm.jobs.cluster.client import Room
from timellm.jobs.cluster.node import fit_here, log_to_job, node_store
from timellm.jobs.store.reporter import Reporter
from timellm.jobs.store.run import Run
from timellm.jobs.worker import StopSign
from timellm.training.progress import OnProgress, Progress, ShouldStop

_PATIENCE_S = 7200
"""For a worker that fetches a large backbone while the others wait for it."""
_ASK_EVERY_S = 0.5


@dataclass(frozen=True)
class _Result:
    summary: dict[str, Any]
    stopped: bool


def fit_on_workers(run: Run, *, on_progress: OnProgress, should_stop: ShouldStop) -> _Result:
    """Fine-tune on the run's number of workers.

    Raises:
        LostError: a worker's process or node is gone.
        TimeLLMError: `timellm.pipeline.fit` raised it on a worker.
    """
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer
    from ray.train.v2.api.exceptions import TrainingFailedError

    room = Room.of(run.config)
    on_progress(Progress("loading", message=f"Waiting for {run.workers} workers"))
    with tempfile.TemporaryDirectory(prefix="timellm-train-") as scratch, _forwarding_stop(should_stop):
        trainer = TorchTrainer(
            _train,
            train_loop_config={"run": run.id, "threads": room.cpus},
            scaling_config=ScalingConfig(
                num_workers=run.workers,
                use_gpu=room.gpus > 0,
                resources_per_worker={"CPU": room.cpus} | ({"GPU": room.gpus} if room.gpus else {}),
            ),
            torch_config=TorchConfig(timeout_s=_PATIENCE_S),
            run_config=RunConfig(name=run.id, storage_path=scratch),  # Ray's own notes; nothing of the run is in them
        )
        try:
            found = trainer.fit().return_value
        except TrainingFailedError as error:
            raise _first_error(error) from error
    return _Result(**found)


def _train(settings: dict[str, Any]) -> dict[str, Any]:
    """The work of each worker; the result of the main worker counts."""
    import ray.train
    import torch

    log_to_job()
    torch.set_num_threads(settings["threads"])
    store = node_store()
    run = store.get(settings["run"])
    if ray.train.get_context().get_world_rank() == 0:
        reporter = Reporter(run.id, store, attempt=run.attempt)
        result = fit_here(run, on_progress=reporter, should_stop=StopSign(run, store, threading.Event()))
        reporter.flush()
    else:
        from timellm.pipeline import fit

        with tempfile.TemporaryDirectory(prefix="timellm-worker-") as nothing:  # it writes nothing there
            result = fit(run.config, run_dir=nothing)
    return {"summary": result.summary, "stopped": result.stopped}


@contextlib.contextmanager
def _forwarding_stop(should_stop: ShouldStop) -> Iterator[None]:
    """Write a stop signal of this process to the store, where the main worker reads it."""
    over = threading.Event()

    def ask() -> None:
        while not over.wait(_ASK_EVERY_S):
            with contextlib.suppress(JobError):  # the main worker meets it as well, and ends by it
                should_stop()

    thread = threading.Thread(target=ask, name="stop sign", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _first_error(error: Exception) -> Exception:
    """The first error of a worker: one that the user can correct, a bug, or the loss of the worker."""
    failures = getattr(error, "worker_failures", None) or {}
    found = {rank: getattr(failure, "_base_exc", failure) for rank, failure in sorted(failures.items())}
    for failure in found.values():
        if isinstance(failure, (TimeLLMError, MemoryError)):
            return failure
    for rank, failure in found.items():
        if type(failure).__module__.startswith("ray."):
            said = " ".join(str(failure).split())[:300]
            return LostError(f"lost: worker {rank + 1} of the run is gone ({said}); resume the run")
    return next(iter(found.values()), error)
