"""On which line of its file each row of a table stands, so that a finding can name it.

Inputs: rows and their lines, as the table is read. Outputs: `FileLines`. A table that is read from a run's folder has
none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_MOST_CELLS = 20_000_000
"""Beyond it, the lines of a long table would take more memory than they are worth."""


@dataclass(frozen=True)
class FileLines:
    """Lines of a file, counted from 1, for the rows of a table."""

    lines: np.ndarray
    """int32 [rows] of a wide table, [rows, series] of a long one; 0 where the file has no such row."""
    series: tuple[str, ...] = ()
    """Names of the series of a long table."""

    @classmethod
    def of(
        cls, lines: np.ndarray, *, rows: np.ndarray, total: int, series: np.ndarray, names: tuple[str, ...]
    ) -> FileLines | None:
        """Of records on these lines that stand in these rows of `total`; with `names`, each of one of the series.

        None where there are too many.
        """
        if not names:
            found = np.zeros(total, np.int32)
            found[rows] = lines
            return cls(found)
        if total * len(names) > _MOST_CELLS:
            return None
        found = np.zeros((total, len(names)), np.int32)
        found[rows, series] = lines
        return cls(found, names)

    @property
    def absent(self) -> np.ndarray:
        """Rows that the file does not have, bool [rows]."""
        return self.lines == 0 if self.lines.ndim == 1 else (self.lines == 0).all(axis=1)

    def line(self, row: int, channel: str | None = None) -> int | None:
        """The line of a row; of a long table, of that row of one series. None if the file has no such row."""
        if self.lines.ndim == 1:
            return int(self.lines[row]) or None
        if channel not in self.series:
            return None
        return int(self.lines[row, self.series.index(channel)]) or None

    def until(self, rows: int) -> FileLines:
        """Those of the first `rows` rows."""
        return FileLines(self.lines[:rows], self.series)
