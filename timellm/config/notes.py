"""Dated notes of the user: one line a day, such as "2016-12-26 Boxing Day".

Inputs: the text of the setting. Outputs: days with their notes, in time order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from timellm.errors import ConfigError

LONGEST_NOTE = 80
"""Characters: a note is read anew with every window that it falls into."""
_HOW = "write the date, a space and the note, as in 2016-12-26 Boxing Day"


@dataclass(frozen=True, order=True)
class DatedNote:
    """What is known of one day."""

    day: date
    text: str


def parse_notes(text: str) -> tuple[DatedNote, ...]:
    """The notes of a text, in time order; empty lines are left out.

    Raises:
        ConfigError: a line has no date that exists, no note, or too long a one; names the first such line.
    """
    notes = []
    for number, line in enumerate(text.splitlines(), start=1):
        day, _, note = line.strip().partition(" ")
        if not day:
            continue
        notes.append(DatedNote(_day(day, number), _checked(note, number)))
    return tuple(sorted(notes))


def _day(text: str, number: int) -> date:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise ConfigError(f"setting 'dated_notes', line {number} begins with {text[:40]!r}, which is no date; {_HOW}")
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"setting 'dated_notes', line {number}: there is no day {text} ({error})") from None


def _checked(note: str, number: int) -> str:
    words = " ".join(note.split())
    if not words:
        raise ConfigError(f"setting 'dated_notes', line {number} has a date and no note; {_HOW}")
    if len(words) > LONGEST_NOTE:
        raise ConfigError(
            f"setting 'dated_notes', line {number}: the note has {len(words):,} characters; write at most"
            f" {LONGEST_NOTE}, because it is read anew with every window that it falls into"
        )
    return words
