"""The sets of the published long-term forecasting benchmarks: files, splits, horizons, and words for the prompt.

Inputs: `sets.json` beside this module, and the user's folder. Outputs: `KnownSet`s, the path of each file or what is
missing, and the sets that a table looks like. The descriptions are the prompt bank: the user chooses one by the name of
its set, or writes another.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from timellm.errors import ConfigError
from timellm.protocols.protocol import MissingFile

if TYPE_CHECKING:
    from timellm.data.table import Table

_FILE = Path(__file__).with_name("sets.json")
_SIMILAR_ROWS = 0.01
"""Share by which the rows of a table may differ from the published count: repairs add or take a few."""


@dataclass(frozen=True)
class KnownSet:
    """One published set."""

    name: str
    files: tuple[str, ...]
    """Names that its file may have; the first one is the usual."""
    source: str
    """Authors, repository and year, in words."""
    rows: int
    channels: int
    target: str
    """The channel that is forecast where only one is."""
    frequency: str
    """Step between rows, as pandas writes it."""
    split: str
    """As published; see timellm.config.table."""
    horizons: tuple[int, ...]
    context: int
    description: str
    """What the data is, for the prompt; in our own words."""
    names: tuple[str, ...] = ()
    """All channels, where they are the same in every copy of the file."""
    settings: Mapping[str, Any] | None = None
    """Settings with which its file is read as the published programs read it."""
    note: str = ""
    """What these settings do, for the results."""

    def find(self, folder: Path) -> Path | MissingFile:
        """Its file in a folder, or what is missing."""
        for name in self.files:
            if (folder / name).is_file():
                return folder / name
        return MissingFile(" or ".join(self.files), self.name, self.source)

    def looks_like(self, table: Table) -> bool:
        """Whether a table has its step, its channels and about its rows."""
        channels = table.channels
        return (
            table.frequency == self.frequency
            and len(channels) == self.channels
            and self.target in channels
            and (not self.names or set(channels) == set(self.names))
            and abs(len(table.values) - self.rows) <= _SIMILAR_ROWS * self.rows
        )


@cache
def known_sets() -> dict[str, KnownSet]:
    """Every set by its name."""
    records: dict[str, dict[str, Any]] = json.loads(_FILE.read_text(encoding="utf-8"))
    tuples = ("files", "horizons", "names")
    return {
        name: KnownSet(name=name, **record | {key: tuple(record.get(key, ())) for key in tuples})
        for name, record in records.items()
    }


def find_set(name: str) -> KnownSet:
    """The set called `name`.

    Raises:
        ConfigError: there is none; the message lists them.
    """
    if name not in known_sets():
        raise ConfigError(f"there is no set '{name}'; there are: {', '.join(known_sets())}")
    return known_sets()[name]


def set_note(one: KnownSet) -> str:
    """How a set's file is read, for results; empty where it is read as it is."""
    return f"{one.name}: {one.note}" if one.note else ""


def recognise(table: Table, *, title: str = "") -> tuple[KnownSet, ...]:
    """The sets that a table looks like; one that its `title` names comes first, as ETTh1 and ETTh2 look alike."""
    alike = [one for one in known_sets().values() if one.looks_like(table)]
    return tuple(sorted(alike, key=lambda one: one.name.lower() not in title.lower()))
