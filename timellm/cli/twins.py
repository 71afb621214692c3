"""The verb that asks whether a run's language model is earning its cost, by training the run without each part."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from timellm.cli.answer import Answer, columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from timellm.evaluation.twins import TwinsReport
    from timellm.jobs.local.twins import Placed


def twins(arguments: argparse.Namespace) -> Answer:
    """Queue the twins that were not started yet, and show those that have finished beside the run.

    Raises:
        TimeLLMError: the run can have no twins, its table is gone, or a result is damaged.
    """
    from timellm.jobs.local.group import wait_for_group
    from timellm.jobs.local.launcher import supervise
    from timellm.jobs.local.reported import run_at
    from timellm.jobs.local.twins import Original, find_twins, progress_words, report, start_twins
    from timellm.jobs.store.run_store import Store

    store = Store.open()
    run = run_at(arguments.run_dir, store)
    original = Original.of(arguments.run_dir, name=run.name if run else "")
    supervise(store)
    placed = start_twins(original, store, again=arguments.again)
    if arguments.wait:
        wait_for_group(lambda: [one.run for one in find_twins(original, store)], store)
        placed = find_twins(original, store)
    found = report(original, placed)
    data = {
        "run": str(original.folder),
        "tag": original.tag,
        "twins": [_facts(one) for one in placed],
        "report": found.to_dict() if found else None,
    }
    lines = [progress_words(placed)]
    lines += [f"{one.twin.title} failed: {one.run.error}" for one in placed if one.run and one.run.state == "failed"]
    if found is None:
        return Answer(data, "\n".join([*lines, "", _table_of_runs(placed)]))
    return Answer(data, "\n".join([*lines, "", *_shown(found, finished=_all_ended(placed))]))


def _facts(one: Placed) -> dict[str, Any]:
    run = one.run
    state = {"run": None, "state": "not started", "error": None}
    if run is not None:
        state = {"run": run.id, "state": run.state, "error": run.error}
    return {"name": one.twin.name, "title": one.twin.title, "purpose": one.twin.purpose, **state}


def _all_ended(placed: Sequence[Placed]) -> bool:
    return not any(one.run is not None and one.run.active for one in placed)


def _table_of_runs(placed: Sequence[Placed]) -> str:
    rows = [(one.twin.title, one.run.state, one.run.id) for one in placed if one.run is not None]
    return columns(("twin", "state", "run"), rows)


def _shown(found: TwinsReport, *, finished: bool) -> list[str]:
    from timellm.evaluation.twins import in_set

    header = ["", "MSE", "MAE", "MSE to run", "p", "may be best", "seconds", "MiB"]
    words = {True: "yes", False: "no", None: None}
    rows = [
        [
            row.title,
            row.mse,
            row.mae,
            None if row.change is None else f"{row.change:+z.2%}",
            None if row.p_value is None else f"{row.p_value:.2g}",
            words[in_set(row)],
            None if row.seconds is None else f"{row.seconds:,.1f}",
            None if row.memory_mib is None else f"{row.memory_mib:,.0f}",
        ]
        for row in found.rows
    ]
    return [columns(header, rows), "", *([found.sentence] if finished else []), *found.notes]
