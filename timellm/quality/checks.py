"""All checks of a table, and what they found together: the quality report.

Inputs: a `Table` and the task that it is meant for. Outputs: `Quality`: findings, gravest first, and the checks that
found nothing, by name.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from timellm.config import TaskConfig
from timellm.data.table import Table
from timellm.quality import cells, leaks, length, pattern, series, times
from timellm.quality.examined import Examined
from timellm.quality.finding import SEVERITIES, Finding, as_data

_MOST_OF_A_KIND = cells.MOST_OF_A_KIND


@dataclass(frozen=True)
class Check:
    """One check."""

    name: str
    title: str
    find: Callable[[Examined], Iterable[Finding]]


CHECKS: tuple[Check, ...] = (
    Check("few_rows", "number of rows", length.few_rows),
    Check("too_short", "length for context and horizon", length.too_short),
    Check("frequency", "step between rows", times.frequency),
    Check("missing_rows", "missing rows", times.missing_rows),
    Check("daylight_saving", "changes of the clocks", times.daylight_saving),
    Check("missing_values", "missing values", cells.missing_values),
    Check("empty", "empty channels", cells.empty),
    Check("constant", "constant channels", cells.constant),
    Check("nearly_constant", "nearly constant channels", cells.nearly_constant),
    Check("counter", "row numbers and IDs", cells.counters),
    Check("outliers", "outliers", series.outliers),
    Check("level_shift", "level shifts", series.level_shifts),
    Check("growing_variance", "growing variance", series.growing_variance),
    Check("seasons", "seasons", pattern.seasons),
    Check("predictability", "predictability", pattern.predictability),
    Check("leaks", "copies and leaks", leaks.leaks),
)
READING: tuple[str, ...] = ("duplicate timestamps", "irregular steps", "cells that are no numbers")
"""What reading refuses, so that a table that was read has none of it."""


@dataclass(frozen=True)
class Quality:
    """What the checks found in a table."""

    findings: tuple[Finding, ...]
    """Gravest first; of one kind at most 50."""
    clear: tuple[str, ...]
    """Titles of the checks that found nothing."""
    more: Mapping[str, int]
    """Findings of a kind beyond those that are listed."""
    channels_looked_at: int
    """Channels that the statistical checks looked at; missing values and constant channels were looked for in all."""
    seconds: Mapping[str, float]
    """By check."""

    def of(self, kind: str) -> tuple[Finding, ...]:
        """Findings of one kind."""
        return tuple(one for one in self.findings if one.kind == kind)

    def grouped(self) -> tuple[tuple[Finding, ...], ...]:
        """The findings by severity and kind: a hundred channels with gaps are one matter."""
        groups: dict[tuple[str, str], list[Finding]] = {}
        for one in self.findings:
            groups.setdefault((one.severity, one.kind), []).append(one)
        return tuple(map(tuple, groups.values()))

    def data(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "findings": [as_data(one) for one in self.findings],
            "clear": list(self.clear),
            "more": dict(self.more),
            "channels_looked_at": self.channels_looked_at,
        }


def check(table: Table, task: TaskConfig, *, filled: bool = False) -> Quality:
    """Run all checks; about a second for a million rows of 8 channels. `filled`: gaps of contexts are filled."""
    examined = Examined(table, task, filled)
    found: list[Finding] = []
    clear, seconds, more = list(READING), {}, Counter[str]()
    for one in CHECKS:
        begin = time.perf_counter()
        mine = list(one.find(examined))
        seconds[one.name] = time.perf_counter() - begin
        if not mine:
            clear.append(one.title)
        kinds = Counter[str]()
        for finding in mine:
            kinds[finding.kind] += 1
            if kinds[finding.kind] <= _MOST_OF_A_KIND:
                found.append(finding)
            else:
                more[finding.kind] += 1
    found.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return Quality(tuple(found), tuple(clear), dict(more), len(examined.channels), seconds)


def shown_first(table: Table, quality: Quality) -> tuple[str, ...]:
    """The channels in the order in which charts offer them: those that hold nothing to see come last."""
    dull = {one.channel for one in quality.findings if one.kind in ("empty", "constant", "nearly_constant", "counter")}
    return tuple(sorted(table.channels, key=lambda name: name in dull))
