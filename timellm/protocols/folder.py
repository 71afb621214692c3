"""The folder with the original files of published sets, as a user of the page names it.

Inputs: text from a browser. Outputs: a folder that may be read, or the reason why not. On a server that only this
machine reaches, it may be any folder. On one that others reach, only the operator decides what is read: the usual
folder, and the one that `TIMELLM_TABLES` names, with what lies in them. Nothing outside is looked at there, so that
nobody learns from an answer what the server's disk holds.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from timellm.data import elsewhere
from timellm.errors import ConfigError
from timellm.forecasters.time_llm.remote_code import reached_by_others
from timellm.workspace import workspace

_OF_FILES = ("path", "known_file", "start_from", "pretrain", "deepspeed")
"""Settings whose values are paths."""
_NETWORK = ("//", "\\\\")
"""Begin the name of a folder on another computer; Windows sends it the user's password when it looks there."""


def named_folder(text: str) -> Path:
    """The folder that `text` names: a path, from the workspace where it is relative; the usual one where it is empty.

    The usual one need not exist yet.

    Raises:
        ConfigError: it is no folder, cannot be read, or this server may not read it.
    """
    usual, text = workspace().benchmarks, text.strip().strip("\"'")
    if not text:
        return usual
    if not text.isprintable() or text.startswith(_NETWORK):
        raise ConfigError(f"{text!r} is no path of a folder on this machine; write one like /home/anna/benchmarks")
    try:
        folder = workspace().root / Path(text).expanduser()
        place = folder.resolve()
    except (OSError, RuntimeError) as error:
        raise ConfigError(f"{text} is no path of a folder ({error}); correct it") from error
    if reached_by_others() and not any(place.is_relative_to(one) for one in _opened_by_the_operator()):
        raise ConfigError(
            f"{text} is not read, because other machines can reach this server: its operator decides which folders it"
            f" reads. These are {usual}, the folder that {elsewhere.VARIABLE} names, and those in them. Put the files"
            f" there, or ask the operator to set {elsewhere.VARIABLE}"
        )
    try:
        with os.scandir(folder):
            pass
    except FileNotFoundError:
        raise ConfigError(f"there is no folder {folder}; correct its path, or make it") from None
    except NotADirectoryError:
        raise ConfigError(f"{folder} is a file; name the folder that it lies in") from None
    except OSError as error:
        raise _unreadable(folder, error.strerror or str(error)) from error
    if not os.access(folder, os.X_OK):
        raise _unreadable(folder, "its files may not be opened")
    return folder


def check_settings_name_no_files(settings: Iterable[str]) -> None:
    """Refuse further settings (key=value) that name files of this server where other machines reach it.

    Elsewhere on its pages a visitor names an upload and never a path.

    Raises:
        ConfigError: one of them does.
    """
    for text in settings if reached_by_others() else ():
        name = text.partition("=")[0].strip().replace("-", "_")
        if name in _OF_FILES:
            raise ConfigError(
                f"{name} names files, and other machines can reach this server: on its pages nobody names a file by its"
                " path. Leave it out, or let the operator run this with python -m timellm protocol"
            )


def _unreadable(folder: Path, why: str) -> ConfigError:
    return ConfigError(f"the folder {folder} cannot be read ({why}); give the workbench the right to, or name another")


def _opened_by_the_operator() -> list[Path]:
    """Folders that visitors may name."""
    where = elsewhere.place()
    named = [] if where is None or "://" in where else [Path(where).expanduser()]
    return [folder.resolve() for folder in (workspace().benchmarks, *named)]
