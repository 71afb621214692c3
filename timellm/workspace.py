"""Where things lie on disk: uploads, runs and prepared backbones.

`TIMELLM_HOME` moves the workspace (uploads and runs); `TIMELLM_CACHE` moves the prepared backbones, which are shared
by every workspace of a user because they are large and never change.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from timellm import locks
from timellm.installation import FROM_CHECKOUT, PROJECT


@dataclass(frozen=True)
class Workspace:
    """The folders of one workspace; nothing is created until something is written."""

    root: Path

    @property
    def checkpoints(self) -> Path:
        """One folder a run, and the store."""
        return self.root / "checkpoints"

    @property
    def receipts(self) -> Path:
        """What was measured of each backbone's quantizations, and the measurement under way."""
        return self.checkpoints / "receipts"

    @property
    def drafts(self) -> Path:
        """What was chosen in the set-up form of each table."""
        return self.checkpoints / "drafts"

    @property
    def ledger(self) -> Path:
        """Forecasts that users keep, one folder each; they stay when their run is deleted."""
        return self.root / "ledger"

    @property
    def benchmarks(self) -> Path:
        """Original files of published sets, which the user puts there."""
        return self.root / "data" / "benchmarks"

    @property
    def uploads(self) -> Path:
        """Tables that were uploaded on the page."""
        return self.root / "data" / "uploads"


def workspace() -> Workspace:
    """The workspace in force: `TIMELLM_HOME`, or the checkout, or the working folder of an installed package."""
    return Workspace(Path(os.environ.get("TIMELLM_HOME") or (PROJECT if FROM_CHECKOUT else "")).resolve())


def cache_folder() -> Path:
    """Prepared backbones."""
    home = os.environ.get("TIMELLM_CACHE")
    return Path(home).resolve() if home else Path.home() / ".cache" / "timellm"


def places() -> dict[str, str]:
    """Workspace and cache in full, as environment variables of a process that starts in another folder."""
    return {"TIMELLM_HOME": str(workspace().root), "TIMELLM_CACHE": str(cache_folder())}


_SCRATCH, _LOCK = ".writing-", ".lock"
_OF_EARLIER_VERSIONS = re.compile(r"\..+\.\d+|\.tmp\w{6}")


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it; a killed process leaves the old file.

    Several threads and processes may write the same file at once: the last one to finish stays.
    """
    with writing_whole(path) as scratch:
        write(scratch)


@contextlib.contextmanager
def writing_whole(path: Path) -> Iterator[Path]:
    """As `write_whole`, for a file that is written bit by bit: yields the temporary file, renamed when the block ends.

    An exception in the block leaves the old file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _scratch_folder(path.parent) as folder:
        yield folder / path.name
        (folder / path.name).replace(path)


def check_writable(folder: Path) -> None:
    """Make sure that files can be made in a folder, before the work rather than after it; the folder is made.

    Raises:
        OSError: they cannot.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


def sweep(folder: Path) -> None:
    """Remove what `write_whole` left of files that were being written when their process was killed."""
    for left in folder.glob(f"{_SCRATCH}*"):
        _remove_unless_locked(left)
    for left in folder.glob(".*"):
        if _OF_EARLIER_VERSIONS.fullmatch(left.name):
            left.unlink(missing_ok=True)


@contextlib.contextmanager
def _scratch_folder(parent: Path) -> Iterator[Path]:
    """A new folder of one write, locked until the write or its process ends.

    A folder, because libraries put temporary files of their own beside the file that they are told to write.
    """
    folder, lock = _new_scratch_folder(parent)
    with lock:
        try:
            yield folder
        finally:
            _remove(folder)


def _new_scratch_folder(parent: Path) -> tuple[Path, IO[str]]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=parent))
        try:
            lock = (folder / _LOCK).open("x")
        except FileNotFoundError:  # a sweep took it for an empty one that was left
            continue
        except OSError:
            folder.rmdir()
            raise
        locks.lock(lock, wait=True)
        if (folder / _LOCK).exists():
            return folder, lock
        lock.close()  # a sweep was faster than the lock


def _remove_unless_locked(folder: Path) -> None:
    try:
        with (folder / _LOCK).open("r+") as lock:
            if locks.lock(lock, wait=False):  # where there are no locks, nothing is swept
                _remove(folder)
    except FileNotFoundError:
        with contextlib.suppress(OSError):  # removed by others, or no longer empty: its writer has just made the lock
            folder.rmdir()


def _remove(folder: Path) -> None:
    """Remove a scratch folder, its lock last: without one it is empty or being made."""
    with contextlib.suppress(FileNotFoundError):  # the whole run was deleted, or a sweep removed the empty folder
        for path in sorted(folder.iterdir(), key=lambda path: path.name == _LOCK):
            path.unlink(missing_ok=True)
        folder.rmdir()


def is_main_process() -> bool:
    """Whether this process speaks for a run that several may work on; their launcher numbers them from 0."""
    return int(os.environ.get("WORLD_SIZE") or 1) == 1 or int(os.environ.get("RANK") or 0) == 0
