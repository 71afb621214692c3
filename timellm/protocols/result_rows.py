"""Rows of a table of results: cells that differ in their seed alone, with mean and spread of their errors.

Inputs: `Measured` cells. Outputs: `Row`s in the order of the cells.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from timellm.protocols.protocol import Measured


@dataclass(frozen=True)
class Row:
    """The cells of one row, one a seed."""

    cells: tuple[Measured, ...]

    @property
    def first(self) -> Measured:
        """The one that stands for what all of them have in common."""
        return self.cells[0]

    def values(self, name: str) -> tuple[float, ...]:
        """A number of every seed, where it is defined."""
        return tuple(cell.numbers[name] for cell in self.cells if cell.numbers.get(name) is not None)

    def mean(self, name: str) -> float | None:
        """The mean over seeds; None where one is undefined."""
        values = self.values(name)
        return statistics.fmean(values) if len(values) == len(self.cells) else None

    def spread(self, name: str) -> float | None:
        """Sample standard deviation over seeds; None with fewer than two."""
        values = self.values(name)
        return statistics.stdev(values) if len(values) > 1 else None

    def shown(self, name: str, digits: int = 4) -> str:
        """The mean, with the spread where there is one."""
        mean, spread = self.mean(name), self.spread(name)
        if mean is None:
            return ""
        return f"{mean:.{digits}f}" + ("" if spread is None else f" ± {spread:.{digits}f}")

    @property
    def seconds(self) -> str:
        """The mean of the seconds that the runs took."""
        return _mean_of([cell.seconds for cell in self.cells])

    @property
    def memory(self) -> str:
        """The mean of their peak memory, in MiB."""
        return _mean_of([cell.memory_mib for cell in self.cells])


def rows_of(measured: Sequence[Measured]) -> tuple[Row, ...]:
    """The rows, in the order in which their first cells stand."""
    groups: dict[tuple[tuple[str, str], ...], list[Measured]] = defaultdict(list)
    for cell in measured:
        groups[tuple(part for part in cell.identity if part[0] != "seed")].append(cell)
    return tuple(Row(tuple(cells)) for cells in groups.values())


def places_of(measured: Sequence[Measured]) -> tuple[str, ...]:
    """Sentences on where and with what the cells were measured, each once."""
    made = dict.fromkeys(
        f"Measured on {one.machine}, with " + ", ".join(f"{name} {number}" for name, number in one.versions.items())
        for one in measured
    )
    return tuple(f"{sentence}." for sentence in made)


def _mean_of(numbers: Sequence[float | None]) -> str:
    known = [number for number in numbers if number is not None]
    return f"{statistics.fmean(known):,.0f}" if known else ""
