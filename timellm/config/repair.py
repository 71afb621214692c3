"""Repair steps as plain data: a kind and its arguments, written `kind:argument:argument`.

The setting `repair` is an ordered list of such texts. They travel with a run and are made again on new data. Here it is
said which steps there are; timellm.data.repair makes them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, time
from functools import cache
from typing import Self
from zoneinfo import available_timezones

KINDS = ("timezone", "drop", "duplicates", "resample", "clip", "fill")
OF_DUPLICATES = ("mean", "sum", "last", "first")
OF_RESAMPLING = ("mean", "sum", "last", "max", "min")
FILLS = ("previous", "linear", "seasonal", "none")
CLOCKS = ("utc", "standard")
_WORDS = {
    "mean": "the mean", "sum": "the sum", "last": "the last value", "first": "the first value",
    "max": "the highest value", "min": "the lowest value",
}  # fmt: skip
_UNITS = {
    "s": "second", "min": "minute", "h": "hour", "D": "day", "W": "week", "MS": "month", "QS": "quarter", "YS": "year",
}  # fmt: skip
_FILLED = {"linear": "interpolate", "none": "skip"}


@dataclass(frozen=True)
class RepairStep:
    """One repair of a table."""

    kind: str
    arguments: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """A step from its text.

        Raises:
            ValueError: there is no such step; says how it is written.
        """
        kind, _, rest = text.strip().partition(":")
        kind = kind.strip().lower()
        if kind not in _READERS:
            raise ValueError(f"'{text}' is no repair; write one of {', '.join(KINDS)}, such as resample:1h:mean")
        return cls(kind, _READERS[kind](rest.strip()))

    def __str__(self) -> str:
        mark = "/" if self.kind == "drop" and self.arguments[0] == "rows" else ":"
        if mark == "/":
            return f"drop:rows:{self.arguments[1]}/{self.arguments[2]}"
        return ":".join((self.kind, *self.arguments))

    @property
    def words(self) -> str:
        """What the step does, for a list or a button."""
        first, *more = self.arguments
        match self.kind:
            case "timezone":
                target = "UTC" if more[0] == "utc" else "its standard time all year"
                return f"Local clock of {first} to {target}"
            case "drop" if first == "channel":
                return f"Leave out channel {more[0]}"
            case "drop":
                begin, end = (part or "the end" for part in more)
                return f"Leave out rows from {'the begin' if not more[0] else begin} to {end}"
            case "duplicates":
                return f"One row a timestamp: {_WORDS[first]} of its rows"
            case "resample":
                return f"One row every {_step_in_words(first)}: {_WORDS[more[0]]} of its records"
            case "clip":
                return f"Keep {more[1] if len(more) > 1 else 'values'} {_limits(first, more[0])}"
            case _:
                return {
                    "previous": "Fill gaps with the previous value",
                    "linear": "Fill gaps linearly, within each window's own past",
                    "seasonal": f"Fill gaps with the value {' '.join(more)} rows before",
                    "none": "Fill no gaps: windows that touch one are left out",
                }[first]


def checked(texts: Iterable[str]) -> tuple[str, ...]:
    """Texts of steps in their normal form.

    Raises:
        ValueError: a step cannot be read, or stands where it has no meaning.
    """
    steps = [RepairStep.parse(text) for text in texts]
    fills = [place for place, step in enumerate(steps) if step.kind == "fill"]
    if len(fills) > 1 or (fills and fills[0] != len(steps) - 1):
        raise ValueError("gaps are filled window by window, after all other repairs; give one fill step, as the last")
    return tuple(map(str, steps))


def steps_of(texts: Iterable[str]) -> tuple[RepairStep, ...]:
    """The steps of a setting `repair`."""
    return tuple(map(RepairStep.parse, texts))


def filling(texts: Iterable[str]) -> str | None:
    """How the fill step of a setting `repair` treats gaps, as `RunConfig.missing` says it; None without such a step."""
    for step in steps_of(texts):
        if step.kind == "fill":
            return _FILLED.get(step.arguments[0], ":".join(step.arguments))
    return None


def with_step(texts: Iterable[str], step: str) -> tuple[str, ...]:
    """The list with one more step: a fill step takes the place of another one, and stays the last.

    Raises:
        ValueError: the step cannot be read.
    """
    new, steps = RepairStep.parse(step), steps_of(texts)
    fills = [one for one in steps if one.kind == "fill"]
    others = [one for one in steps if one.kind != "fill"]
    return tuple(map(str, [*others, new] if new.kind == "fill" else [*others, new, *fills]))


def _resample(rest: str) -> tuple[str, ...]:
    step, how = _two(rest, "resample:1h:mean")
    return step, _one_of(how, OF_RESAMPLING, "resample:1h:mean")


def _duplicates(rest: str) -> tuple[str, ...]:
    return (_one_of(rest, OF_DUPLICATES, "duplicates:mean"),)


def _fill(rest: str) -> tuple[str, ...]:
    how, _, season = (part.strip() for part in rest.partition(":"))
    how = _one_of(how, FILLS, "fill:previous")
    if how != "seasonal":
        if season:
            raise ValueError(f"'fill:{rest}' says more than it needs; write fill:{how}")
        return (how,)
    if not season.isdecimal() or not 0 < int(season) <= 1_000_000:
        raise ValueError(f"'fill:{rest}' does not say how many rows a season has; write for example fill:seasonal:24")
    return how, str(int(season))


def _clip(rest: str) -> tuple[str, ...]:
    low, _, more = rest.partition(":")
    high, _, channel = more.partition(":")
    low, high = (_number(part, rest) for part in (low, high))
    if not low and not high:
        raise ValueError("'clip' needs a limit; write clip:0:100, clip:0: or clip::100")
    if low and high and float(low) >= float(high):
        raise ValueError(f"'clip:{rest}' has its lower limit above its upper one; write the lower one first")
    return (low, high, channel.strip()) if channel.strip() else (low, high)


def _drop(rest: str) -> tuple[str, ...]:
    what, _, which = (part.strip() for part in rest.partition(":"))
    if what == "channel" and which:
        return what, which
    begin, mark, end = (part.strip() for part in which.partition("/"))
    if what != "rows" or not mark or not (begin or end):
        raise ValueError(
            f"'drop:{rest}' does not say what is left out; write drop:channel:NAME or drop:rows:2024-01-01/2024-01-31"
        )
    begins, ends = (moment_of(part, end=at_end) for part, at_end in ((begin, False), (end, True)))
    if begins and ends and begins > ends:
        raise ValueError(f"'drop:{rest}' ends before it begins; write the earlier moment first")
    return what, begin, end


def _timezone(rest: str) -> tuple[str, ...]:
    zone, _, clock = (part.strip() for part in rest.partition(":"))
    if zone not in _zones():
        raise ValueError(f"'{zone}' is no time zone; write one such as Europe/Berlin or America/New_York")
    return zone, _one_of(clock or "utc", CLOCKS, "timezone:Europe/Berlin:utc")


_READERS: dict[str, Callable[[str], tuple[str, ...]]] = {
    "timezone": _timezone, "drop": _drop, "duplicates": _duplicates, "resample": _resample, "clip": _clip,
    "fill": _fill,
}  # fmt: skip


def moment_of(text: str, *, end: bool) -> datetime | None:
    """A moment of `drop:rows`; None where the span is open. A day without a time of day is meant whole.

    Raises:
        ValueError: it is no date such as 2024-01-31 or 2024-01-31 13:00.
    """
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is not None:
        raise ValueError(f"'{text}' is no moment; write 2024-01-31 or 2024-01-31 13:00")
    whole_day = len(text) <= len("2024-01-31")
    return datetime.combine(found.date(), time.max) if end and whole_day else found


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def zones() -> tuple[str, ...]:
    """Names of time zones, as a place: Europe/Berlin; and UTC."""
    return tuple(sorted(name for name in _zones() if "/" in name and not name.startswith(("Etc/", "SystemV/"))))


def _two(rest: str, example: str) -> tuple[str, str]:
    first, _, second = (part.strip() for part in rest.rpartition(":"))
    if not first:
        raise ValueError(f"'{rest}' is half a repair; write for example {example}")
    return first, second


def _one_of(word: str, known: tuple[str, ...], example: str) -> str:
    if word.lower() not in known:
        raise ValueError(f"'{word}' is none of {', '.join(known)}; write for example {example}")
    return word.lower()


def _number(text: str, rest: str) -> str:
    text = text.strip()
    try:
        found = float(text) if text else 0.0
    except ValueError:
        found = float("nan")
    if not abs(found) <= 1e36:
        raise ValueError(f"'clip:{rest}' has '{text}' for a limit; write a number, such as clip:0:100")
    return text


def _step_in_words(step: str) -> str:
    """A step such as 15min, W-MON or YS-OCT in words; as it is where it has none."""
    count, unit = re.match(r"([0-9]*)(.*)", step, re.DOTALL).groups()  # type: ignore[union-attr]
    kind, _, anchor = unit.partition("-")
    if kind not in _UNITS:
        return step
    named = _UNITS[kind] if count in ("", "1") else f"{count} {_UNITS[kind]}s"
    return f"{named} from {anchor.capitalize()}" if anchor else named


def _limits(low: str, high: str) -> str:
    if low and high:
        return f"from {low} to {high}"
    return f"at {low} or above" if low else f"at {high} or below"
