"""One process at a time works in a run's folder: two would leave the settings of one with the weights of the other.

Inputs: a run's folder. Outputs: nothing, or a refusal. The lock (timellm.locks) is on a file in the folder, which is
removed when the work ends. A file that a killed process left holds no lock. Of the processes that `torchrun` starts for
a run, only the main one takes the lock.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from timellm import locks
from timellm.errors import CheckpointError, ConfigError
from timellm.workspace import check_writable

LOCK = ".lock"
_occupied: dict[Path, int] = {}
"""Folders that this process works in, and its thread that does."""

log = logging.getLogger(__name__)


@contextlib.contextmanager
def occupied(run_dir: Path) -> Iterator[None]:
    """Lock a run's folder against every other process and thread; it is made if it is missing.

    A thread that is in it may enter again. Where the file system has no locks, a warning says so.

    Raises:
        ConfigError: the folder cannot be made or written.
        CheckpointError: another process or thread works in it.
    """
    place, me = run_dir.resolve(), threading.get_ident()
    if _occupied.get(place) == me:
        yield
        return
    if _occupied.setdefault(place, me) != me:
        raise _refusal(run_dir)
    made = [folder for folder in (place, *place.parents) if not folder.exists()]
    try:
        with _locked(run_dir):
            try:
                yield
            finally:
                (place / LOCK).unlink(missing_ok=True)  # while it is locked, so that nobody else's file is removed
    finally:
        for folder in made:  # a run that left nothing leaves no folder
            try:
                folder.rmdir()
            except OSError:
                break
        del _occupied[place]


def _locked(run_dir: Path) -> IO[str]:
    """The folder's lock file, open and locked."""
    try:
        check_writable(run_dir)
        while True:
            file = (run_dir / LOCK).open("a+", encoding="utf-8")
            taken = locks.lock(file, wait=False)
            if taken is False:
                file.close()
                raise _refusal(run_dir)
            if taken is None:
                log.warning("the file system of %s has no locks: it keeps no second process out of a run", run_dir)
            if _is_at(file, run_dir / LOCK):
                break
            file.close()  # its last owner removed it between the opening and the lock
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
    except OSError as error:
        raise ConfigError(
            f"the run folder {run_dir} cannot be written ({error.strerror}); name a folder that you may write to"
        ) from error
    return file


def _refusal(run_dir: Path) -> CheckpointError:
    return CheckpointError(
        f"another process works in the run folder {run_dir} ({_who(run_dir / LOCK)}); wait until it has ended, or name"
        " another folder"
    )


def _is_at(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _who(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8") or "it has just begun"
    except FileNotFoundError:
        return "it has just ended"
