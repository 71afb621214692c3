"""Bounds that a table suggests: values that are never negative, weekdays on which all of them are always zero.

Inputs: a `Table`. Outputs: settings with the reason for each. They are offered, and never set without being asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from timellm.config import WEEKDAYS, TaskConfig
from timellm.data.table import Table

_FEWEST_DAYS = 8
"""Zero days of a weekday that make a habit."""
_DAY = pd.Timedelta(days=1)


@dataclass(frozen=True)
class SuggestedBounds:
    """Settings that suit a table, and why."""

    settings: Mapping[str, Any]
    reason: str


def suggest_bounds(table: Table) -> tuple[SuggestedBounds, ...]:
    """What a table suggests; often nothing."""
    values_RN = table.values.to_numpy(np.float64)
    known_RN = ~np.isnan(values_RN)
    if not known_RN.any() or values_RN[known_RN].min() < 0 or not values_RN[known_RN].max() > 0:
        return ()
    numbers = "counts" if is_whole(values_RN) else "values"
    found = [SuggestedBounds({"lower_bound": 0.0}, f"None of the {known_RN.sum():,} {numbers} is below 0.")]
    closed = _closed_weekdays(table, values_RN)
    if closed:
        names = " and ".join(name.capitalize() for name in closed)
        found.append(
            SuggestedBounds({"closed_weekdays": ",".join(closed)}, f"Every value on a {names} is 0: closed days.")
        )
    return tuple(found)


def bounds_note(task: TaskConfig) -> tuple[str, ...]:
    """A sentence that names the bounds in force; none without bounds."""
    words = []
    if task.lower_bound is not None:
        words.append(f"not below {task.lower_bound:g}")
    if task.upper_bound is not None:
        words.append(f"not above {task.upper_bound:g}")
    if task.closed_days:
        words.append(f"zero on {task.closed_weekdays.replace(',', ', ')}")
    return (f"Forecasts and bands are kept {' and '.join(words)}.",) if words else ()


def is_whole(values: np.ndarray) -> bool:
    """Whether all known values are whole numbers."""
    known = values[~np.isnan(values)]
    return bool(known.size) and bool((known == np.round(known)).all())


def _closed_weekdays(table: Table, values_RN: np.ndarray) -> tuple[str, ...]:
    """Weekdays on which every known value of every channel is zero, on eight days at least."""
    index = table.values.index
    if len(index) < 2 or index[1] - index[0] > _DAY:
        return ()
    highest_R = np.where(np.isnan(values_RN), -np.inf, values_RN).max(axis=1)
    known_R = np.isfinite(highest_R)
    found = []
    for number, name in enumerate(WEEKDAYS):
        mine_R = known_R & (index.day_of_week == number)
        days = index[mine_R].normalize().nunique()
        if days >= _FEWEST_DAYS and (highest_R[mine_R] == 0).all():
            found.append(name)
    return tuple(found)
