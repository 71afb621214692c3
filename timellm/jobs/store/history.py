"""Memory and time of past runs and trials on this machine, as `Observation`s that correct estimates.

Inputs: the store of runs, and trials. Outputs: observations, newest first. Trials are kept in a file beside the
store's, since they are nobody's run and change none.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path

from timellm.config import RunConfig
from timellm.errors import ConfigError
from timellm.forecasters.registry import kind_of
from timellm.jobs.store.run import IMPORTED, Run
from timellm.jobs.store.run_store import Store
from timellm.json_text import parse_json
from timellm.sizing.estimate import Observation
from timellm.sizing.trial import Trial
from timellm.training.evaluation_batch import evaluated_windows

_TRIALS = "trials.jsonl"
_MOST_RUNS, _MOST_TRIALS = 50, 50


def observations(store: Store) -> tuple[Observation, ...]:
    """Trials and finished runs of the store's workspace, newest first; what cannot be read is left out.

    Raises:
        JobError: the store cannot be read.
    """
    runs = [found for run in store.runs(_MOST_RUNS) if (found := of_run(run)) is not None]
    return (*_trials(store), *runs)


def remember_trial(store: Store, config: RunConfig, found: Trial) -> None:
    """Keep what a trial measured; one that measured nothing is not kept."""
    if found.ending != "measured":
        return
    with trials_file(store).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"config": config.to_dict(), "trial": asdict(found)}) + "\n")


def trials_file(store: Store) -> Path:
    """Where trials are kept."""
    return store.place.checkpoints / _TRIALS


def of_run(run: Run) -> Observation | None:
    """What a finished run took; None for one that did not finish, that worked elsewhere, or of another version.

    An interrupted run reports its last attempt only, so it is left out, too.
    """
    summary = run.summary
    needed = ("training_seconds", "steps", "evaluation_seconds", "test_windows", "seconds", "memory_mib")
    if run.attempt > 1 or run.on_cluster or IMPORTED in summary:
        return None
    if run.state != "finished" or not all(_is_amount(summary.get(name)) for name in needed):
        return None
    try:
        config = run.config
    except ConfigError:
        return None
    window_s = summary["evaluation_seconds"] / evaluated_windows(summary["test_windows"])
    training = config.training
    if training is None or not kind_of(config.kind).language_model:  # counts of other kinds are not corrected
        return None
    validating = training.validations * evaluated_windows(training.validation_windows) * window_s
    step_s = (summary["training_seconds"] - validating) / summary["steps"]
    # An earlier version did not say how long the forecast took.
    others = ("training_seconds", "evaluation_seconds", "forecast_seconds")
    loading_s = summary["seconds"] - sum(summary.get(name, 0.0) for name in others)
    memory_mib = summary["memory_mib"]
    if training.pretrain:  # it loaded twice, trained between that, and held other tables
        loading_s = memory_mib = None
    return Observation(
        config,
        "run",
        memory_mib=memory_mib,
        step_s=step_s if step_s > 0 else None,
        window_s=window_s,
        loading_s=loading_s,
    )


def _trials(store: Store) -> list[Observation]:
    file = trials_file(store)
    if not file.is_file():
        return []
    found = []
    for line in reversed(file.read_text(encoding="utf-8").splitlines()[-_MOST_TRIALS:]):
        try:
            row = parse_json(line, constants=True)
            config, measured = RunConfig.from_dict(row["config"]), Trial(**row["trial"])
        except (ValueError, KeyError, TypeError, ConfigError):  # half a line, or another version's
            continue
        found.append(
            Observation(config, "trial", measured.memory_mib, measured.step_s, measured.window_s, measured.loading_s)
        )
    return found


def _is_amount(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and value > 0
