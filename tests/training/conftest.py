"""What this room's tests share."""

from __future__ import annotations

import numpy as np

from timellm.data.source import WindowSource
from timellm.data.windows import Split, index_windows
from timellm.training.step import TrainingWindows


def windows_of(values: np.ndarray, rows: tuple[int, int, int], *, context: int, horizon: int) -> TrainingWindows:
    """Training and validation windows of `values` [rows, channels], which is split into these numbers of rows."""
    training, validation = (
        index_windows(values, Split.from_rows(rows), part=part, context=context, horizon=horizon)
        for part in ("training", "validation")
    )
    return TrainingWindows(WindowSource(values, context=context, horizon=horizon), training, validation)
