"""Checks of a table's length: few rows at all, and too few for the chosen context and horizon.

Inputs: `Examined`. Outputs: findings.
"""

from __future__ import annotations

from collections.abc import Iterator

from timellm.data.season import suggest_lengths
from timellm.errors import ConfigError, DataError
from timellm.quality.examined import Examined
from timellm.quality.finding import Finding

_FEW = 100
"""With fewer rows, the usual test part of a fifth has fewer than 20: luck decides which model seems better there."""


def few_rows(table: Examined) -> Iterator[Finding]:
    """Tables with so few rows that scores are mostly luck."""
    rows = len(table.index)
    if rows >= _FEW:
        return
    try:
        test = table.task.split_rows(rows)[2]
    except ConfigError:  # a split in rows that the table does not have; `too_short` says so
        test = 0
    yield Finding("few_rows", "warning", "unsure_scores", rows, where=(table.span(0, rows - 1),), values={"test": test})


def too_short(table: Examined) -> Iterator[Finding]:
    """Context and horizon for which a part of the split has no window, and the largest that fit."""
    task, rows = table.task, len(table.index)
    try:
        train, validation, test = task.split_rows(rows)
    except ConfigError as error:
        yield Finding("too_short", "grave", "cannot_start", rows, values={"split": task.split, "why": str(error)})
        return
    if train >= table.window and min(validation, test) >= task.horizon:
        return
    values = {
        "context": task.context,
        "horizon": task.horizon,
        "training": train,
        "validation": validation,
        "test": test,
        # What fits while the other one stays as it is; 0 where nothing does.
        "largest_context": max(0, train - task.horizon) if min(validation, test) >= task.horizon else 0,
        "largest_horizon": max(0, min(validation, test, train - task.context)),
        **_suggested(table),
    }
    yield Finding("too_short", "grave", "cannot_start", rows, values=values)


def _suggested(table: Examined) -> dict[str, int | None]:
    try:
        context, horizon = suggest_lengths(table.table, table.task)
    except DataError:
        return {"suggested_context": None, "suggested_horizon": None}
    return {"suggested_context": context, "suggested_horizon": horizon}
