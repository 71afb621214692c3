"""A short name for some moments by the calendar, where one is true: "mostly Saturday, 10 to 20 h".

Inputs: the moments, and all moments among which they were chosen. Outputs: a name, or None where the calendar does not
set them apart.
"""

from __future__ import annotations

import calendar

import numpy as np
import pandas as pd

_FEWEST = 20
_SHARE, _ODDS = 0.6, 3.0
_WEEK = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def calendar_name(moments: pd.DatetimeIndex, *, among: pd.DatetimeIndex) -> str | None:
    """What at least 60 % of the moments have in common and the others have not.

    That is a day of the week, working days or weekends, a stretch of at most 12 hours or of at most 6 months, for which
    the odds among `moments` are at least three times those of the rest. Fewer than 20 moments get no name.
    """
    rest = among.difference(moments) if among.is_unique else _without(among, moments)
    if min(len(moments), len(rest)) < _FEWEST:
        return None
    name, numbers = _days(moments, rest)
    hours = _stretch(moments.hour.to_numpy(), rest.hour.to_numpy(), cycle=24, longest=12)
    if hours:
        on_days = np.isin(moments.day_of_week, numbers) if name else np.ones(len(moments), bool)
        in_hours = (moments.hour.to_numpy() - hours[0]) % 24 < hours[1]
        both = (on_days & in_hours).mean() >= _SHARE
        stretch = f"{hours[0]} to {(hours[0] + hours[1]) % 24 or 24} h"
        return f"mostly {name}, {stretch}" if name and both else f"mostly {name or stretch}"
    if name:
        return f"mostly {name}"
    months = _stretch(moments.month.to_numpy() - 1, rest.month.to_numpy() - 1, cycle=12, longest=6)
    return f"mostly {_months(*months)}" if months else None


def _without(among: pd.DatetimeIndex, moments: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """`among` less `moments`, each as often as it occurs."""
    left = among.value_counts().sub(moments.value_counts(), fill_value=0).astype(int)
    return left.index.repeat(left.clip(lower=0))


def _days(moments: pd.DatetimeIndex, rest: pd.DatetimeIndex) -> tuple[str, list[int]]:
    here, there = moments.day_of_week.to_numpy(), rest.day_of_week.to_numpy()
    kinds = [(name, [number]) for number, name in enumerate(_WEEK)]
    kinds += [("Saturday and Sunday", [5, 6]), ("Monday to Friday", [0, 1, 2, 3, 4])]
    for name, numbers in kinds:
        if _sets_apart(np.isin(here, numbers), np.isin(there, numbers)):
            return name, numbers
    return "", []


def _stretch(here: np.ndarray, there: np.ndarray, *, cycle: int, longest: int) -> tuple[int, int] | None:
    """First place and length of the shortest stretch of the cycle that sets `here` apart."""
    counts = np.bincount(here, minlength=cycle)
    for length in range(1, longest + 1):
        inside = np.array([counts.take(range(first, first + length), mode="wrap").sum() for first in range(cycle)])
        first = int(inside.argmax())
        if _sets_apart((here - first) % cycle < length, (there - first) % cycle < length):
            return first, length
    return None


def _sets_apart(here: np.ndarray, there: np.ndarray) -> bool:
    # Half a moment more on either side of both, so that no odds are endless.
    odds = [(part.sum() + 0.5) / (len(part) - part.sum() + 0.5) for part in (here, there)]
    return bool(here.mean() >= _SHARE and odds[0] >= _ODDS * odds[1])


def _months(first: int, length: int) -> str:
    names = [calendar.month_name[place % 12 + 1] for place in (first, first + length - 1)]
    return names[0] if length == 1 else " to ".join(names)
