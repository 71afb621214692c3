"""The result of a verb: the same content as data for `--json` and as text for people."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Answer:
    """The result of one verb."""

    data: Any
    text: str

    def json(self) -> str:
        """The data as strict JSON: NaN and infinity become null."""
        return json.dumps(plain(self.data), indent=2, allow_nan=False)


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
