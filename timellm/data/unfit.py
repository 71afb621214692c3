"""Which rows or cells make a table unusable, as data, so that all of them can be shown and a repair be offered.

Inputs: what reading found. Outputs: the `evidence` of a `DataError`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class TimesAtFault:
    """Timestamps in the order of the file, and which of them are at fault; the arrays share one length."""

    fault: Literal["duplicates", "irregular"]
    """duplicates: an earlier row has the same timestamp and series; irregular: it misses the regular step."""
    times: pd.DatetimeIndex
    lines: np.ndarray
    """Lines of the file."""
    at_fault: np.ndarray
    """bool."""
    frequency: str | None = None
    """The step that `irregular` ones miss."""
    alike: int = 0
    """Of the duplicates, those that equal an earlier row in every cell."""


@dataclass(frozen=True)
class CellsAtFault:
    """Cells of a column of numbers that are none."""

    column: str
    texts: tuple[str, ...]
    """As they stand, in the order of the file; the first 10,000 of them."""
    lines: np.ndarray
    count: int
    """All of them."""
    rows: int
    """Rows of the file."""
