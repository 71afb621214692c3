"""The file that a verb writes: it is refused before the work, not after it, and written whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path


def check_out(out: Path, *, option: str = "--out ", force: bool = False, inputs: Iterable[Path] = ()) -> None:
    """Make sure that a file can be written; `option` is what stands before it on the command line.

    A file that is there stays, unless `force` says otherwise; one of `inputs` stays in any case.

    Raises:
        ConfigError: it is a folder, its folder is not there or cannot be written, or it would replace a file.
    """
    from timellm.errors import ConfigError
    from timellm.workspace import check_writable

    folder = out.resolve().parent
    if out.is_dir():
        raise ConfigError(f"{option}{out} is a folder; name a file in it")
    if out.exists() and not out.is_file():
        raise ConfigError(f"{option}{out} is a device or a pipe; name a file")
    if out.exists() and any(one.exists() and out.samefile(one) for one in inputs):
        raise ConfigError(f"{option}{out} is the run's own or the table that is read; name another file")
    if out.exists() and not force:
        raise ConfigError(f"{option}{out} is there already; name another file, or give --force to replace it")
    if not folder.is_dir():
        raise ConfigError(f"{option}{out}: there is no folder {folder}; make it first")
    try:
        check_writable(folder)
    except OSError as error:
        raise ConfigError(
            f"{option}{out} cannot be written ({error.strerror}); name a file in another folder"
        ) from error


def write_out(out: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill the file.

    Raises:
        ConfigError: it cannot be written after all.
    """
    from timellm.errors import ConfigError
    from timellm.workspace import write_whole

    try:
        write_whole(out, write)
    except PermissionError as error:
        raise ConfigError(f"--out {out} cannot be written ({error.strerror}); name a file in another folder") from error
