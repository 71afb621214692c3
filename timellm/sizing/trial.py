"""One-step trial: load, train two steps and validate once in a fresh process, and measure memory and time.

Inputs: a configuration. Outputs: a `Trial` with the measured peak and seconds. Out of memory, crashed and cancelled are
results too. The process is `python -m timellm.sizing.trial` (timellm.sizing.fresh); it prints one
line of JSON. Importing this module is cheap.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from dataclasses import asdict, dataclass
from typing import Literal

from timellm.config import RunConfig
from timellm.errors import TimeLLMError
from timellm.sizing.fresh import asked_for, run_fresh
from timellm.sizing.outofmemory import is_out_of_memory
from timellm.training.evaluation_batch import EVALUATION_BATCH
from timellm.training.progress import ShouldStop, never_stop

Ending = Literal["measured", "out of memory", "failed", "cancelled"]
_STEPS = 2  # the first one warms up
TRIAL = {"steps": _STEPS, "minutes": None, "validations": 1, "validation_windows": EVALUATION_BATCH}
"""Settings of a trial in place of the run's."""


@dataclass(frozen=True)
class Trial:
    """Memory and time of two steps and one validation; the numbers are None unless `ending` is "measured"."""

    ending: Ending
    memory_mib: float | None = None
    """Peak of the process (CPU) or of what it allocated (GPU)."""
    loading_s: float | None = None
    """From the start of the process to the first step."""
    step_s: float | None = None
    """The last step; the first one warms up."""
    window_s: float | None = None
    """One window without gradient."""
    cause: str = ""
    """Why there are no numbers, in one line."""


def trial(config: RunConfig, *, should_stop: ShouldStop = never_stop) -> Trial:
    """Try `config` in a fresh process until it has measured, fails, or `should_stop` says so."""
    ended = run_fresh("timellm.sizing.trial", config, should_stop=should_stop)
    if ended is None:
        return Trial("cancelled", cause="cancelled")
    if ended.cause:
        return Trial("out of memory" if ended.killed else "failed", cause=ended.cause)
    return Trial(**json.loads(ended.said.splitlines()[-1]))


def _measure(config: RunConfig) -> Trial:
    """Runs in the fresh process, with the same imports in memory as a worker."""
    started = time.perf_counter()
    import torch

    from timellm.data.prepared import PreparedData
    from timellm.data.table import load_table
    from timellm.forecasters.quantile_head_size import rows_of
    from timellm.forecasters.time_llm.backbone import load_backbone
    from timellm.forecasters.time_llm.network import TimeLLM
    from timellm.training.checkpoint import device_of
    from timellm.training.loop import train
    from timellm.training.peak_memory import peak_memory_mib
    from timellm.training.step import TrainingWindows

    prepared = PreparedData.of(load_table(config.data), config)
    device = device_of(config.device)
    backbone = load_backbone(config.model, device=device)
    torch.manual_seed(config.trained.seed)
    network = TimeLLM(config.model, backbone=backbone, description=config.data.description, rows=rows_of(config))
    windows = TrainingWindows(prepared.source(device), prepared.windows("training"), prepared.windows("validation"))
    moments = [time.perf_counter()]
    with network.keeping_prompts():
        train(
            network,
            windows,
            config.updated(**TRIAL).trained,
            save_best=lambda: None,
            on_progress=lambda _: moments.append(time.perf_counter()),
            should_stop=never_stop,
        )
    return Trial(
        "measured",
        memory_mib=peak_memory_mib(),
        loading_s=moments[0] - started,
        step_s=moments[_STEPS] - moments[_STEPS - 1],
        window_s=(moments[_STEPS + 1] - moments[_STEPS]) / EVALUATION_BATCH,
    )


def _main() -> None:
    config = asked_for()
    try:
        with contextlib.redirect_stdout(sys.stderr):  # a library's greeting is not the answer
            found = _measure(config)
    except TimeLLMError as error:
        found = Trial("failed", cause=str(error))
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        found = Trial("out of memory", cause="memory ran out")
    print(json.dumps(asdict(found)))


if __name__ == "__main__":
    _main()
