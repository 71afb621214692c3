"""Verbs that change nothing: show a table, the runs of the workspace, the backbones on offer."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from timellm.cli.answer import Answer, columns
from timellm.cli.fitting import repair_of

if TYPE_CHECKING:
    from timellm.errors import DataError
    from timellm.quality.checks import Quality

_MOST_OF_A_KIND = 5
"""Findings of one kind that are said in full."""


def inspect(arguments: argparse.Namespace) -> Answer:
    """The content of a CSV file, how it would be read, and what was found in it.

    Raises:
        DataError, ConfigError: the file cannot be used as a table, or a setting has no meaning.
    """
    from timellm.config import RunConfig, parse_setting
    from timellm.data.bounds import suggest_bounds
    from timellm.data.suggested import Suggested, suggested
    from timellm.data.table import load_table
    from timellm.errors import DataError
    from timellm.protocols.sets import recognise
    from timellm.quality.checks import check

    given = dict(map(parse_setting, arguments.settings)) | repair_of(arguments)
    config = RunConfig.create(arguments.table, **given)
    try:
        table = load_table(config.data)
    except DataError as error:
        if error.evidence is None:
            raise
        return _unfit(arguments.table.resolve(), error)
    values, notes = table.values, list(table.notes)
    fitting: tuple[Suggested, ...] = ()
    task = config.task
    try:
        fitting = suggested(table, config, given=given)
        task = task.model_copy(update={one.name: one.value for one in fitting if one.name in type(task).model_fields})
    except DataError as error:  # worth saying, but no reason to hide what the table is
        notes.append(str(error))
    quality = check(table, task, filled=config.missing != "skip")
    bounded = suggest_bounds(table)
    bounds = [(" ".join(f"{k}={v}" for k, v in one.settings.items()), one.reason) for one in bounded]
    rows = [
        {"channel": name, "missing": int(column.isna().sum()), **column.describe()[["min", "mean", "max"]]}
        for name, column in values.items()
    ]
    alike = [one.name for one in recognise(table, title=arguments.table.stem)]
    data = {
        "path": arguments.table.resolve(),
        "usable": True,
        "layout": table.layout,
        "time_column": table.time_column,
        "frequency": table.frequency,
        "rows": len(values),
        "start": values.index[0],
        "end": values.index[-1],
        "channels": rows,
        "suggested": {
            **{name: given.get(name) for name in ("context", "horizon")},
            **{one.name: one.value for one in fitting},
            "reasons": {one.name: one.reason for one in fitting},
            **{k: v for one in bounded for k, v in one.settings.items()},
        },
        "looks_like": alike,
        "notes": notes,
        "repairs": [report.to_dict() for report in table.repairs],
        **quality.data(),
    }
    lines = [
        f"{len(values):,} rows of {len(rows)} channels, one every {table.frequency}, "
        f"from {values.index[0]} to {values.index[-1]}",
        f"{table.layout} table, timestamps in column '{table.time_column}'",
        *notes,
        "",
        *sentences(quality),
        "",
        columns(("channel", "missing", "min", "mean", "max"), [tuple(row.values()) for row in rows]),
    ]
    lines += [f"suggested: {pairs}  ({reason})" for pairs, reason in bounds]
    if fitting:
        lines += ["", *(f"suggested: {one.name}={one.value}  ({one.reason}.)" for one in fitting)]
    if alike:
        lines += [
            "",
            f"suggested: --describe {alike[0]}  (by step, columns and rows it looks like {' or '.join(alike)}.)",
        ]
    return Answer(data, "\n".join(lines))


def sentences(quality: Quality) -> list[str]:
    """What was found, a line each, gravest first, and which checks found nothing."""
    from timellm.quality.words import in_few_words, more_found, nothing_found, said

    found = []
    for group in quality.grouped():
        found += [f"{one.severity}: {said(one).sentence}" for one in group[:_MOST_OF_A_KIND]]
        if rest := group[_MOST_OF_A_KIND:]:
            found.append(f"{rest[0].severity}: {in_few_words(rest)}; --json has all of them")
    return [*found, *more_found(quality), *filter(None, [nothing_found(quality)])]


def _unfit(path: Path, error: DataError) -> Answer:
    """What makes a table unusable, as data beside the error."""
    from timellm.quality.finding import as_data
    from timellm.quality.refused import findings_of
    from timellm.quality.words import said

    found = findings_of(error)
    data = {"path": path, "usable": False, "error": str(error), "findings": [as_data(one) for one in found]}
    return Answer(data, "\n".join(f"{one.severity}: {said(one).sentence}" for one in found), error=str(error))


def runs(arguments: argparse.Namespace) -> Answer:
    """The runs of the workspace, newest first.

    Raises:
        JobError: the store cannot be read.
    """
    from timellm.jobs.cluster.runs import reconcile_jobs
    from timellm.jobs.store.run_store import Store

    store = Store.open()
    store.reconcile()
    reconcile_jobs(store)
    found = store.runs(arguments.limit)
    fields = (
        "id",
        "name",
        "state",
        "phase",
        "fraction",
        "eta_s",
        "best_validation_loss",
        "created",
        "started",
        "ended",
    )
    data = [{name: getattr(run, name) for name in (*fields, "run_dir", "error", "summary")} for run in found]
    if not found:
        return Answer(data, f"no runs in {store.place.checkpoints} yet")
    rows = [
        (
            run.id,
            run.state,
            f"{run.phase} {run.fraction:.0%}" if run.state == "running" and run.phase else None,
            run.best_validation_loss,
            run.name,
            run.error,
        )
        for run in found
    ]
    return Answer(data, columns(("run", "state", "at", "best validation loss", "name", "cause"), rows))


def backbones(arguments: argparse.Namespace) -> Answer:
    """The language models offered by name, and which of them are ready."""
    from timellm.forecasters.time_llm.catalog import catalogue, is_ready

    fields = (
        "name",
        "title",
        "architecture",
        "width",
        "layers",
        "vocabulary",
        "licence",
        "gated",
        "download_mib",
        "note",
    )
    data = [{**{name: getattr(entry, name) for name in fields}, "ready": is_ready(entry.name)} for entry in catalogue()]
    rows = [
        (
            row["name"],
            "ready" if row["ready"] else f"{row['download_mib']:,.0f} MiB to fetch" + (", gated" * row["gated"]),
            row["architecture"],
            row["width"],
            row["layers"],
            row["licence"],
        )
        for row in data
    ]
    table = columns(("backbone", "state", "architecture", "width", "layers", "licence"), rows)
    return Answer(data, f"{table}\n\nAny other Hugging Face model id or local folder can be given instead.")
