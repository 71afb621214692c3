"""The verb that compares runs of the workspace side by side."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from timellm.cli.answer import Answer, columns
from timellm.cli.output import check_out, write_out

if TYPE_CHECKING:
    from timellm.jobs.store.comparison import Row


def compare(arguments: argparse.Namespace) -> Answer:
    """Best errors of several runs, their costs, and the settings in which they differ.

    Raises:
        JobError: there is no such run, or they are too few or too many.
        OSError: the file cannot be written.
    """
    from timellm.jobs.store.comparison import compare as side_by_side
    from timellm.jobs.store.run_store import Store

    if arguments.out:
        check_out(arguments.out, force=arguments.force)
    found = side_by_side(Store.open(), arguments.runs)
    settings = [row for row in found.settings if arguments.all or row.differs]
    data = {
        "runs": [{name: getattr(run, name) for name in ("id", "name", "state")} for run in found.runs],
        "measures": {row.name: {"values": row.values, "best": sorted(row.best)} for row in found.measures},
        "settings": {row.name: row.values for row in settings},
        "warnings": found.warnings,
    }
    if arguments.out:
        write_out(arguments.out, lambda path: path.write_text(found.to_csv(), encoding="utf-8"))
    header = ("", *found.labels())
    lines = [*(f"warning: {warning}" for warning in found.warnings), *([""] if found.warnings else [])]
    lines.append(columns(header, [(row.name, *_marked(row)) for row in found.measures]))
    if settings:
        lines += ["", columns(header, [(row.name, *_texts(row)) for row in settings])]
    lines += ["", "* best of its row"] if any(row.best for row in found.measures) else []
    return Answer(data, "\n".join(lines))


def _marked(row: Row) -> list[str | None]:
    return [
        None if value is None else f"{value:,.5g}" + (" *" if place in row.best else "")
        for place, value in enumerate(row.values)
    ]


def _texts(row: Row) -> list[str]:
    return [", ".join(map(str, value)) if isinstance(value, list) else str(value) for value in row.values]
