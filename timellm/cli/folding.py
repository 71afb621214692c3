"""The verb `backtest` with --retrain: the run trained again at each fold, as runs of this workspace's queue."""

from __future__ import annotations

import argparse

from timellm.cli.answer import Answer, columns
from timellm.evaluation.metrics import METRICS


def retrained(arguments: argparse.Namespace) -> Answer:
    """Queue the folds that were not started yet, and show those that have finished beside the run.

    Raises:
        TimeLLMError: the run can have no folds, its table is gone, or a result is damaged.
    """
    from timellm.jobs.local.folds import Folds
    from timellm.jobs.local.group import progress_of_group, wait_for_group
    from timellm.jobs.local.launcher import supervise
    from timellm.jobs.local.reported import run_at
    from timellm.jobs.store.run_store import Store

    store = Store.open()
    run = run_at(arguments.run_dir, store)
    folds = Folds.of(arguments.run_dir, folds=arguments.retrain, window=arguments.window, name=run.name if run else "")
    supervise(store)
    found = folds.start(store, again=arguments.again)
    if arguments.wait:
        wait_for_group(lambda: folds.find(store), store)
        found = folds.find(store)
    report = folds.report(found, arguments.metric)
    data = {
        "tag": folds.tag,
        "folds": [{"run": run.id, "state": run.state, "error": run.error} for run in found if run is not None],
        "report": report.to_dict() if report else None,
    }
    lines = [progress_of_group(found, "folds")]
    lines += [f"{run.name} failed: {run.error}" for run in found if run is not None and run.state == "failed"]
    if report is None:
        return Answer(data, "\n".join(lines))
    short = METRICS[report.metric].short
    header = ("fold", "windows", f"{short}, trained once", f"{short}, retrained", "change")
    rows = [
        (row.fold, row.windows, row.error, row.retrained_error, None if row.change is None else f"{row.change:+.1%}")
        for row in report.rows
    ]
    return Answer(data, "\n".join([*lines, "", columns(header, rows), "", report.sentence]))
