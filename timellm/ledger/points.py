"""Every point of a kept forecast in one frame: the model's numbers, the hand's, and what came.

Inputs: an entry and what was added to it. Outputs: a frame with a row a channel and moment, which is scored, drawn and
exported. The model's numbers and the adjustments stay in columns of their own.

unique_id, ds, step (from 1), yhat, bounds such as yhat-lo-80, seasonal_naive
adjusted      the value that somebody put there; NaN where nobody did
adjusted_by   who did it last
y             the actual value; NaN while it is not known
y_first       the one that came first, which differs where it was revised since
source        where the actual value came from
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from timellm.ledger.actuals import Arrival, merged
from timellm.ledger.entry import Adjustment, Entry
from timellm.ledger.folder import Ledger

KEYS = ["unique_id", "ds"]


def points(ledger: Ledger, entry: Entry) -> pd.DataFrame:
    """The points of an entry as they are now.

    Raises:
        LedgerError: a file of it is damaged.
    """
    forecast = ledger.forecast(entry)
    return with_actuals(with_adjustments(forecast, ledger.adjustments(entry.id)), ledger.arrivals(entry.id))


def with_adjustments(forecast: pd.DataFrame, adjustments: Sequence[Adjustment]) -> pd.DataFrame:
    """The forecast with the columns step, adjusted and adjusted_by; of two changes of a value, the later one holds."""
    found: dict[tuple[str, pd.Timestamp], tuple[float, str | None]] = {}
    for one in adjustments:
        for change in one.changes:
            value = (np.nan, None) if change.becomes is None else (change.becomes, one.by)
            found[change.channel, change.moment] = value
    keys = list(zip(forecast["unique_id"], forecast["ds"], strict=True))
    return forecast.assign(
        step=forecast.groupby("unique_id").cumcount().to_numpy() + 1,
        adjusted=np.array([found.get(key, (np.nan, None))[0] for key in keys], np.float64),
        adjusted_by=pd.Series([found.get(key, (np.nan, None))[1] for key in keys], forecast.index, dtype="object"),
    )


def with_actuals(rows: pd.DataFrame, arrivals: tuple[Arrival, ...]) -> pd.DataFrame:
    """The rows with the columns y, y_first and source."""
    came = merged(arrivals).rename(columns={"first": "y_first"})
    return rows.merge(came, on=KEYS, how="left")


def current(rows: pd.DataFrame) -> pd.Series:
    """The forecast with adjustments in place of the model's numbers."""
    return rows["adjusted"].fillna(rows["yhat"])
