"""Tables at a place that the operator of this server names: a folder, or a URL that fsspec reads (S3, HTTP ...).

Inputs: the environment variable TIMELLM_TABLES. Outputs: the tables there, and copies of them among the uploads. Only
what is listed there can be brought: a name that comes from a browser never becomes a path.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec

from timellm.data.uploads import adopt_upload, keep_title
from timellm.errors import DataError, one_line
from timellm.workspace import workspace

VARIABLE = "TIMELLM_TABLES"
ENDINGS = (
    ".csv", ".txt", ".tsv", ".dat", ".tab", ".rdb", ".gz", ".zip", ".xlsx", ".xls", ".xlsb", ".ods", ".parquet",
    ".json", ".jsonl", ".ndjson",
)  # fmt: skip
MOST_LISTED = 5_000
_PACKAGES = {"http": "aiohttp", "https": "aiohttp", "s3": "s3fs", "gs": "gcsfs", "abfs": "adlfs"}
_PART = 1 << 22
_SPARE = 1 << 28
"""Bytes that a copy leaves free on the disk."""


@dataclass(frozen=True)
class Listed:
    """A table at the place."""

    name: str
    """Path below the place."""
    size_bytes: int | None
    """None where the place does not say."""


def place() -> str | None:
    """The folder or URL that the operator names; None if none is named."""
    return os.environ.get(VARIABLE, "").strip() or None


def listed(where: str) -> tuple[Listed, ...]:
    """The tables at a place, by name; of very many the first.

    Raises:
        DataError: the place cannot be read.
    """
    try:
        files, root = _opened(where)
        if not files.exists(root):
            raise DataError(f"{VARIABLE} names {_shown(where)}, which is not there; correct it")
        found = files.find(root, detail=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise _unreadable(where, error) from error
    rows = []
    for path, facts in sorted(found.items()):
        name = str(path)[len(str(root).rstrip("/")) :].lstrip("/")
        if name.lower().endswith(ENDINGS) and not any(part.startswith((".", "_")) for part in name.split("/")):
            size = facts.get("size")
            rows.append(Listed(name, None if size is None else int(size)))
    return tuple(rows[:MOST_LISTED])


def bring(where: str, name: str) -> Path:
    """Copy a listed table to the uploads; one that is there already is not kept twice.

    Raises:
        DataError: there is no such table at the place, it cannot be read, or the disk has no room for it.
    """
    if name not in {one.name for one in listed(where)}:
        raise DataError(f"there is no table {name[:80]!r} at {_shown(where)}; look at the list again")
    folder = workspace().uploads
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="bring-") as scratch:
        copy, digest = Path(scratch) / Path(name).name, hashlib.sha256()
        try:
            files, root = _opened(where)
            with files.open(f"{str(root).rstrip('/')}/{name}", "rb") as source, copy.open("wb") as target:
                while part := source.read(_PART):
                    if shutil.disk_usage(folder).free < _SPARE + len(part):
                        raise DataError(f"the disk of {folder} has no room for {name}; free some, or set TIMELLM_HOME")
                    digest.update(part)
                    target.write(part)
        except (OSError, ValueError, RuntimeError) as error:
            raise _unreadable(where, error) from error
        if not copy.stat().st_size:
            raise DataError(f"{name} is empty; choose a file with a header and rows of data")
        path, _ = adopt_upload(copy, sha256=digest.hexdigest(), folder=folder)
    keep_title(path, Path(name).name)
    return path


def _opened(where: str) -> tuple[Any, str]:
    """The file system of a place, and the path of the place in it."""
    try:
        files, root = fsspec.url_to_fs(where, skip_instance_cache=True)
    except ImportError as error:
        protocol = where.partition("://")[0]
        package = _PACKAGES.get(protocol, "what fsspec needs for it")
        raise DataError(f"{VARIABLE} names a {protocol} URL, which needs a package: pip install {package}") from error
    files.invalidate_cache()
    return files, str(root)


def _unreadable(where: str, error: Exception) -> DataError:
    return DataError(f"{_shown(where)}, which {VARIABLE} names, cannot be read: {one_line(error)[:300]}")


def _shown(where: str) -> str:
    """A place without what may be secret in its URL."""
    head, sign, rest = where.partition("://")
    return f"{head}{sign}{rest.rpartition('@')[2].partition('?')[0]}" if sign else where
