"""Moments at which windows end, and a window as a table."""

from __future__ import annotations

import numpy as np
import pandas as pd


def window_ends(index: pd.DatetimeIndex, context: int, most: int = 400) -> list[pd.Timestamp]:
    """Moments at which a window of `context` rows can end, evenly spaced, the end of the data among them."""
    last = len(index) - 1
    rows = np.unique(np.linspace(min(context - 1, last), last, most).round().astype(int))
    return list(index[rows])


def long_frame(channel: str, actual: pd.Series, models: dict[str, pd.Series]) -> pd.DataFrame:
    """One window as rows: unique_id, ds, y, yhat of the first model, and a column for each other model."""
    (_, first), *others = models.items()
    frame = pd.DataFrame({"unique_id": channel, "ds": actual.index, "y": actual.to_numpy(), "yhat": first.to_numpy()})
    return frame.assign(**{name: values.to_numpy() for name, values in others})
