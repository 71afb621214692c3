"""A throw-away PostgreSQL server on loopback, for the tests of one session."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

USER, PASSWORD = "workbench", "a-secret-for-tests"


def programs() -> Path | None:
    """The folder of the newest installed server's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return found[-1].parent if found else None


@contextmanager
def throw_away_server() -> Iterator[str]:
    """A server with a folder of its own; yields the URL of an empty database on it."""
    # Not in pytest's folder, which is closed to the user that the server works as.
    with tempfile.TemporaryDirectory(prefix="timellm-postgresql-") as folder:
        yield from _server(Path(folder))


def _server(folder: Path) -> Iterator[str]:
    password = folder / "password"
    password.write_text(PASSWORD)
    if os.getuid() == 0:  # it refuses to work as root
        shutil.chown(folder, "postgres")
        shutil.chown(password, "postgres")
    cluster = folder / "cluster"
    _run(
        "initdb", "--pgdata", cluster, "--username", USER, "--pwfile", password, "--auth", "scram-sha-256", "--no-sync"
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
    _run("pg_ctl", "--pgdata", cluster, "--wait", "--log", folder / "log.txt", "--options", settings, "start")
    try:
        yield f"postgresql+psycopg://{USER}:{PASSWORD}@127.0.0.1:{port}/postgres"
    finally:
        _run("pg_ctl", "--pgdata", cluster, "--mode", "immediate", "stop")


def _run(program: str, *arguments: object) -> None:
    command = [str(programs() / program), *map(str, arguments)]
    user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
    # A server that keeps the pipes of its starter open would never let a reader see their end.
    done = subprocess.run(command, cwd="/", check=False, stdout=subprocess.DEVNULL, timeout=60, **user)
    assert done.returncode == 0, f"{program} ended with {done.returncode}"
