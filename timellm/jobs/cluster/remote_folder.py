"""Run folders and tables at a place that all machines reach: `TIMELLM_ARTIFACTS`, any URL that fsspec understands.

Inputs: a run's folder on the machine that works. Outputs: the same folder wherever somebody looks or goes on. A file is
kept under the hash of its content, and one small manifest, written last, says which files the folder has: a machine
that dies while it writes leaves the folder as it was before. What is read is checked against its hash.

    tables/HASH                    tables that runs learn from
    runs/RUN_ID/table.json         which of them is the run's, and what it was called
    runs/RUN_ID/files/HASH         contents
    runs/RUN_ID/manifest.json      name -> hash and size
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from timellm.errors import CheckpointError, JobError
from timellm.jobs.store.event import files_in
from timellm.jobs.store.run import RUN_ID
from timellm.json_text import parse_json
from timellm.workspace import write_whole

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_SETTING = "TIMELLM_ARTIFACTS"
_MARK = ".shelf.json"
"""The manifest that a local folder was last made equal to. Folders of earlier versions have it under this name."""
_HEX = set("0123456789abcdef")


@dataclass(frozen=True)
class RemoteFolder:
    """One place for run folders. No request is made before its first use."""

    url: str

    @classmethod
    def configured(cls) -> RemoteFolder | None:
        """The place that `TIMELLM_ARTIFACTS` names; None if it is not set."""
        named = (os.environ.get(_SETTING) or "").strip().rstrip("/")
        return cls(named) if named else None

    def push(self, run_id: str, folder: Path) -> None:
        """Make the kept folder equal to the local one; what has not changed is not sent again.

        Raises:
            JobError: the place cannot be used.
        """
        with self._failures():
            before = self._manifest(run_id)
            now = {}
            for file in files_in(folder):
                content = (folder / file.path).read_bytes()
                entry: dict[str, Any] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
                if entry not in before.values():
                    self._files.pipe_file(self._content(run_id, entry["sha256"]), content)
                now[file.path] = entry
            self._write_json(self._path("runs", run_id, "manifest.json"), now)
            kept = {entry["sha256"] for entry in now.values()}
            for old in {entry["sha256"] for entry in before.values()} - kept:
                self._files.rm_file(self._content(run_id, old))

    def pull(self, run_id: str, folder: Path) -> bool:
        """Make the local folder equal to the kept one; returns whether anything was changed.

        Raises:
            JobError: the place cannot be used.
            CheckpointError: the files there are not those that were uploaded.
        """
        mark = folder / _MARK
        with self._failures():
            manifest = self._manifest(run_id)
            if not manifest or (mark.is_file() and mark.read_text(encoding="utf-8") == _as_text(manifest)):
                return False
            try:
                self._fetch(run_id, folder, manifest)
            except FileNotFoundError:
                before, manifest = manifest, self._manifest(run_id)
                if manifest == before:  # else it was replaced while it was read
                    raise
                self._fetch(run_id, folder, manifest)
            if mark.is_file():  # a folder that was made here keeps what it has besides
                for file in files_in(folder):
                    if file.path not in manifest:
                        (folder / file.path).unlink()
            write_whole(mark, lambda path: path.write_text(_as_text(manifest), encoding="utf-8"))
        return True

    def put_table(self, run_id: str, table: Path) -> None:
        """Upload the table that a run will learn from.

        Raises:
            JobError: the table cannot be read, or the place cannot be used.
        """
        with self._failures():
            content = table.read_bytes()
            entry: dict[str, Any] = {
                "sha256": hashlib.sha256(content).hexdigest(),
                "size": len(content),
                "name": table.name,
            }
            path = self._path("tables", entry["sha256"])
            if not self._files.exists(path) or self._files.size(path) != len(content):
                self._files.pipe_file(path, content)
            self._write_json(self._path("runs", run_id, "table.json"), entry)

    def fetch_table(self, run_id: str, folder: Path) -> Path:
        """The run's table as a file in a local folder.

        Raises:
            JobError: there is none, or the place cannot be used.
            CheckpointError: it is not what was uploaded.
        """
        with self._failures():
            entry = self._json(self._path("runs", run_id, "table.json"))
            if not entry:
                raise JobError(f"{self.url} holds no table for run '{run_id}'; start it again from its page")
            name = PurePosixPath(str(entry.get("name"))).name or "table.csv"
            content = self._read(self._path("tables", _checked(entry)["sha256"]), entry, f"the table {name}")
            _put(folder / name, content)
        return folder / name

    def delete(self, run_id: str, *, table: bool = True) -> None:
        """Remove a run's files and its reference to its table; the table stays, because other runs may use it.

        Raises:
            JobError: the place cannot be used.
        """
        with self._failures():
            names = ["manifest.json", "files"]  # in this order: what the manifest names is there as long as it is
            for path in [self._path("runs", run_id, name) for name in names]:
                if self._files.exists(path):
                    self._files.rm(path, recursive=True)
            if table and self._files.exists(self._path("runs", run_id)):
                self._files.rm(self._path("runs", run_id), recursive=True)

    # ---- inside

    @cached_property
    def _place(self) -> tuple[AbstractFileSystem, str]:
        import fsspec

        return fsspec.core.url_to_fs(self.url, auto_mkdir=True) if _is_local(self.url) else fsspec.url_to_fs(self.url)

    @property
    def _files(self) -> AbstractFileSystem:
        return self._place[0]

    def _path(self, *parts: str) -> str:
        if parts[0] == "runs" and not RUN_ID.fullmatch(parts[1]):  # it becomes part of a path
            raise JobError(f"'{parts[1]}' is not the id of a run made here, so no folder of it is used")
        return "/".join([self._place[1], *parts])

    def _fetch(self, run_id: str, folder: Path, manifest: dict[str, dict[str, Any]]) -> None:
        for name, entry in manifest.items():
            content = self._read(self._content(run_id, entry["sha256"]), entry, f"{name} of run '{run_id}'")
            _put(folder / name, content)

    def _content(self, run_id: str, sha256: str) -> str:
        return self._path("runs", run_id, "files", sha256)

    def _manifest(self, run_id: str) -> dict[str, dict[str, Any]]:
        found = self._json(self._path("runs", run_id, "manifest.json"))
        for name, entry in found.items():
            path = PurePosixPath(name)
            if path.is_absolute() or not path.parts or any(part.startswith(".") for part in path.parts):
                raise CheckpointError(
                    f"{self.url}: the manifest of run '{run_id}' names a file '{name}'; it is refused"
                )
            _checked(entry)
        return found

    def _json(self, path: str) -> dict[str, Any]:
        try:
            text = self._files.cat_file(path)
        except FileNotFoundError:
            return {}
        try:
            found = parse_json(text)
        except ValueError as error:
            raise CheckpointError(f"{path} is damaged ({error}); delete it, and start the run again") from None
        if not isinstance(found, dict):
            raise CheckpointError(f"{path} is damaged (no JSON object); delete it, and start the run again")
        return found

    def _write_json(self, path: str, content: dict[str, Any]) -> None:
        scratch = f"{path}.{os.getpid()}.part"
        self._files.pipe_file(scratch, _as_text(content).encode())
        self._files.mv(scratch, path)  # by then it is whole

    def _read(self, path: str, entry: dict[str, Any], what: str) -> bytes:
        content = self._files.cat_file(path)
        if hashlib.sha256(content).hexdigest() != entry["sha256"]:
            raise CheckpointError(f"{what} is not what was uploaded to {self.url} ({path}); start the run again")
        return content

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Turn an error of the file system into one that a user can act on.

        Raises:
            JobError: the place cannot be used.
        """
        try:
            yield
        except (OSError, ImportError, ValueError) as error:  # ValueError: no such kind of place
            if isinstance(error, OSError) and error.errno is not None:
                said = f"{error.strerror or error} {error.filename or ''}".strip()
            else:
                said = " ".join(str(error).split())[:300]
            raise JobError(f"{_SETTING}={self.url} cannot be used: {said}; check that it is right") from error


def _checked(entry: Any) -> dict[str, Any]:
    sha256 = entry.get("sha256") if isinstance(entry, dict) else None
    if not isinstance(sha256, str) or len(sha256) != 64 or not set(sha256) <= _HEX:
        raise CheckpointError(f"a manifest of runs is damaged: {str(entry)[:80]} names no content; start the run again")
    return entry


def _as_text(manifest: dict[str, Any]) -> str:
    return json.dumps(manifest, indent=1, sort_keys=True)


def _put(path: Path, content: bytes) -> None:
    write_whole(path, lambda scratch: scratch.write_bytes(content))


def _is_local(url: str) -> bool:
    return url.startswith(("file:", "local:")) or "://" not in url
