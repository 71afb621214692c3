"""What the checks found in a run's table, as a section of a report.

Inputs: a `Reported` run. Outputs: HTML.
"""

from __future__ import annotations

from timellm.quality.finding import Finding
from timellm.quality.words import in_few_words, more_found, nothing_found, said
from timellm.report.facts import Reported
from timellm.report.html import Html, heading, paragraph, table

_MOST_OF_A_KIND = 5


def found_in(run: Reported) -> list[Html]:
    """What the checks found in the table, gravest first, and how it was read."""
    quality = run.quality
    rows, more = [], []
    for group in quality.grouped():
        rows += [[one.severity, *_in_words(one)] for one in group[:_MOST_OF_A_KIND]]
        if rest := group[_MOST_OF_A_KIND:]:
            more.append(f"{in_few_words(rest)}.")
    notes = [heading("How it was read", 3), *map(paragraph, run.table.notes)] if run.table.notes else []
    return [
        heading("What was found in it", 3),
        table(["", "Finding", "What and where", "What it does to a forecast"], rows),
        *(paragraph(sentence, kind="faint") for sentence in (*more, *more_found(quality), nothing_found(quality))),
        *notes,
    ]


def _in_words(finding: Finding) -> list[str]:
    words = said(finding)
    return [words.title, f"{words.what} {words.where}".strip(), words.effect]
