"""Conditions of patches as a user writes them in one text: "22-5", "weekend", "Tuesday, Friday", "March", "peak"."""

from __future__ import annotations

import re

from timellm.errors import ConfigError
from timellm.explain.conditions import DAYS, MONTHS, PATTERNS, Condition, Days, Hours, Month, Pattern

SEVERAL_DAYS = {"Weekend": DAYS[5:], "Monday to Friday": DAYS[:5]}
"""Names of several days of the week."""
_HOURS = re.compile(r"(\d{1,2})\s*-\s*(\d{1,2})")


def parse_condition(text: str) -> Condition:
    """The condition that a text names; capitals do not matter.

    Raises:
        ConfigError: it names none.
    """
    asked = " ".join(text.split()).casefold()
    if found := _HOURS.fullmatch(asked):
        first, last = (int(hour) for hour in found.groups())
        if max(first, last) <= 23:
            return Hours(first, last)
    for names in (MONTHS, PATTERNS):
        for name in names:
            if asked == name.casefold():
                return Pattern(name) if name in PATTERNS else Month(name)
    for name, several in SEVERAL_DAYS.items():
        if asked == name.casefold():
            return Days(several)
    days = [day for part in asked.split(",") for day in DAYS if day.casefold() == part.strip()]
    if days and len(days) == len(asked.split(",")):
        return Days(tuple(days))
    raise ConfigError(
        f"'{text}' names no patches; write hours as 22-5, days as weekend, 'Monday to Friday' or 'Tuesday, Friday', a"
        f" month as March, or one of {', '.join(name.lower() for name in PATTERNS)}"
    )
