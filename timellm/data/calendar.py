"""Where the rows of a table lie in the calendar, those after its end too: it is known in advance.

Inputs: a table. Outputs: when each row begins, and which part of the calendar fits the step between rows. Nothing here
reads a value.

Shapes: R rows, H rows after the end, B origins.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from pandas.tseries.offsets import BusinessDay, Day, Tick, Week

from timellm.data.table import Table

Grain = Literal["hour", "day", "month", "none"]
"""The finest part of the calendar that differs from row to row: hours of the week, days of the week, or months."""

_CLASSES = {"hour": (168, 12), "day": (7, 12), "month": (12,), "none": ()}


def grain_of(offset: pd.DateOffset) -> Grain:
    """What of the calendar fits a step between rows; nothing where every row begins at the same day of the year."""
    if isinstance(offset, Tick):
        step = pd.Timedelta(offset)
        return "hour" if step < pd.Timedelta(days=1) else "day" if step < pd.Timedelta(days=7) else "month"
    if isinstance(offset, Day | BusinessDay):
        return "day" if offset.n < 7 else "month"
    if isinstance(offset, Week):
        return "month"
    months = {"M": 1, "Q": 3, "Y": 12}.get(offset.rule_code.lstrip("B")[:1], 1) * offset.n
    return "none" if months % 12 == 0 else "month"


def row_starts(table: Table, ahead: int) -> pd.DatetimeIndex:
    """When each row begins, [R + H + 1]: the table's, `ahead` after its end, and the end of the last of these.

    A timestamp is a row's begin, but for months, quarters and years that are named by their last day.
    """
    index, offset = table.values.index, table.offset
    if not _ends_a_period(offset):
        return index.append(table.future_index(ahead + 1)).rename(None)
    before = pd.DatetimeIndex([index[0] - offset]).as_unit("us")
    return before.append(index).append(table.future_index(ahead)).normalize().rename(None) + pd.Timedelta(days=1)


def calendar_ones(starts: pd.DatetimeIndex, grain: Grain) -> np.ndarray:
    """One-hot columns [B, C] of these moments: hour of the week and month, day of the week and month, or month."""
    month = starts.month.to_numpy() - 1
    if grain == "none":
        return np.zeros((len(starts), 0))
    if grain == "month":
        codes = [month]
    elif grain == "day":
        codes = [starts.day_of_week.to_numpy(), month]
    else:
        codes = [starts.day_of_week.to_numpy() * 24 + starts.hour.to_numpy(), month]
    return np.hstack([np.eye(size)[code] for size, code in zip(_CLASSES[grain], codes, strict=True)])


def _ends_a_period(offset: pd.DateOffset) -> bool:
    return offset.rule_code.split("-")[0].endswith("E")
