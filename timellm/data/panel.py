"""A panel: many series of different lengths without a shared time axis, such as those of the M4 competition.

Inputs: a text file with one series a line, its name first and then its values from the oldest to the latest:

    "V1","V2","V3","V4"
    "H1",605,586,586
    "H2",3124,2990

Shorter lines may be filled up with empty cells or NA at their end. Outputs: a `Panel`, and from it a grid on which the
series end together. The file is read line by line, so that memory is that of the values: 8 bytes each.

Shapes: N series, R rows.
"""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Self

import numpy as np

from timellm.data.table import LARGEST_VALUE
from timellm.errors import DataError

MOST_VALUES = 100_000_000
"""Of a file: 800 MB. The largest one of the M4 competition has 11 million."""
_EMPTY = ("", "NA", "NaN")


@dataclass(frozen=True)
class Panel:
    """Series in the order of their file."""

    names: tuple[str, ...]
    series: tuple[np.ndarray, ...]
    """N arrays of float64, each [R] of its own length, at least 1; every value is finite."""

    def __len__(self) -> int:
        return len(self.names)

    @property
    def lengths(self) -> np.ndarray:
        """Values of each series, [N]."""
        return np.array([len(one) for one in self.series], np.int64)

    def of(self, kept: np.ndarray) -> Self:
        """The series with these numbers, in this order."""
        return type(self)(tuple(self.names[at] for at in kept), tuple(self.series[at] for at in kept))

    def blocks(self, size: int) -> Iterator[Self]:
        """`size` series at a time: their grids are small even if one series of them is long."""
        for begin in range(0, len(self), size):
            yield self.of(np.arange(begin, min(begin + size, len(self))))

    def ended_together(self, rows: int | None = None) -> np.ndarray:
        """The last `rows` values of every series [rows, N], NaN before a series begins; all values if not given.

        The last row holds the last value of every series, whenever that was.
        """
        rows = int(self.lengths.max()) if rows is None else rows
        values_RN = np.full((rows, len(self)), np.nan)
        for number, one in enumerate(self.series):
            some = one[-rows:]
            values_RN[rows - len(some) :, number] = some
        return values_RN


def read_panel(path: Path) -> Panel:
    """Read a file with one series a line.

    Raises:
        DataError: the file cannot be read or used; names line, series and what to do.
    """
    names: dict[str, int] = {}
    series: list[np.ndarray] = []
    total = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file)
            _check_header(path, next(lines, []))
            for cells in lines:
                if not any(cells):
                    continue
                name, line = cells[0].strip(), lines.line_num
                if not name:
                    raise DataError(f"{path.name}, line {line}: the series has no name; write one in the first column")
                if name in names:
                    raise DataError(
                        f"{path.name}, line {line}: series '{name}' is also in line {names[name]}; rename or remove one"
                    )
                names[name] = line
                values = _values(cells[1:], where=f"{path.name}, line {line}, series '{name}'")
                total += len(values)
                if total > MOST_VALUES:
                    raise DataError(
                        f"{path.name} holds more than {MOST_VALUES:,} values at line {line}; divide it into several"
                        " files"
                    )
                series.append(np.frombuffer(values, np.float64))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a table of series, one a line: {error}") from None
    if not series:
        raise DataError(f"{path.name} holds no series; give one line for each, its name first and then its values")
    return Panel(tuple(names), tuple(series))


def _check_header(path: Path, cells: list[str]) -> None:
    if len(cells) < 2:
        raise DataError(
            f"{path.name}, line 1: a header of two or more columns, separated by commas, is expected, such as V1,V2,V3"
        )
    try:
        float(cells[1])
    except ValueError:
        return
    raise DataError(
        f"{path.name}, line 1: its second cell is the number {cells[1]}; put a header such as V1,V2,V3 above the series"
    )


def _values(cells: list[str], *, where: str) -> array[float]:
    """The values of one line up to its last one that is not empty."""
    count = len(cells)
    while count and cells[count - 1].strip() in _EMPTY:
        count -= 1
    if not count:
        raise DataError(f"{where}: there is no value; remove the line")
    found = array("d")
    for number, cell in enumerate(cells[:count], start=2):
        try:
            value = float(cell)
        except ValueError:
            value = float("nan")
        if not isfinite(value) or abs(value) > LARGEST_VALUE:
            what = "is empty before a later value" if cell.strip() in _EMPTY else f"holds '{cell[:40]}'"
            raise DataError(
                f"{where}: column {number} {what}; give numbers up to {LARGEST_VALUE:g}, with a decimal point and"
                " without gaps"
            )
        found.append(value)
    return found
