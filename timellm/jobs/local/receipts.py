"""Quantization receipts of the workspace: the kept ones, and the one that is measured in the background now.

One is measured at a time, because two would slow each other down. Inputs: a configuration. Outputs, in the workspace's
`receipts` folder: `KEY.json`, or `KEY.failed.txt` with the cause; and meanwhile `under-way.json`, which says how far it
is and which process works on it. A page reads these files and nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from timellm import locks
from timellm.config import RunConfig
from timellm.errors import JobError, TimeLLMError
from timellm.installation import PROJECT
from timellm.jobs.store.cause import cause_of
from timellm.jobs.store.process import ProcessIdentity, this_process
from timellm.jobs.store.run import log_tail, with_absolute_paths
from timellm.json_text import read_json
from timellm.sizing.receipt import Receipt, measure_receipt
from timellm.workspace import places, workspace, write_whole

_WRITE_EVERY_S = 0.5
_CANCEL_S = 3.0


@dataclass(frozen=True)
class UnderWay:
    """The measurement that is being made."""

    key: str
    backbone: str
    share: float
    """How much is done, 0 to 1."""
    doing: str
    process: ProcessIdentity


def receipt_key(config: RunConfig) -> str:
    """What a receipt is kept under: backbone, layers, context and batch size, which decide its numbers."""
    backbone = with_absolute_paths(config).model.backbone
    name = re.sub(r"[^a-z0-9]+", "-", Path(backbone).name.lower()).strip("-")[:40]
    told_apart = hashlib.sha256(backbone.encode()).hexdigest()[:8]
    model, training = config.model, config.trained
    return f"{name}-{told_apart}-{model.layers}-{model.context}-{training.batch_size}-{training.device}"


def kept_receipt(config: RunConfig) -> Receipt | None:
    """The receipt measured last for these settings, if there is one."""
    try:
        return Receipt.from_json(_file(config, "json").read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, KeyError):  # none, or one by another version: it can be measured anew
        return None


def failure(config: RunConfig) -> str | None:
    """Why the last measurement for these settings failed; None if it did not."""
    try:
        return _file(config, "failed.txt").read_text(encoding="utf-8")
    except OSError:
        return None


def under_way() -> UnderWay | None:
    """The measurement that is being made now; one whose process is gone is marked as failed."""
    found = _read()
    if found is None or found.process.alive():
        return found
    with _alone():
        return _still_under_way()


def start_receipt(config: RunConfig) -> None:
    """Measure in the background, in a process that outlives this one.

    Raises:
        JobError: another one is being measured, or the process cannot be started.
    """
    config = with_absolute_paths(config)
    try:
        with _alone():  # two clicks at once, in two tabs or at two servers: the second one finds the first
            process = _started(config)
    except OSError as error:
        raise JobError(f"the measurement cannot be started: {error}") from error
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it has ended already; the next reader finds that out
        process.stdin.write(config.to_json().encode())
        process.stdin.close()
    # Somebody has to wait for a child that ends before the server does, or it stays as a zombie.
    threading.Thread(target=process.wait, name="reap-receipt", daemon=True).start()


def _started(config: RunConfig) -> subprocess.Popen:
    if (other := _still_under_way()) is not None:
        raise JobError(f"the quantizations of {other.backbone} are being measured; wait for that, or cancel it")
    _file(config, "failed.txt").unlink(missing_ok=True)
    with _log().open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "timellm.jobs.local.receipts"],
            cwd=PROJECT,
            env={**os.environ, **places()},
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in the server's terminal must not reach it
        )
    # It waits for its configuration, so that it cannot end before its identity has been written.
    _write(UnderWay(receipt_key(config), config.model.backbone, 0.0, "starting", ProcessIdentity.of(process.pid)))
    return process


def cancel_receipt() -> None:
    """End the measurement under way, if there is one, and keep nothing of it."""
    found = under_way()
    if found is None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(found.process.pid, signal.SIGTERM)
    deadline = time.monotonic() + _CANCEL_S
    while found.process.alive() and time.monotonic() < deadline:
        time.sleep(0.05)
    if not found.process.alive():  # killed while it still started up, it could not clear away its own mark
        _status().unlink(missing_ok=True)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Hold the lock on starting and clearing measurements, against other threads and processes (timellm.locks)."""
    file = workspace().receipts / ".lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as guard:
        locks.lock(guard, wait=True)
        yield


def _still_under_way() -> UnderWay | None:
    found = _read()
    if found is None or found.process.alive():
        return found
    last = (log_tail(_log(), lines=1) or "it left no message").strip()
    _fail(found.key, f"the measurement ended early ({last})")
    _status().unlink(missing_ok=True)
    return None


def _read() -> UnderWay | None:
    try:
        tree = read_json(_status(), constants=True)
        return UnderWay(**tree | {"process": ProcessIdentity(**tree["process"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _file(config: RunConfig, ending: str) -> Path:
    return workspace().receipts / f"{receipt_key(config)}.{ending}"


def _status() -> Path:
    return workspace().receipts / "under-way.json"


def _log() -> Path:
    return workspace().receipts / "log.txt"


def _write(state: UnderWay) -> None:
    write_whole(_status(), lambda path: path.write_text(json.dumps(asdict(state)), encoding="utf-8"))


def _fail(key: str, cause: str) -> None:
    write_whole(workspace().receipts / f"{key}.failed.txt", lambda path: path.write_text(cause, encoding="utf-8"))


class _Report:
    """Writes the progress, at most twice a second."""

    def __init__(self, config: RunConfig) -> None:
        self._config, self._me, self._written = config, this_process(), -float("inf")

    def __call__(self, share: float, doing: str) -> None:
        if time.monotonic() - self._written >= _WRITE_EVERY_S:
            self._written = time.monotonic()
            _write(UnderWay(receipt_key(self._config), self._config.model.backbone, share, doing, self._me))


def main() -> None:
    """The background process: measure the configuration from standard input, and write one ending."""
    cancelled = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: cancelled.set())
    config = RunConfig.from_json(sys.stdin.read())
    try:
        receipt = measure_receipt(config, on_progress=_Report(config), should_stop=cancelled.is_set)
        if receipt is not None:
            write_whole(_file(config, "json"), lambda path: path.write_text(receipt.to_json(), encoding="utf-8"))
    except Exception as error:
        _fail(receipt_key(config), cause_of(error))
        if not isinstance(error, TimeLLMError):
            raise  # for the log
    finally:
        _status().unlink(missing_ok=True)


if __name__ == "__main__":
    main()
