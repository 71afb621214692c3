"""Files that carry a digest of themselves, so that a single changed bit is found before anything is made of them.

The digest is the SHA-256 of the whole file with zeros in its own place. It finds damage and thoughtless changes; who
means to deceive can write another one. JSON files hold it beside their content, Parquet files in their metadata
(timellm.files.parquetfile), so a file is whole by itself, and no list of digests has to follow later writes.

    {"timellm.digest": "sha256:<64 digits>", "content": ...}
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from timellm.json_text import parse_json
from timellm.workspace import write_whole

KEY = "timellm.digest"
SLOT = "sha256:" + "0" * 64
_CONTENT = "content"
_SEAL = re.compile(rb"timellm\.digest.{1,8}?sha256:([0-9a-f]{64})", re.DOTALL)
_VALUE = re.compile(rb"sha256:[0-9a-f]{64}")


def sealed(data: bytes, *, at_end: bool = False) -> bytes:
    """`data` with its digest in the place of the one `SLOT` that it holds; the last one with `at_end`."""
    slot = SLOT.encode()
    place = (data.rfind(slot) if at_end else data.find(slot)) + len("sha256:")
    return data[:place] + hashlib.sha256(data).hexdigest().encode() + data[place + 64 :]


def seal_file(path: Path) -> None:
    """As `sealed` with `at_end`, for a file on the disk that is too large to be held in memory."""
    size, slot, tail = path.stat().st_size, SLOT.encode(), _FOOTER
    with path.open("r+b") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        while True:
            begin = file.seek(max(0, size - tail))
            place = file.read().rfind(slot)
            if place >= 0 or not begin:
                break
            tail *= 2
        assert place >= 0, "the file has no slot for its digest"
        file.seek(begin + place + len("sha256:"))
        file.write(digest.encode())


def check_seal(data: bytes, *, at_end: bool = False) -> None:
    """Compare a file's content with the digest in it; a file of an earlier version holds none and passes.

    Raises:
        ValueError: it is not what was written.
    """
    place = data.rfind(KEY.encode()) if at_end else data.find(KEY.encode())
    found = _SEAL.match(data, place) if place >= 0 else None
    if found is None:
        # The digest is named twice, by its key and by its kind: a bit that is flipped in one leaves the other.
        region = data[-_FOOTER:] if at_end else data[:_HEAD]
        if place < 0 and _VALUE.search(region) is None:
            return
        raise ValueError("its digest is unreadable")
    digest = hashlib.sha256(memoryview(data)[: found.start(1)])
    digest.update(b"0" * 64)
    digest.update(memoryview(data)[found.end(1) :])
    if digest.hexdigest().encode() != found[1]:
        raise ValueError("its content is not what was written: the digest in it differs")


_HEAD, _FOOTER = 200, 2000
"""Bytes at the beginning of a JSON file and at the end of a Parquet file, among which the digest lies."""


def write_sealed_json(path: Path, content: Any) -> None:
    """Write JSON with its digest.

    Raises:
        ValueError: the content holds NaN or infinity.
        OSError: the file cannot be written; the one before stays.
    """
    text = json.dumps({KEY: SLOT, _CONTENT: content}, allow_nan=False)
    data = sealed(text.encode())
    write_whole(path, lambda scratch: scratch.write_bytes(data))


def read_sealed_json(path: Path) -> Any:
    """The content of a JSON file, with a digest or of an earlier version without one.

    Raises:
        ValueError: it is damaged or no JSON.
        OSError: it cannot be read.
    """
    data = path.read_bytes()
    check_seal(data)
    tree = parse_json(data)
    if isinstance(tree, dict) and tree.keys() & {KEY, _CONTENT}:
        if tree.keys() != {KEY, _CONTENT}:
            raise ValueError("its digest or its content is missing")
        return tree[_CONTENT]
    return tree
