"""The verb that makes an ensemble of finished runs."""

from __future__ import annotations

import argparse
from pathlib import Path

from timellm.cli.answer import Answer
from timellm.cli.bar import Bar


def ensemble(arguments: argparse.Namespace) -> Answer:
    """Make the mean or the median of finished runs a run of its own, here and now.

    Raises:
        TimeLLMError: a run cannot be used, they do not fit each other, or the folder cannot be written.
    """
    from timellm.forecasting.ensemble import ensemble_config
    from timellm.pipeline import fit

    config = ensemble_config([_folder(one) for one in arguments.runs], how=arguments.how)
    with Bar() as bar:
        result = fit(config, run_dir=arguments.run_dir, on_progress=bar.show)
    summary = result.summary
    return Answer(
        {"run_dir": result.run_dir, **summary}, f"{result.run_dir}: {summary['model']}\n\n{summary['verdict']}"
    )


def _folder(run: str) -> Path:
    """A run's folder, or that of a run of this workspace by its id."""
    from timellm.jobs.store.run_store import Store

    return Path(run) if Path(run).is_dir() else Store.open().get(run).run_dir
