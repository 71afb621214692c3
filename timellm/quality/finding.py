"""What a check of a table found, as data: how much, where, what it does to a forecast, and which repair is offered.

Inputs: nothing. Outputs: the types that checks return, and that pages, the command line and reports show. Sentences are
made of them in `timellm.quality.words`, JSON in `as_data`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

import pandas as pd

Severity = Literal["grave", "warning", "fact"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""grave: a run cannot start, or what it says misleads; warning: it costs accuracy or windows; fact: worth knowing."""
Effect = Literal[
    "refused",  # the table cannot be used as it is
    "cannot_start",  # no run fits these rows
    "unsure_scores",  # too few windows to tell models apart
    "windows_left_out",
    "nothing_to_learn",
    "flattering_errors",  # a forecast that repeats one value is right nearly always
    "old_level",  # rows before the shift teach another level
    "large_errors",  # squared errors and the scale follow a few rows
    "narrow_bands",  # errors of earlier rows promise too little
    "known_answer",  # a column holds what is to be forecast
    "redundant",
    "constant_is_best",
    "simple_rule_helps",
    "none",
]
RepairKind = Literal["resample", "aggregate", "fill", "clip", "drop", "time_zone"]
MOST_SPANS = 50
"""Places that a finding names; `count` counts all of them."""


@dataclass(frozen=True)
class Span:
    """A stretch of rows, both ends included."""

    start: pd.Timestamp
    end: pd.Timestamp
    first_row: int
    """Counted from 0 on the table's regular step; of a table that was refused, among the rows of the file."""
    last_row: int
    line: int | None = None
    """Line of the file on which the first row stands; None where it is not known or the file has no such row."""

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.last_row - self.first_row + 1


@dataclass(frozen=True)
class RepairOffer:
    """A repair by its kind and its arguments, as plain data."""

    kind: RepairKind
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def step(self) -> str:
        """The repair as a step of the setting `repair`."""
        given = self.arguments
        match self.kind:
            case "resample":
                return f"resample:{given['frequency']}:{given['how']}"
            case "aggregate":
                return f"duplicates:{given['how']}"
            case "fill":
                season = f":{given['season']}" if given["method"] == "seasonal" else ""
                return f"fill:{given['method']}{season}"
            case "clip":
                return f"clip:{given['lower']!r}:{given['upper']!r}:{given['channel']}"
            case "drop":
                return f"drop:channel:{given['channel']}"
            case _:
                return f"timezone:{given['zone']}:utc"


@dataclass(frozen=True)
class Finding:
    """One thing that a check found."""

    kind: str
    severity: Severity
    effect: Effect
    count: int
    """Rows, values, steps or places, as the kind counts."""
    share: float | None = None
    """`count` as a share of what was looked at; None where that says nothing."""
    channel: str | None = None
    """None for the table as a whole."""
    where: tuple[Span, ...] = ()
    """At most `MOST_SPANS` places, the most telling first."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """What the sentence needs beside: plain numbers, texts, timestamps, and lists of these."""
    repair: RepairOffer | None = None

    @property
    def key(self) -> str:
        """A name for addresses, of which a report has each once: kind, channel, and the other channel of a pair."""
        return ":".join(filter(None, (self.kind, self.channel, self.values.get("of"))))


def as_data(finding: Finding) -> dict[str, Any]:
    """A finding as JSON has it: the same keys always, ISO times, null for an undefined number."""
    return {
        "kind": finding.kind,
        "severity": finding.severity,
        "channel": finding.channel,
        "count": finding.count,
        "share": _plain(finding.share),
        "where": [
            {
                "start": span.start.isoformat(),
                "end": span.end.isoformat(),
                "first_row": span.first_row,
                "last_row": span.last_row,
                "line": span.line,
            }
            for span in finding.where
        ],
        "values": _plain(finding.values),
        "effect": finding.effect,
        "repair": None
        if finding.repair is None
        else {
            "kind": finding.repair.kind,
            "arguments": _plain(finding.repair.arguments),
            "step": finding.repair.step,
        },
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):  # a pandas Timestamp, too
        return value.isoformat()
    if hasattr(value, "item"):  # a number of numpy's
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
