"""What must come of a hostile file, and the tables without fault of which such files are made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

NAN = math.nan


@dataclass(frozen=True)
class Reads:
    """A table: the values of its first channel, the first timestamp where it is awkward, and words of its notes."""

    values: Sequence[float]
    begin: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refused:
    """An error with these words."""

    words: str


@dataclass(frozen=True)
class Asked:
    """A question that this setting answers."""

    setting: str


Outcome = Reads | Refused | Asked
Case = tuple[str, bytes, Outcome]
DAYS = [f"2020-01-{day:02d}" for day in range(1, 29)]
PLAIN = [float(number) + 0.5 for number in range(12)]
COUNT = [float(number) for number in range(28)]


def lines(*rows: str, end: str = "\n") -> bytes:
    """Rows as a file."""
    return end.join([*rows, ""]).encode()


def column(*cells: str, mark: str = ";") -> bytes:
    """One row a day with a timestamp and one of these cells."""
    return lines(f"ds{mark}y", *(f"{day}{mark}{cell}" for day, cell in zip(DAYS, cells, strict=False)))


def stamps(*cells: str, mark: str = ";") -> bytes:
    """Rows with these timestamps, and 0.5, 1.5 ... beside them."""
    return lines(f"ds{mark}y", *(f"{cell}{mark}{number + 0.5}" for number, cell in enumerate(cells)))


def plain(mark: str = ",", end: str = "\n", rows: int = 12) -> bytes:
    """A table without fault."""
    return lines(
        f"ds{mark}y", *(f"{day}{mark}{value}" for day, value in zip(DAYS, PLAIN[:rows], strict=False)), end=end
    )
