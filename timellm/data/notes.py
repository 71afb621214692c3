"""Decisions of reading a table, as notes for the user; what is found in its values is in `timellm.quality`.

Inputs: roles and timestamps. Outputs: sentences; nothing here changes or refuses anything.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from timellm.config import DataConfig
from timellm.data.columns import ColumnRoles

LARGEST_EXACT = 2**53
"""Up to this, a 64-bit floating-point number holds every whole number."""


def role_notes(roles: ColumnRoles, config: DataConfig) -> list[str]:
    """Which columns were taken for what, where the configuration does not say."""
    notes = []
    if roles.layout == "long" and config.layout == "auto":
        notes.append(f"Read as a long table: series IDs in '{roles.id_column}', values in '{roles.value_column}'.")
    if roles.time_of_day_column and config.time_of_day_column is None:
        notes.append(f"Timestamps are taken from '{roles.time_column}' and '{roles.time_of_day_column}' together.")
    if config.time_column is None and len(roles.time_candidates) > 1:
        others = _listed(roles.time_candidates[1:])
        notes.append(f"Timestamps are taken from '{roles.time_column}'; {others} could also serve.")
    used = {roles.time_column, roles.time_of_day_column, roles.id_column, roles.value_column}
    used.update(roles.series, roles.time_candidates, config.known_ahead, config.past_only, config.static_columns)
    unused = [name for name in roles.columns if name not in used]
    if unused and not config.channels:
        why = "only one column of values is used" if roles.layout == "long" else "they hold no numbers to forecast"
        notes.append(f"Left out: {_listed(unused)} ({why}).")
    return notes


def order_notes(times: pd.Series, series: np.ndarray) -> list[str]:
    """Whether the rows of each series stood in order."""
    order = np.argsort(series, kind="stable")
    steps = np.diff(times.to_numpy()[order])[np.diff(series[order]) == 0] / np.timedelta64(1, "us")
    if (steps >= 0).all():
        return []
    if (steps <= 0).all():
        return ["Rows stood newest first; they are sorted by time."]
    return [f"Rows were out of order in {(steps < 0).sum():,} places; they are sorted by time."]


def rounding_notes(values: pd.DataFrame) -> list[str]:
    """Whether numbers have more digits than a 64-bit floating-point number holds."""
    large = values.columns[values.abs().max() > LARGEST_EXACT]
    if not len(large):
        return []
    return [f"Numbers beyond {LARGEST_EXACT:,} are rounded to 16 digits: {_listed(large)}. Leave IDs out."]


def _listed(names: Iterable[str]) -> str:
    return _cut([f"'{name}'" for name in names])


def _cut(items: list[str]) -> str:
    return ", ".join(items[:5]) + (f" and {len(items) - 5:,} more" if len(items) > 5 else "")
