"""Forecasts of very many series on a Ray cluster: the work of `timellm.forecasting.many`, spread over workers.

Ray Data streams: files are read chunk by chunk, each worker has loaded the network once, and only a few chunks are
under way at a time, whatever the table's size. The parts are those that one process would write.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from timellm.data.longtable import Chunk
from timellm.errors import ConfigError, DataError, JobError, TimeLLMError
from timellm.forecasting.many import Done, OnPart, Part, Task, Worker, gather, prepare, read
from timellm.forecasting.ray_head import check_head
from timellm.installation import PROJECT, install_command

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Spread:
    """How the work is spread: over how many workers of which cluster."""

    address: str
    """host:port of the cluster's head as Ray's own programs take it, or "auto" on one of its nodes."""
    workers: int
    cpus: int = 1
    """Cores, and so threads, of each worker."""
    gpus: int = 0

    def __post_init__(self) -> None:
        if self.workers < 1 or self.cpus < 1 or self.gpus < 0:
            raise ConfigError("a forecast on a cluster needs at least one worker with at least one core")


def forecast_spread(
    run_dir: str | Path,
    data: str | Path,
    out: str | Path,
    *,
    spread: Spread,
    on_part: OnPart = lambda done: None,
) -> Done:
    """As `forecast_many`, on the workers of a cluster; every node has to reach the run's folder, the data and `out`.

    Raises:
        JobError: Ray is not installed, or the cluster cannot be used.
        DataError, CheckpointError, BackboneError: as `forecast_many`.
    """
    ray = _connected(spread.address)
    task = prepare(run_dir, data, out, device=None if spread.gpus else "cpu")
    has = ray.cluster_resources()
    for kind, wanted in (("CPU", spread.cpus), ("GPU", spread.gpus)):
        if has.get(kind, 0) < wanted * spread.workers:  # no error: it may be one that grows
            log.warning(
                "%s workers want %s %ss, and the cluster has %g now; the forecast waits until there are enough",
                spread.workers, wanted * spread.workers, kind, has.get(kind, 0),
            )  # fmt: skip
    try:
        files = [{"file": number} for number in range(len(task.files))]
        chunks = ray.data.from_items(files, override_num_blocks=len(files)).map_batches(
            # Of other room than the workers': else Ray makes one step of both, and a file's chunks go to one worker.
            _read_file,
            fn_kwargs={"task": task},
            batch_size=1,
            batch_format="pyarrow",
            num_cpus=0,
        )
        parts = chunks.map_batches(
            _ClusterWorker,
            fn_constructor_args=(task, spread.cpus),
            batch_size=1,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=spread.workers),
            num_cpus=spread.cpus,
            num_gpus=spread.gpus or None,
        )
        return gather(task, map(_part, parts.iter_rows()), on_part=on_part)
    except ray.exceptions.RayError as error:
        raise _unwrapped(error) from error


def _connected(address: str) -> Any:
    try:
        import ray
        import ray.data
    except ImportError:
        raise JobError(f"a forecast on a cluster needs Ray: {install_command('ray')}") from None
    ray.data.DataContext.get_current().enable_progress_bars = False
    if ray.is_initialized():
        return ray
    if address != "auto":  # that is looked up in what Ray's own programs have left on this machine
        check_head(address)
    try:
        ray.init(
            address,
            log_to_driver=False,
            configure_logging=False,
            runtime_env={"py_modules": [str(PROJECT / "timellm")]},
        )
    except Exception as error:  # noqa: BLE001, Ray raises whatever it likes; it is raised again
        said = " ".join(str(error).split())[:400]
        raise JobError(
            f"the Ray cluster at {address} cannot be used: {said}; look whether it runs, whether RAY_AUTH_MODE=token"
            " and RAY_AUTH_TOKEN are set as on its head, and whether Python and Ray have the same versions there"
        ) from None
    return ray


def _read_file(files: pa.Table, *, task: Task) -> Iterator[pa.Table]:
    (number,) = files["file"].to_pylist()
    for place, chunk in read(task, number):
        numbers = {"file": pa.array([number], pa.int64()), "chunk": pa.array([place], pa.int64())}
        row = chunk.to_arrow()
        for name, column in numbers.items():
            row = row.append_column(name, column)
        yield row


class _ClusterWorker:
    """`Worker` as Ray Data calls it: one chunk a row."""

    def __init__(self, task: Task, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)  # sums over another number of threads may be made in another order
        self._worker = Worker(task)

    def __call__(self, row: pa.Table) -> pa.Table:
        part = self._worker(row["file"][0].as_py(), row["chunk"][0].as_py(), Chunk.from_arrow(row))
        return pa.table(
            {
                "file": [part.file],
                "chunk": [part.chunk],
                "series": [part.series],
                "left_out": [part.left_out],
                "hashes": pa.array([part.hashes], pa.list_(pa.uint64())),
            }
        )


def _part(row: dict[str, Any]) -> Part:
    return Part(row["file"], row["chunk"], row["series"], row["left_out"], np.asarray(row["hashes"], np.uint64))


def _unwrapped(error: Exception) -> Exception:
    """The worker's own error, if it is one that a user can mend."""
    below: BaseException | None = error
    while below is not None:
        if isinstance(below, TimeLLMError):
            return below
        below = getattr(below, "cause", None) or below.__cause__
    last = str(error).strip().splitlines()[-1][:300] if str(error).strip() else type(error).__name__
    if "DataError" in last:
        return DataError(last.split("DataError: ", 1)[-1])
    return JobError(f"a worker of the cluster failed: {last}")
