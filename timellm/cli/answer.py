"""The result of a verb: the same content as data for `--json` and as text for people."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True)
class Answer:
    """The result of one verb."""

    data: Any
    text: str
    error: str = ""
    """Why the verb failed all the same: one line on standard error, and exit code 2."""

    def json(self) -> str:
        """The data as strict JSON: NaN and infinity become null."""
        return json.dumps(plain(self.data), indent=2, allow_nan=False)


def printable(text: str) -> str:
    """The text with control characters and halves of characters written out: a name must not command a terminal."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def plain(value: Any) -> Any:
    """Dictionaries, lists, numbers and texts only, as JSON has them."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, datetime):  # a pandas Timestamp, too
        return value.isoformat()
    if hasattr(value, "item"):  # a number of numpy's
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def columns(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Rows under their header, in columns of equal width; None and NaN show as a dash."""
    cells = [list(header), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def _cell(value: Any) -> str:
    value = plain(value)
    if value is None or value == "":
        return "-"
    return f"{value:,.5g}" if isinstance(value, float) else str(value)
