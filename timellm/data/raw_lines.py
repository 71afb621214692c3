"""The first lines of a file as they stand, for a reader who decides how they are to be read.

Inputs: the data section of a configuration. Outputs: text. Nothing is settled here; what is no text is shown as marks.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from timellm.config import DataConfig
from timellm.data.containers import CONTAINERS
from timellm.data.encodings import decode
from timellm.errors import DataError

_MOST_BYTES = 1 << 16
_MOST_CHARACTERS = 400


def raw_lines(config: DataConfig, count: int = 20) -> str:
    """At most `count` lines of the file, each cut to 400 characters; with the setting's encoding, or the one that fits.

    Raises:
        DataError: the file cannot be read.
    """
    path = Path(config.path)
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # opening a pipe would wait
            raise DataError(f"{path} is no file that can be read; choose the table again")
        with path.open("rb") as file:
            raw = file.read(_MOST_BYTES)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); choose the table again") from None
    if raw.startswith(CONTAINERS):
        raise DataError(f"{path.name} is not a plain text file, so it has no lines to show")
    end = max(raw.rfind(b"\n"), raw.rfind(b"\r")) + 1
    if len(raw) == _MOST_BYTES and end:
        raw = raw[:end]  # not within a letter of several bytes
    try:
        text = decode(raw, name=path.name, encoding=config.encoding).text
    except DataError:
        text = raw.decode("utf-8", errors="replace")
    lines = text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")[:count]
    return "\n".join(_shown(line) for line in lines)


def _shown(line: str) -> str:
    seen = "".join(sign if sign.isprintable() or sign == "\t" else "�" for sign in line[:_MOST_CHARACTERS])
    return seen + (" …" if len(line) > _MOST_CHARACTERS else "")
