"""Reading JSON that anybody may have written: configurations, archives, files of a run folder, rows of the store.

Inputs: text or a file. Outputs: plain dictionaries, lists, numbers and texts, or a ValueError in one line. The standard
reader accepts more than JSON (NaN), silently keeps the last of two equal names, and ends a deeply nested text in
a RecursionError; each of these is refused here.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

MOST_DEPTH = 64
"""Objects and lists inside each other; a run's own files have up to 5."""
MOST_BYTES = 256 * 2**20


def parse_json(text: str | bytes, *, constants: bool = False, most_bytes: int = MOST_BYTES) -> Any:
    """The content of a JSON text; with `constants`, NaN and Infinity count as numbers, as Python writes them.

    Raises:
        ValueError: it is no JSON, too large or too deeply nested, or has a name twice in one object.
    """
    if len(text) > most_bytes:
        raise ValueError(f"it is {len(text):,} bytes long, and at most {most_bytes:,} are read")
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    try:
        tree = json.loads(text, object_pairs_hook=_object, **({} if constants else _FINITE))
    except RecursionError:
        raise ValueError(f"it is nested more than {MOST_DEPTH} levels deep") from None
    level, depth = [tree], 0
    while level := [one for one in level if isinstance(one, dict | list)]:
        depth += 1
        if depth > MOST_DEPTH:
            raise ValueError(f"it is nested more than {MOST_DEPTH} levels deep")
        level = [child for one in level for child in (one.values() if isinstance(one, dict) else one)]
    if "\\u" in text:  # half of a pair of code units is no character, and cannot be written anywhere again
        try:
            json.dumps(tree, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError:
            raise ValueError("it holds half of a character (a single \\ud800 to \\udfff)") from None
    return tree


def read_json(path: Path, *, constants: bool = False, most_bytes: int = MOST_BYTES) -> Any:
    """The content of a JSON file, as `parse_json`.

    Raises:
        ValueError: as `parse_json`.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return parse_json(file.read(most_bytes + 1), constants=constants, most_bytes=most_bytes)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"it has the name {twice[:80]!r} twice in one object")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"it holds {name}, which is no number in JSON")


def _finite(text: str) -> float:
    if math.isinf(value := float(text)):
        raise ValueError(f"it holds the number {text[:40]}, which is too large")
    return value


_FINITE: dict[str, Any] = {"parse_constant": _no_constant, "parse_float": _finite}
