"""Repairs that would make a refused table readable, the likeliest first.

Shapes: E records.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from timellm.data.repair.clock import zones_that_fit

_STEPS = ("1s", "5s", "10s", "15s", "30s", "1min", "5min", "10min", "15min", "30min", "1h", "3h", "6h", "12h")
_LONG_STEPS = ((0.75, "D"), (5, "W-MON"), (20, "MS"), (70, "QS"), (200, "YS"))  # from so many days on
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MOST_ZONES = 4
_JITTER = 1.05
"""By how much the usual step may be longer than a common one: clocks that drift by seconds make no other step."""


def for_duplicates(times: pd.DatetimeIndex, series: np.ndarray, *, utc: bool) -> tuple[str, ...]:
    """Steps, each of which would do, for records [E] whose timestamps stand twice; `utc`: they are known to be UTC."""
    zones = () if utc else zones_that_fit(times, series)[:_MOST_ZONES]
    return (*(f"timezone:{zone}:utc" for zone in zones), "duplicates:mean", "duplicates:last", "duplicates:sum")


def for_uneven_steps(times: pd.DatetimeIndex, series: np.ndarray) -> tuple[str, ...]:
    """Steps, each of which would do, for records [E] whose timestamps lie on no regular grid."""
    step = even_step(times, series)
    return tuple(f"resample:{step}:{how}" for how in ("mean", "last", "max", "sum"))


def even_step(times: pd.DatetimeIndex, series: np.ndarray) -> str:
    """The usual step between records of a series, rounded up to a common one."""
    moments = times.to_numpy()
    order = np.lexsort((moments, series))
    steps = np.diff(moments[order])[np.diff(series[order]) == 0]
    steps = steps[steps > np.timedelta64(0)]
    usual = pd.Timedelta(np.median(steps)) if len(steps) else pd.Timedelta(days=1)
    found = next((step for step in _STEPS if usual <= _JITTER * pd.Timedelta(step)), "D")
    for least, step in _LONG_STEPS:
        found = step if usual / pd.Timedelta(days=1) >= least else found
    return _yearly(times, series) if found == "YS" else found


def _yearly(times: pd.DatetimeIndex, series: np.ndarray) -> str:
    """The year that parts most records from each other: the calendar's, or one that begins in another month."""
    parted = {}
    for place, month in enumerate(_MONTHS):
        years = times.year - (times.month <= place)
        parted[month] = len(pd.DataFrame({"series": series, "year": years}).drop_duplicates())
    best = max(parted, key=lambda month: parted[month])  # the first of equals
    return "YS" if best == "JAN" else f"YS-{best}"
