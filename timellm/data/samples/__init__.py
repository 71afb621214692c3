"""Bundled tables: real data under an open licence, each with a record of where it is from.

Inputs: the records in this folder (`*.json`), each with a CSV of the same name beside it; `build.py` rebuilds them.
Outputs: `Sample`s for the page and the command line.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from timellm.errors import DataError

_FOLDER = Path(__file__).parent
_STEPS = ("h", "5min", "30min", "D", "W-SAT", "MS")


@dataclass(frozen=True)
class Sample:
    """One bundled table and its provenance."""

    key: str
    title: str
    description: str  # in words that suit a prompt
    shows: str  # what there is to see, in a sentence
    rows: int
    channels: tuple[str, ...]
    frequency: str
    source: str
    licence: str
    attribution: str
    cut: str  # what was taken from the source, and what was changed
    settings: dict[str, Any]  # of DataConfig: what its columns are for

    @property
    def path(self) -> Path:
        """The CSV file."""
        return _FOLDER / f"{self.key}.csv"


@cache
def samples() -> tuple[Sample, ...]:
    """Every bundled table: the one to begin with first, then from the shortest step to the longest."""
    records = [_read(path) for path in _FOLDER.glob("*.json")]
    return tuple(sorted(records, key=lambda sample: (_STEPS.index(sample.frequency), sample.key)))


def find_sample(key: str) -> Sample:
    """The sample with this key.

    Raises:
        DataError: there is none; the message names those there are.
    """
    known = {sample.key: sample for sample in samples()}
    if key not in known:
        raise DataError(f"there is no sample '{key}'; there are: {', '.join(known)}")
    return known[key]


def _read(path: Path) -> Sample:
    record = json.loads(path.read_text(encoding="utf-8"))
    return Sample(key=path.stem, **record | {"channels": tuple(record["channels"])})
