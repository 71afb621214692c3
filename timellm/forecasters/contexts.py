"""Contexts in original units, for forecasters that need no scale and no tensors.

Shapes: W windows, T context.
"""

from __future__ import annotations

import numpy as np

from timellm.data.prepared import PreparedData
from timellm.data.windows import WindowIndex


def contexts_of(prepared: PreparedData, index: WindowIndex) -> np.ndarray:
    """The context of each window, float64 [W, T]: gaps filled as the task asks, NaN where nothing fills them.

    An origin may be one past the last row. Rows before the table's first are NaN.
    """
    rows_WT = index.origin[:, None] + np.arange(-prepared.context, 0)
    before_WT = rows_WT < 0
    found_WT = prepared.past.before(index.origin, channel=index.channel, rows_WK=rows_WT.clip(min=0))
    return np.where(before_WT, np.nan, found_WT)
