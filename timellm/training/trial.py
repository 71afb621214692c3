"""One-step trial: load, train two steps and validate once in a fresh process, and see what that takes.

Enters: a configuration. Leaves: a `Trial` with the measured peak and seconds. Running out of memory, crashing and being
cancelled are results too. The process is `python -m timellm.training.trial`; it reads the configuration from standard
input and prints one line of JSON. Importing this module is cheap.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from typing import Any, Literal

from timellm.config import RunConfig
from timellm.errors import TimeLLMError
from timellm.training.machine import let_the_kernel_end_this_first
from timellm.training.outofmemory import is_out_of_memory
from timellm.training.progress import ShouldStop, never_stop
from timellm.workspace import PROJECT

Ending = Literal["measured", "out of memory", "failed", "cancelled"]
_STEPS = 2  # the first one warms up
_POLL_S = 0.1


@dataclass(frozen=True)
class Trial:
    """What two steps and one validation took; the numbers are None unless `ending` is "measured"."""

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
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "timellm.training.trial", str(os.getpid())],
            cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
        try:
            with contextlib.suppress(BrokenPipeError):  # it ended before it read; its exit code says why
                process.stdin.write(config.to_json())
                process.stdin.close()
            while process.poll() is None:
                if should_stop():
                    return Trial("cancelled", cause="cancelled")
                time.sleep(_POLL_S)
            return _outcome(process.returncode, process.stdout.read(), log)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            process.stdout.close()


def _outcome(code: int, said: str, log: Any) -> Trial:
    if code == 0:
        return Trial(**json.loads(said.splitlines()[-1]))
    if code == -9:
        return Trial("out of memory", cause="the trial's process was killed, most likely because memory ran out")
    log.seek(0)
    last = (log.read().strip().splitlines() or [f"exit code {code}"])[-1]
    return Trial("failed", cause=f"the trial's process ended early: {last}")


def _measure(config: RunConfig) -> Trial:
    """Runs in the fresh process; what it imports is what a worker has in memory."""
    started = time.perf_counter()
    import torch

    from timellm.data.prepared import PreparedData
    from timellm.data.table import load_table
    from timellm.model.backbone import load_backbone
    from timellm.model.network import TimeLLM
    from timellm.training.checkpoint import device_of
    from timellm.training.loop import TrainingWindows, peak_memory_mib, train
    from timellm.training.memory import EVALUATION_BATCH

    prepared = PreparedData.of(load_table(config.data), config)
    device = device_of(config.training.device)
    backbone = load_backbone(config.model, device=device)
    torch.manual_seed(config.training.seed)
    network = TimeLLM(config.model, backbone=backbone, description=config.data.description)
    windows = TrainingWindows(prepared.source(device), prepared.windows("training"), prepared.windows("validation"))
    few = {"steps": _STEPS, "minutes": None, "validations": 1, "validation_windows": EVALUATION_BATCH}
    moments = [time.perf_counter()]
    train(
        network,
        windows,
        config.updated(**few).training,
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


def _end_with(asker: int) -> None:
    """A trial whose asker is gone has nobody to tell, and must not go on taking what it takes."""

    def watch() -> None:
        while os.getppid() == asker:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, name="watch-asker", daemon=True).start()


def _main() -> None:
    let_the_kernel_end_this_first()
    _end_with(int(sys.argv[1]))
    config = RunConfig.from_json(sys.stdin.read())
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
