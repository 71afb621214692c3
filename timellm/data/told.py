"""What a prompt says of its window's place in time: when the forecast begins, and the named days around it.

Inputs: a table's calendar, and settings. Outputs: a sentence or two for each origin. They tell nothing that was not
known at the origin: the calendar is known in advance, holidays too, and notes are what the user says was known.

The step of an event counts from the origin: the first row of the forecast is step 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from timellm.config import ModelConfig
from timellm.data.calendar import Grain, grain_of, row_starts
from timellm.data.events import events_of
from timellm.data.table import Table
from timellm.data.told_known import known_examples, known_words

MOST_AHEAD, MOST_PAST = 3, 2
"""Events told of horizon and context, the nearest ones: each costs tokens in every window."""
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
           "December")  # fmt: skip


class Told:
    """Tells of the windows of one table; the words of an origin are made once and kept, for all channels and steps."""

    def __init__(self, table: Table, config: ModelConfig) -> None:
        """Reads the table's index alone.

        Raises:
            ConfigError: the package holidays is needed and missing, or knows no such country.
        """
        self._config, self._grain = config, grain_of(table.offset)
        self._quarterly = table.offset.rule_code.lstrip("B").startswith("Q")
        self._starts = row_starts(table, config.horizon)
        self._starts_at = self._starts.to_numpy()
        years = range(self._starts[0].year, self._starts[-1].year + 1)
        self._events = events_of(config, years)
        # As the index counts, so that they compare without conversion.
        first = pd.DatetimeIndex([event.first for event in self._events]).as_unit("us")
        last = pd.DatetimeIndex([event.last for event in self._events]).as_unit("us")
        self._begin_E, self._end_E = first.to_numpy(), (last + pd.Timedelta(days=1)).to_numpy()
        self._known = table.known if config.prompt_known else None
        self._row_E = self._starts.searchsorted(first, side="right") - 1
        self._kept: dict[tuple[int, int], tuple[str, ...]] = {}

    def words(self, origins: Iterable[int], channels: Iterable[int] | None = None) -> list[str]:
        """The words for windows that begin their forecasts at these rows, each with a blank at its end, or empty.

        `channels` are the windows' own, of which the first is taken when they are not given.
        """
        return ["".join(sentences) for sentences in self.sentences(origins, channels)]

    def sentences(self, origins: Iterable[int], channels: Iterable[int] | None = None) -> list[tuple[str, ...]]:
        """As `words`, sentence by sentence: on the calendar, on past events, on those ahead; some may be empty.

        With `prompt_known`, a fourth one on columns known ahead.
        """
        if self._known is None or not self._known.by_channel or channels is None:
            return [self._sentences(int(origin), 0) for origin in origins]
        return [self._sentences(int(origin), int(one)) for origin, one in zip(origins, channels, strict=True)]

    def _sentences(self, origin: int, channel: int) -> tuple[str, ...]:
        if (origin, channel) not in self._kept:
            calendar = ""
            if self._config.prompt_calendar:
                calendar = calendar_words(self._starts[origin], self._grain, quarterly=self._quarterly)
            past, ahead = event_words("Past", self._past(origin)), event_words("Ahead", self._ahead(origin))
            found: tuple[str, ...] = (calendar, past, ahead)
            if self._known is not None:
                lengths = {"context": self._config.context, "horizon": self._config.horizon}
                found = (*found, known_words(self._known, origin=origin, channel=channel, **lengths))
            self._kept[origin, channel] = found
        return self._kept[origin, channel]

    def _ahead(self, origin: int) -> list[str]:
        """Events that last into the horizon, by the step at which they begin."""
        begin, end = self._starts_at[origin], self._starts_at[origin + self._config.horizon]
        chosen = np.flatnonzero((self._end_E > begin) & (self._begin_E < end))[:MOST_AHEAD]
        return [step_ahead(self._events[at].name, int(self._row_E[at]) - origin + 1) for at in chosen]

    def _past(self, origin: int) -> list[str]:
        """Events that ended in the context, by the steps since they began."""
        begin, end = self._starts_at[max(origin - self._config.context, 0)], self._starts_at[origin]
        chosen = np.flatnonzero((self._end_E > begin) & (self._end_E <= end))[-MOST_PAST:]
        return [steps_ago(self._events[at].name, origin - max(int(self._row_E[at]), 0)) for at in chosen]


def calendar_words(moment: pd.Timestamp, grain: Grain, *, quarterly: bool = False) -> str:
    """When a forecast begins, as far as it fits the step between rows."""
    day, month = _DAYS[moment.day_of_week], _MONTHS[moment.month - 1]
    if grain == "hour":
        return f"The forecast begins on {day} at {moment:%H:%M} in {month}. "
    if grain == "day":
        return f"The forecast begins on {day} in {month}. "
    if grain == "month":
        return f"The forecast begins {'with the quarter of' if quarterly else 'in'} {month}. "
    return ""


def event_words(when: str, events: Sequence[str]) -> str:
    """A sentence on some events, or nothing."""
    return f"{when}: {', '.join(events)}. " if events else ""


def step_ahead(name: str, step: int) -> str:
    """An event of the horizon, which begins at this step or has begun before."""
    return f"{name} at step {step}" if step > 0 else f"{name} now"


def steps_ago(name: str, steps: int) -> str:
    """An event of the context, which began so many steps before the first one of the forecast."""
    return f"{name} {steps} steps ago"


def example_words(config: ModelConfig, names: Sequence[str]) -> list[str]:
    """Words of every form that a run's prompts may have, whatever its table; among them the longest.

    `names` are the names of all events that there may be, those that take most room first.
    """
    calendars = [""]
    if config.prompt_calendar:
        monday = pd.Timestamp("2024-01-01 00:00")
        moments = [monday, *(monday + pd.DateOffset(months=month, days=8, hours=23) for month in range(12))]
        grains: tuple[Grain, ...] = ("hour", "day", "month")
        calendars += [calendar_words(moment, grain) for moment in moments for grain in grains]
        calendars += [calendar_words(moment, "month", quarterly=True) for moment in moments]
    known = [""]
    if config.prompt_known:
        known = known_examples(config.known_names, context=config.context, horizon=config.horizon)
    return [
        calendar + events + ahead
        for calendar in calendars
        for events in _example_events(config, names)
        for ahead in known
    ]


def _example_events(config: ModelConfig, names: Sequence[str]) -> list[str]:
    if not names:
        return [""]
    past = event_words("Past", [steps_ago(name, config.context) for name in names[:MOST_PAST]])
    ahead, rest = (
        event_words("Ahead", [step_ahead(name, config.horizon) for name in some[:MOST_AHEAD]])
        for some in (names, names[MOST_PAST:])
    )
    return ["", past, ahead, past + rest]
