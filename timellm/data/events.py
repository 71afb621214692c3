"""Named days: public holidays of a country, and dated notes of the user.

Inputs: settings, and the years that a table covers. Outputs: events, in time order. The holidays come from the optional
package `holidays`, which is imported when a country is asked for.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta

from timellm.config import TimeLLMConfig
from timellm.config.notes import parse_notes
from timellm.errors import ConfigError
from timellm.installation import install_command
from timellm.optional import import_optional

_NAMED_YEARS = range(1970, 2100)


@dataclass(frozen=True, order=True)
class Event:
    """Something with a name that lasts one or more whole days."""

    first: date
    last: date
    name: str


def events_of(config: TimeLLMConfig, years: Collection[int]) -> tuple[Event, ...]:
    """The holidays of `years` and all notes, in time order; days in a row with one name are one event.

    Raises:
        ConfigError: the package holidays is needed and missing, or knows no such country.
    """
    days = [(note.day, note.text) for note in parse_notes(config.dated_notes)]
    days += holidays_of(config.holiday_country, years)
    open_by_name: dict[str, Event] = {}
    found = []
    for day, name in sorted(set(days)):
        before = open_by_name.get(name)
        if before is not None and day - before.last == timedelta(days=1):
            open_by_name[name] = Event(before.first, day, name)
        else:
            found += [before] if before is not None else []
            open_by_name[name] = Event(day, day, name)
    return tuple(sorted([*found, *open_by_name.values()]))


def event_names(config: TimeLLMConfig) -> tuple[str, ...]:
    """The name of every event that there may be, whatever the table is: a holiday's once a year.

    Raises:
        ConfigError: as `events_of`.
    """
    return tuple(event.name for event in events_of(config, _NAMED_YEARS))


def holidays_of(code: str, years: Collection[int], *, setting: str = "holiday_country") -> list[tuple[date, str]]:
    """The public holidays of a country, or of a part of it (AU-VIC); none for an empty code.

    Raises:
        ConfigError: the package holidays is missing, or knows no such country; names `setting`.
    """
    if not code:
        return []
    package = import_optional("holidays", title=f"Setting '{setting}'", install=install_command("holidays"))
    country, _, part = code.partition("-")
    try:
        # In English, like the rest of the prompt.
        found = package.country_holidays(country, subdiv=part or None, years=years, language="en_US")
    except NotImplementedError:
        parts = package.list_supported_countries().get(country)
        known = (
            f"has no country {country}"
            if parts is None
            else f"has no part {part} of {country}; it has {', '.join(parts) or 'none'}"
        )
        raise ConfigError(
            f"setting '{setting}' is '{code}', but the package holidays {known}; correct it or leave it empty"
        ) from None
    return list(found.items())
