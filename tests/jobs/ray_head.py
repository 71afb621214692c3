"""A Ray head on loopback with token authentication, for the tests of one module."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

CPUS = 2
_PATIENCE_S = 180.0


@dataclass(frozen=True)
class Head:
    """A running head."""

    dashboard: str
    """http://127.0.0.1:PORT"""
    address: str
    """127.0.0.1:PORT, as Ray's own programs take it."""
    token: str
    process: subprocess.Popen

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to belong to this cluster."""
        return _environment(self.token)


@contextmanager
def ray_head(**variables: str) -> Iterator[Head]:
    """A head with `variables` in its environment, and so in that of its jobs."""
    token = secrets.token_hex(16)
    # Sockets have a path of at most 107 letters, and pytest's folders are long.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        port, dashboard = _free_port(), _free_port()
        process = subprocess.Popen(
            [
                str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--disable-usage-stats",
                "--node-ip-address=127.0.0.1", f"--port={port}", f"--ray-client-server-port={_free_port()}",
                "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}",
                f"--dashboard-agent-listen-port={_free_port()}", f"--num-cpus={CPUS}", "--num-gpus=0",
                f"--object-store-memory={100_000_000}", f"--temp-dir={folder}",
            ],
            env=os.environ | _environment(token) | variables,
            stdout=(Path(folder) / "head.log").open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        try:
            _wait(process, f"http://127.0.0.1:{dashboard}", token, Path(folder) / "head.log")
            yield Head(f"http://127.0.0.1:{dashboard}", f"127.0.0.1:{port}", token, process)
        finally:
            end(process)


def end(process: subprocess.Popen) -> None:
    """End this head's processes, and nobody else's, as `ray stop` would."""
    ours = [one for one in psutil.process_iter() if _belongs(one, process.pid)]
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    psutil.wait_procs(ours, timeout=5)
    for one in ours:
        if one.is_running():
            one.kill()
    process.wait(timeout=30)


def _belongs(process: psutil.Process, head: int) -> bool:
    try:
        return os.getsid(process.pid) == head or any(parent.pid == head for parent in process.parents())
    except (psutil.Error, ProcessLookupError):
        return False


def _environment(token: str) -> dict[str, str]:
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": token,
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # else it listens on every address, whatever it is told
        "RAY_USAGE_STATS_ENABLED": "0",
        "GLOO_SOCKET_IFNAME": "lo",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }


def _wait(process: subprocess.Popen, dashboard: str, token: str, log: Path) -> None:
    request = urllib.request.Request(f"{dashboard}/api/jobs/", headers={"Authorization": f"Bearer {token}"})
    give_up = time.monotonic() + _PATIENCE_S
    while time.monotonic() < give_up and process.poll() is None:
        try:
            with urllib.request.urlopen(request, timeout=5):
                return
        except OSError:
            time.sleep(0.3)
    raise AssertionError(f"the Ray head did not come up:\n{log.read_text()[-2000:]}")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
