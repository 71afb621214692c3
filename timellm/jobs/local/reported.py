"""What the store knows of a run, for its report: name, times, curve, twins.

Inputs: a run's folder and the store. Outputs: `Known`; empty for a folder that is not of a run of this workspace.
"""

from __future__ import annotations

from pathlib import Path

from timellm.config import TimeLLMConfig
from timellm.errors import RunNotFoundError
from timellm.evaluation.twins import TwinsReport
from timellm.jobs.local.twins import Original, find_twins, report
from timellm.jobs.store.run import Run
from timellm.jobs.store.run_store import Store
from timellm.report.facts import Known, Reported

_MOST_POINTS = 600


def reported(run_dir: Path, store: Store) -> Reported:
    """A run's folder with what the store knows of it.

    Raises:
        JobError: the store cannot be read.
        CheckpointError: a result of a twin is damaged.
    """
    run = run_at(run_dir, store)
    if run is None:
        return Reported.of(run_dir)
    known = Known(
        name=run.name,
        machine="" if run.machine == "local" else run.machine,
        started=run.started,
        ended=run.ended,
        note=run.note,
        tags=run.tags,
        curve=store.curve(run.id, most=_MOST_POINTS),
        twins=_twins(run, store),
    )
    return Reported.of(run_dir, known)


def run_at(run_dir: Path, store: Store) -> Run | None:
    """The run of this workspace whose folder it is; None for a folder from elsewhere.

    Raises:
        JobError: the store cannot be read.
    """
    try:
        run = store.get(run_dir.resolve().name)
    except RunNotFoundError:
        return None
    return run if run.run_dir.resolve() == run_dir.resolve() else None


def _twins(run: Run, store: Store) -> TwinsReport | None:
    forecaster = run.config.forecaster
    if run.state != "finished" or not isinstance(forecaster, TimeLLMConfig) or forecaster.body != "language_model":
        return None
    original = Original.of(run.run_dir, name=run.name)
    return report(original, find_twins(original, store))
