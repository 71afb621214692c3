"""Check and unpack an archive that may be hostile.

Inputs: an open zip file. Outputs: its files in a folder, each as its manifest says, and the run's row. What the archive
declares is checked against limits before anything is unpacked: names, kinds, number, sizes, and the room that there is.
"""

from __future__ import annotations

import hashlib
import os
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from pydantic import BaseModel, ValidationError

from timellm.errors import CheckpointError
from timellm.jobs.archive.writing import (
    FILES,
    FORMAT,
    KINDS,
    MANIFEST,
    MOST_BYTES,
    MOST_FILES,
    NAME,
    ROW,
    TABLE,
    VERSION,
    Manifest,
    Row,
)
from timellm.jobs.store.run import RUN_ID
from timellm.json_text import parse_json

_MOST_DESCRIPTION = 64 * 2**20  # bytes of manifest.json and of run.json
_MOST_SHRUNK, _SHRINKS_FREELY = 200, 64 * 2**20
_END, _END_LOCATOR_64 = b"PK\x05\x06", b"PK\x06\x07"
_CHUNK = 2**20


def unpack(file: BinaryIO, folder: Path, *, free: int) -> tuple[Manifest, Row]:
    """Unpack an archive of a run into an empty folder with room for `free` bytes.

    Raises:
        CheckpointError: it is damaged, from another version, holds what no run's archive does, or is too large.
        OSError: the folder cannot be written.
    """
    _check_directory(file)
    try:
        with zipfile.ZipFile(file) as archive:
            entries = _checked_entries(archive.infolist(), archive_bytes=_size(file), free=free)
            manifest = _described(archive, entries, MANIFEST, Manifest)
            _check_manifest(manifest, entries)
            row = _described(archive, entries, ROW, Row)
            for name, entry in manifest.files.items():
                _extract(archive, entries[name], folder / name, sha256=entry.sha256)
            return manifest, row
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, zlib.error) as error:
        raise CheckpointError(f"the archive is damaged ({error}); export the run again") from error


def _check_directory(file: BinaryIO) -> None:
    """Read how many entries the archive declares, before a library reads them all into memory."""
    size = _size(file)
    file.seek(max(0, size - 65_600))
    tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) < at + 22:
        raise CheckpointError("this is no archive of a run (it is no zip archive, or it is cut short)")
    count, length = int.from_bytes(tail[at + 10 : at + 12], "little"), int.from_bytes(tail[at + 12 : at + 16], "little")
    if count > MOST_FILES or length > MOST_FILES * 1000 or tail[max(0, at - 20) : at].startswith(_END_LOCATOR_64):
        raise CheckpointError(f"the archive declares more than the {MOST_FILES:,} files that a run may have")


def _checked_entries(infos: list[zipfile.ZipInfo], *, archive_bytes: int, free: int) -> dict[str, zipfile.ZipInfo]:
    entries: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        name, kind = info.filename, stat.S_IFMT(info.external_attr >> 16)
        inside = name.partition("/")[2] if name.startswith((FILES, TABLE)) else name
        known = name in (MANIFEST, ROW) or (inside != name and PurePosixPath(inside).suffix in KINDS)
        if not known or not NAME.fullmatch(name) or kind not in (0, stat.S_IFREG) or info.flag_bits & 1:
            raise CheckpointError(f"the archive holds {name[:120]!r}, which no run's does; it is not imported")
        if name in entries:
            raise CheckpointError(f"the archive holds {name!r} twice; it is not imported")
        entries[name] = info
    total = sum(info.file_size for info in infos)
    if total > MOST_BYTES or (total > _SHRINKS_FREELY and total > _MOST_SHRUNK * archive_bytes):
        raise CheckpointError(
            f"the archive of {archive_bytes:,} bytes declares {total:,} bytes of content, more than a run's would;"
            " it is not imported"
        )
    if total > free:
        raise CheckpointError(
            f"the archive needs {total / 1e6:,.0f} MB and there is room for {max(0, free) / 1e6:,.0f} MB; make room"
        )
    return entries


def _described(archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], name: str, kind: type[BaseModel]) -> Any:
    if name not in entries or entries[name].file_size > _MOST_DESCRIPTION:
        raise CheckpointError(f"this is no archive of a run: it holds no {name}, or one that is too large")
    with archive.open(entries[name]) as file:
        text = file.read(_MOST_DESCRIPTION + 1)
    try:
        found = parse_json(text, most_bytes=_MOST_DESCRIPTION)
        if kind is Manifest and found.get("version") != VERSION and found.get("format") == FORMAT:
            raise CheckpointError(
                f"the archive has version {found.get('version')!r} and this workbench reads {VERSION}; use the version"
                " that wrote it, or a newer one"
            )
        return kind.model_validate(found)
    except (ValidationError, ValueError, AttributeError) as error:
        found = " ".join(str(error).split())[:300]
        raise CheckpointError(f"{name} in the archive is damaged or from another version: {found}") from None


def _check_manifest(manifest: Manifest, entries: dict[str, zipfile.ZipInfo]) -> None:
    if manifest.format != FORMAT or not RUN_ID.fullmatch(manifest.run):
        raise CheckpointError("this is no archive of a run: its manifest describes something else")
    if set(manifest.files) | {MANIFEST} != set(entries) or MANIFEST in manifest.files:
        odd = sorted((set(manifest.files) | {MANIFEST}) ^ set(entries))
        raise CheckpointError(f"the archive and its manifest disagree about {odd[0]!r}; export the run again")
    for name, entry in manifest.files.items():
        if entries[name].file_size != entry.bytes:
            raise CheckpointError(
                f"{name} in the archive does not have the size that its manifest says; export it again"
            )
    if sum(name.startswith(TABLE) for name in manifest.files) > 1:
        raise CheckpointError("the archive holds more than one table, and an archive of a run holds one")


def _extract(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, *, sha256: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, left = hashlib.sha256(), info.file_size
    with archive.open(info) as source, target.open("xb") as into:
        while piece := source.read(min(_CHUNK, left + 1)):
            left -= len(piece)
            if left < 0:
                raise CheckpointError(f"{info.filename} in the archive is larger than it says; it is not imported")
            digest.update(piece)
            into.write(piece)
    if digest.hexdigest() != sha256:
        raise CheckpointError(
            f"{info.filename} in the archive is damaged or was changed: not what its manifest says; export it again"
        )


def _size(file: BinaryIO) -> int:
    return file.seek(0, os.SEEK_END)
