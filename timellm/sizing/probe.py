"""The process that measures this machine once: speed of matrix products and memory, and the program's own memory.

`python -m timellm.sizing.probe` prints one line of JSON; `timellm.sizing.machine` starts it and keeps the result.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable

import psutil
import torch

from timellm.config import ModelConfig
from timellm.data import prepared  # noqa: F401 - with what follows, everything that a worker has in memory
from timellm.forecasters.time_llm import network  # noqa: F401
from timellm.forecasters.time_llm.backbone import backbone_dtype
from timellm.training import loop  # noqa: F401
from timellm.training.checkpoint import device_of

_SIZE = {"cpu": 512, "cuda": 4096}
_TIMED_S = 0.2


def measure() -> dict[str, object]:
    """The fields of `MachineFacts` but for the processor's name."""
    device = device_of("auto")
    fast, quantized = (backbone_dtype(ModelConfig(quantization=name), device) for name in ("none", "4bit"))
    rates = {_name(dtype): _gflops(dtype, device) for dtype in {torch.float32, fast, quantized}}
    bandwidth = _gib_per_s()
    _train_a_little()
    process_mib = _resident_mib()
    import bitsandbytes  # noqa: F401 - here, because its memory is counted apart

    return {
        "gpu": torch.cuda.get_device_name() if device.type == "cuda" else None,
        "fast_dtype": _name(fast),
        "quantized_dtype": None if quantized == fast else _name(quantized),
        "gflops": rates,
        "gib_per_s": bandwidth,
        "process_mib": process_mib,
        "quantization_mib": _resident_mib() - process_mib,
    }


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _train_a_little() -> None:
    """Train one small step, which loads what every run needs: optimiser modules, a backward thread."""
    layer = torch.nn.Linear(8, 8)
    optimizer = torch.optim.AdamW(layer.parameters())
    layer(torch.zeros(1, 8)).sum().backward()
    optimizer.step()


def _gflops(dtype: torch.dtype, device: torch.device) -> float:
    """Rate of a square matrix product, in 1e9 operations a second."""
    size = _SIZE[device.type]
    left = torch.randn(size, size, device=device, dtype=dtype)
    return 2 * size**3 / _seconds(lambda: left @ left, device) / 1e9


def _gib_per_s() -> float:
    array = torch.zeros(2**23)
    return 2 * array.nbytes / _seconds(lambda: array.add_(1.0), torch.device("cpu")) / 2**30


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    """The shortest of many short runs of `work`, with all threads or with one.

    One thread is timed by its own processor time, which does not grow while other programs have the core: a machine
    that is measured while it is busy would otherwise be taken for slow for ever. Its rate is not multiplied by the
    cores, because two of them may share one multiplication unit.
    """
    threads = torch.get_num_threads()
    best = float("inf")
    try:
        for count in {threads} if device.type == "cuda" else {threads, 1}:
            torch.set_num_threads(count)
            clock = time.thread_time if count == 1 and device.type == "cpu" else time.perf_counter
            work()
            until = time.perf_counter() + _TIMED_S
            while time.perf_counter() < until:
                start = clock()
                work()
                if device.type == "cuda":
                    torch.cuda.synchronize()
                best = min(best, clock() - start)
    finally:
        torch.set_num_threads(threads)
    return best


def _resident_mib() -> float:
    return psutil.Process().memory_info().rss / 2**20


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):  # a library's greeting is not the answer
        found = measure()
    print(json.dumps(found))
