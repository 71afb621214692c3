"""Counts, shares, numbers and times as sentences on findings say them."""

from __future__ import annotations

import pandas as pd

MOST_PLACES = 3
"""Places, names and examples that a sentence lists."""


def moment(stamp: pd.Timestamp) -> str:
    """A timestamp without the zeros that say nothing."""
    if stamp == stamp.normalize():
        return f"{stamp:%Y-%m-%d}"
    return f"{stamp:%Y-%m-%d %H:%M}" if stamp == stamp.floor("min") else f"{stamp:%Y-%m-%d %H:%M:%S}"


def rows(count: int) -> str:
    """A number of rows."""
    return counted(count, "row")


def counted(number: int, what: str) -> str:
    """A number of things, in the plural where it is not one."""
    many = what + ("es" if what.endswith("ch") else "s")
    return f"1 {what}" if number == 1 else f"{number:,} {many}"


def are(count: int) -> str:
    """Is or are."""
    return "is" if count == 1 else "are"


def have(count: int) -> str:
    """Has or have."""
    return "has" if count == 1 else "have"


def more(count: int) -> str:
    """What a list of a few leaves out."""
    return f" and {count - MOST_PLACES:,} more" if count > MOST_PLACES else ""


def listed(names: list[str]) -> str:
    """The first of some names, quoted."""
    shown = ", ".join(f"'{name}'" for name in names[:MOST_PLACES])
    return f"{shown}{more(len(names))}"


def less(skill: float) -> str:
    """A skill in words: 10 % less error than."""
    if abs(skill) < 0.005:
        return "about the same error as"
    return f"{abs(100 * skill):.0f} % {'less' if skill > 0 else 'more'} error than"


def percent(share: float | None) -> str:
    """A share in percent; never 0 % or 100 % unless it is."""
    if share is None:
        return ""
    if 0 < share < 0.0001:
        return "under 0.01 %"
    if 0.9999 < share < 1:
        return "over 99.99 %"
    return f"{100 * share:.3g} %"


def number(value: float) -> str:
    """A number with six significant digits."""
    return f"{value:,.6g}"


def signed(value: float) -> str:
    """A number with its sign."""
    return f"{value:+,.4g}"


def seconds(length: float | None) -> str:
    """A length of time in the largest unit that it fills; empty if it is not known."""
    if length is None:
        return ""
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if length >= size:
            whole = length % size == 0
            return counted(int(length // size), name) if whole else f"{length / size:,.4g} {name}s"
    return f"{length:g} s"
