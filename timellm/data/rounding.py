"""How many decimals a channel's values have, so that a forecast shows no more than the data does.

Inputs: values as they were measured. Outputs: decimals, and frames rounded to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

MOST_DECIMALS = 6
_LOOKED_AT = 20_000
"""Values that decide, evenly spaced."""


def decimals_of(values: np.ndarray) -> int | None:
    """Decimals that all known values do with: 0 for counts; None where more than six are needed or none is known."""
    known = values[np.isfinite(values)]
    if not known.size:
        return None
    known = known[:: max(1, len(known) // _LOOKED_AT)]
    tolerance = 8 * np.spacing(np.abs(known))  # what a division or a sum adds
    for decimals in range(MOST_DECIMALS + 1):
        if (np.abs(known - np.round(known, decimals)) <= tolerance).all():
            return decimals
    return None


def rounded(values: pd.Series, decimals: int | None) -> pd.Series:
    """A series as its channel's data would show it: whole numbers where it has no decimals."""
    if decimals is None:
        return values
    found = values.round(decimals) + 0.0  # no -0
    return found.astype("Int64") if decimals == 0 else found


def round_rows(frame: pd.DataFrame, decimals: Mapping[str, int | None], columns: Iterable[str]) -> pd.DataFrame:
    """Long rows with some columns rounded by their channel, unique_id; whole numbers if all channels have them."""
    places = frame["unique_id"].map(lambda name: decimals[name])
    found = {}
    for name in columns:
        values = frame[name].astype(float)
        for number in places.dropna().unique():
            mine = (places == number).to_numpy()
            values = values.where(~mine, values.round(int(number)) + 0.0)
        found[name] = values.astype("Int64") if len(frame) and (places == 0).all() else values
    return frame.assign(**found)


def rounding_note(decimals: int | None) -> str:
    """What is said of rounded values; empty where they are not rounded."""
    if decimals is None:
        return ""
    if decimals == 0:
        return "Values are rounded to whole numbers, as the data has them."
    return f"Values are rounded to {decimals} {'decimal' if decimals == 1 else 'decimals'}, as the data has them."
