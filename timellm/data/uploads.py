"""Uploaded tables: kept under a name that identifies their content, found again by an id from a URL.

Inputs: bytes and a file name, neither to be trusted. Outputs: paths inside the workspace's upload folder. A table's id
is its file name there, or `sample:<key>` for a bundled one. The name under which a user uploaded it lies beside the
table.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from timellm.data.samples import find_sample
from timellm.errors import DataError
from timellm.workspace import workspace, write_whole

_ID = re.compile(r"[0-9a-f]{12}-[a-z0-9][a-z0-9_-]*\.csv")
_SAMPLE = "sample:"
_HASH = re.compile(r"[0-9a-f]{12}-")
_TITLE_LETTERS = 120


@dataclass(frozen=True)
class Upload:
    """A table in the upload folder."""

    id: str
    path: Path
    size_bytes: int
    uploaded: datetime

    @property
    def name(self) -> str:
        """The name of the file that was uploaded, without its ending."""
        return table_title(self.path)


def save_upload(name: str, *, content: bytes) -> Path:
    """Keep a table under `<12 digits of its SHA-256>-<safe name>.csv`; the same file twice is kept once.

    Raises:
        DataError: the content is empty, or cannot be written.
    """
    if not content:
        raise DataError(f"'{_safe(name)}' is empty; choose a file with a header and rows of data")
    folder = workspace().uploads
    path = folder / f"{hashlib.sha256(content).hexdigest()[:12]}-{_safe(name)}.csv"
    if path.is_file():
        keep_title(path, name)
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Under a temporary name first, so that no reader ever sees half a table.
        handle, temporary = tempfile.mkstemp(dir=folder, suffix=".part")
    except OSError as error:
        raise DataError(f"{folder} cannot be written ({error.strerror}); free some space or set TIMELLM_HOME") from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).replace(path)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise DataError(f"{path} cannot be written ({error.strerror}); free some space or set TIMELLM_HOME") from None
    keep_title(path, name)
    return path


def delete_upload(table_id: str) -> None:
    """Remove an uploaded table and its name.

    Raises:
        DataError: no upload has this id, or it cannot be removed.
    """
    if table_id.startswith(_SAMPLE):
        raise DataError("a sample table belongs to the workbench and cannot be deleted")
    path = table_path(table_id)
    try:
        path.unlink()
        _title_file(path).unlink(missing_ok=True)
        path.with_suffix(".corrections.json").unlink(missing_ok=True)  # timellm.data.corrections
    except OSError as error:
        raise DataError(f"the table {table_title(path)!r} cannot be deleted ({error.strerror})") from None


def table_title(path: Path) -> str:
    """A table's name for people, without hash and ending.

    The name of the uploaded file, if it is kept and readable: a table of an earlier version, of an imported run, or a
    deleted one has none. Otherwise the name on disk.
    """
    if _HASH.match(path.name) is None:
        return path.stem
    try:
        return _readable(str(json.loads(_title_file(path).read_text(encoding="utf-8"))["title"]))
    except (OSError, ValueError, KeyError, TypeError):
        return _HASH.sub("", path.stem, count=1)


def adopt_upload(file: Path, *, sha256: str, folder: Path) -> tuple[Path, bool]:
    """Move a table into an upload folder, as `save_upload` would have named it; whether it was new there.

    Raises:
        OSError: it cannot be moved.
    """
    path = folder / f"{sha256[:12]}-{_safe(file.name)}.csv"
    if path.is_file():
        return path, False
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.move(file, path)), True


def uploads() -> tuple[Upload, ...]:
    """Every table in the upload folder, the newest first."""
    folder = workspace().uploads
    if not folder.is_dir():
        return ()
    found = [path for path in folder.iterdir() if _ID.fullmatch(path.name) and path.is_file()]
    found.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
    return tuple(map(_upload, found))


def table_path(table_id: str) -> Path:
    """The file behind a table's id.

    Raises:
        DataError: no table has this id.
    """
    if table_id.startswith(_SAMPLE):
        return find_sample(table_id.removeprefix(_SAMPLE)).path
    # The id comes from a URL: only the exact shape of a name written here is ever joined to the folder, and no link.
    path = workspace().uploads / table_id if _ID.fullmatch(table_id) else None
    if path is None or path.is_symlink() or not path.is_file():
        raise DataError(
            f"there is no table {table_id[:80]!r}; it may have been removed. Choose a table on the Data page"
        )
    return path


def sample_settings(table_id: str) -> dict[str, Any]:
    """What the columns of a bundled table are for, as settings of `DataConfig`; nothing for an upload."""
    key = table_id.removeprefix(_SAMPLE)
    return {} if key == table_id else dict(find_sample(key).settings)


def _upload(path: Path) -> Upload:
    facts = path.stat()
    return Upload(path.name, path, facts.st_size, datetime.fromtimestamp(facts.st_mtime, UTC))


def keep_title(path: Path, name: str) -> None:
    """Keep the name of the file that a table came in.

    Raises:
        DataError: it cannot be written.
    """
    content = json.dumps({"title": _readable(_stem(name))}, ensure_ascii=False)
    try:
        write_whole(_title_file(path), lambda file: file.write_text(content, encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error.strerror}); free some space or set TIMELLM_HOME") from None


def _title_file(path: Path) -> Path:
    return path.with_suffix(".json")


def _readable(title: str) -> str:
    """A title of one line without control characters."""
    printable = "".join(letter if letter.isprintable() else " " for letter in title)
    return " ".join(printable.split())[:_TITLE_LETTERS] or "table"


def _stem(name: str) -> str:
    """A file name's last part without its ending."""
    last = re.split(r"[/\\]", name)[-1]
    return last.rpartition(".")[0] or last


def _safe(name: str) -> str:
    """Letters, digits, - and _ of a file name's last part, at most 60."""
    stem = _stem(name)
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9_-]+", "-", plain).strip("-_")[:60].strip("-_") or "table"
