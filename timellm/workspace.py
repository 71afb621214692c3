"""Where things lie on disk: samples, uploads, runs and prepared backbones.

`TIMELLM_HOME` moves the workspace (uploads and runs); `TIMELLM_CACHE` moves the prepared backbones, which are shared
by every workspace of a user because they are large and never change.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


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
    def uploads(self) -> Path:
        """Tables brought in through the page."""
        return self.root / "data" / "uploads"


def workspace() -> Workspace:
    """The workspace in force: `TIMELLM_HOME`, or the project's own folder."""
    return Workspace(Path(os.environ.get("TIMELLM_HOME") or PROJECT).resolve())


def samples_folder() -> Path:
    """Bundled sample tables, each with its provenance beside it."""
    return PROJECT / "data" / "samples"


def cache_folder() -> Path:
    """Prepared backbones."""
    home = os.environ.get("TIMELLM_CACHE")
    return Path(home).resolve() if home else Path.home() / ".cache" / "timellm"


_SCRATCH = re.compile(r"\..+\.\d+")


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary neighbour of `path`, then rename it; a killed process leaves the old file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(scratch)
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what `write_whole` left of files that were being written when their process was killed."""
    for scratch in folder.glob(".*"):
        if _SCRATCH.fullmatch(scratch.name):
            scratch.unlink(missing_ok=True)


def is_main_process() -> bool:
    """Whether this process speaks for a run that several may work on; their launcher numbers them from 0."""
    return int(os.environ.get("WORLD_SIZE") or 1) == 1 or int(os.environ.get("RANK") or 0) == 0
