"""Numbers that papers report for the tasks of the protocols, each with its source and its context.

Inputs: `published.json` beside this module. Outputs: `Published` records. A number is written there only with the paper
that states it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FILE = Path(__file__).with_name("published.json")


@dataclass(frozen=True)
class Published:
    """What one paper reports of one model on one task."""

    protocol: str
    set: str
    horizon: str
    """Rows, or "mean" over the horizons of the set; empty where the protocol has none."""
    model: str
    ours: tuple[str, ...]
    """Models of ours that it may be held against."""
    numbers: Mapping[str, str]
    """As they are printed."""
    context: int | None
    """Rows that the model saw; None where that is not known."""
    source: str

    def __str__(self) -> str:
        return f"{self.model} {' / '.join(self.numbers.values())}"

    def value(self, name: str) -> float | None:
        """One of the numbers; None where the paper does not report it."""
        return float(self.numbers[name]) if name in self.numbers else None

    def rounding(self, name: str) -> float:
        """Half a unit of the last digit that is printed of a number."""
        return 0.5 * 10.0 ** -len(self.numbers[name].partition(".")[2])


@cache
def published(protocol: str) -> tuple[Published, ...]:
    """All records of a protocol, in the order of the file."""
    tree = json.loads(_FILE.read_text(encoding="utf-8"))
    return tuple(
        Published(**{**record, "ours": tuple(record["ours"]), "source": tree["sources"][record["source"]]})
        for record in tree["numbers"]
        if record["protocol"] == protocol
    )


def published_of(protocol: str, *, name: str, horizon: str) -> tuple[Published, ...]:
    """Those of one set and horizon."""
    return tuple(one for one in published(protocol) if (one.set, one.horizon) == (name, horizon))
