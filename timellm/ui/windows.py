"""Moments at which windows end, and a window as a table."""

from __future__ import annotations

import numpy as np
import pandas as pd

from timellm.data.gaps import Reach
from timellm.data.prepared import PreparedData
from timellm.data.season import season_length
from timellm.errors import DataError


def test_cutoffs(prepared: PreparedData, channel: str, most: int = 400) -> tuple[list[pd.Timestamp], int]:
    """Moments at which a window of the channel can end so that a forecast of the test part or beyond it follows.

    The end of the data is among them if its window is usable. They lie a number of rows apart that is given, too: one,
    or as many as keeps them to `most`, a divisor or a multiple of the season.

    Raises:
        DataError: the channel has no such window.
    """
    number, rows = prepared.table.channels.index(channel), len(prepared.values)
    reach = Reach.of(prepared.values[:, [number]], prepared.config.missing)
    begin = max(prepared.split.validation_end, prepared.context)
    fits_1W, _ = reach.usable(prepared.context, horizon=0, begin=begin, end=rows + 1)
    origins = np.flatnonzero(fits_1W[0]) + begin
    if not len(origins):
        raise DataError(
            f"channel '{channel}' has no window of {prepared.context:,} rows without a missing value in the test part;"
            " choose another channel"
        )
    season = season_length(prepared.table.frequency)
    steps = [step for step in range(1, season) if season % step == 0]
    steps += [season * count for count in range(1, rows // season + 1)]
    step = next((one for one in steps if (origins[-1] - origins[0]) // one < most), rows)
    kept = origins[(origins[-1] - origins) % step == 0]
    return list(prepared.table.values.index[kept - 1]), step


def long_frame(channel: str, actual: pd.Series, models: dict[str, pd.Series]) -> pd.DataFrame:
    """One window as rows: unique_id, ds, y, yhat of the first model, and a column for each other model."""
    (_, first), *others = models.items()
    frame = pd.DataFrame({"unique_id": channel, "ds": actual.index, "y": actual.to_numpy(), "yhat": first.to_numpy()})
    return frame.assign(**{name: values.to_numpy() for name, values in others})
