"""A measurement in a fresh process: its memory peak is its own, and it can be killed without harm.

The caller's side is `run_fresh`: a configuration goes in, the output and the cause of an early end come out. The fresh
process begins with `asked_for`. Importing this loads no torch.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from timellm.config import RunConfig
from timellm.installation import PROJECT
from timellm.sizing.machine import let_the_kernel_end_this_first
from timellm.training.progress import ShouldStop, never_stop
from timellm.workspace import places

_POLL_S = 0.1


@dataclass(frozen=True)
class Ended:
    """How a process came to its end."""

    said: str
    """What it printed."""
    cause: str = ""
    """Why it ended early, in one line; empty when it came to its end."""
    killed: bool = False
    """It was killed, as the kernel does when memory runs out."""


def run_fresh(
    module: str,
    config: RunConfig,
    *arguments: str,
    on_said: Callable[[str], None] = lambda said: None,
    should_stop: ShouldStop = never_stop,
) -> Ended | None:
    """Run `python -m module` on `config` to its end; None if `should_stop` ended it.

    `on_said` is called repeatedly with the output so far.
    """
    with tempfile.TemporaryDirectory(prefix="timellm-fresh-") as folder:
        out, complaints = Path(folder, "out"), Path(folder, "complaints")
        with out.open("wb") as stdout, complaints.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", module, str(os.getpid()), *arguments],
                cwd=PROJECT,
                env=os.environ | places(),
                stdin=subprocess.PIPE,
                stdout=stdout,
                stderr=stderr,
            )
        assert process.stdin is not None
        try:
            with contextlib.suppress(BrokenPipeError):  # it ended before it had read; what it left says why
                process.stdin.write(config.to_json().encode())
                process.stdin.close()
            while process.poll() is None:
                if should_stop():
                    return None
                on_said(out.read_text(errors="replace"))
                time.sleep(_POLL_S)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
        said = out.read_text(errors="replace")
        if process.returncode == 0:
            return Ended(said)
        return Ended(said, _why(process.returncode, complaints.read_text(errors="replace")), process.returncode == -9)


def asked_for() -> RunConfig:
    """In the fresh process: the configuration to measure. From now on this process ends with its caller."""
    let_the_kernel_end_this_first()
    _end_with(int(sys.argv[1]))
    return RunConfig.from_json(sys.stdin.read())


def _end_with(asker: int) -> None:
    """End this process with its caller: nobody would read the result, and it would go on using memory and time."""

    def watch() -> None:
        while os.getppid() == asker:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, name="watch-asker", daemon=True).start()


def _why(code: int, complaints: str) -> str:
    if code == -9:
        return "its process was killed, most likely because memory ran out"
    last = (complaints.strip().splitlines() or ["it left no message"])[-1]
    ending = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
    return f"its process {ending}: {last[:300]}"
