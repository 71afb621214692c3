"""The twins of a run in the queue: one group of runs under one tag, found again by the tag and their settings.

Inputs: a run's folder and the store. Outputs: queued runs, the state of each twin, and the report on those that have
finished.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timellm.config import RunConfig
from timellm.errors import CheckpointError, ConfigError, DataError
from timellm.evaluation.scores import Scores
from timellm.evaluation.twins import Scored, TwinsReport, judge_twins
from timellm.files.sealed import read_sealed_json
from timellm.forecasters.time_llm.twins import TWINS, Twin, twin_configs
from timellm.jobs.local.actions import TAG_LETTERS
from timellm.jobs.local.group import Planned, find_group, progress_of_group, start_group
from timellm.jobs.store.run import ODD_LETTERS, TRAINING_STATE, Run, one_line
from timellm.jobs.store.run_store import Store

TAG = "twins of "
"""Begins the tag of a group of twins; the name of the run's folder follows, which is its id in a workspace."""


@dataclass(frozen=True)
class Original:
    """The run that has twins."""

    folder: Path
    """It has a config.json, and a summary and scores once the run has finished."""
    config: RunConfig
    """In force: with what was found in the table."""
    summary: Mapping[str, Any]
    """Empty before it has finished."""
    name: str

    @classmethod
    def of(cls, folder: Path, *, name: str = "") -> Original:
        """Read a run's folder.

        Raises:
            CheckpointError: it is no run's folder, or is damaged.
            ConfigError: it was stopped before its end.
        """
        from timellm.training.checkpoint import load_config  # loads torch

        config = load_config(folder)
        summary = _sealed(folder / "summary.json") if (folder / "summary.json").is_file() else {}
        if summary and (folder / TRAINING_STATE).is_file():
            raise ConfigError(
                f"the run in {folder} was stopped, and its twins would make more steps than it did; resume it first"
            )
        return cls(folder, config, summary, name or folder.resolve().name)

    @property
    def tag(self) -> str:
        """What its twins are found by."""
        return one_line(TAG + re.sub(f"[{ODD_LETTERS}]", " ", self.folder.resolve().name))[:TAG_LETTERS].strip()

    def twin_configs(self) -> dict[str, RunConfig]:
        """The configuration of each twin, by its name.

        Raises:
            ConfigError: the run has no language model, or a time budget and has not finished.
        """
        return twin_configs(self.config, steps=self.summary.get("steps"))


@dataclass(frozen=True)
class Placed:
    """A twin and its run."""

    twin: Twin
    run: Run | None
    """None while it has not been started."""


def find_twins(original: Original, store: Store) -> tuple[Placed, ...]:
    """The twins of a run, each with its newest run; a run is a twin if it has the tag and the settings.

    Raises:
        ConfigError: the run can have no twins.
        JobError: the store cannot be read.
    """
    planned = _planned(original)
    found = find_group(original.tag, [one for _, one in planned], store)
    return tuple(Placed(twin, run) for (twin, _), run in zip(planned, found, strict=True))


def start_twins(original: Original, store: Store, *, again: bool = False) -> tuple[Placed, ...]:
    """Queue the twins that have no run yet, one behind the other; with `again` those that failed or were stopped, too.

    Raises:
        ConfigError: the run can have no twins.
        DataError: its table is gone.
        JobError: the runner's process cannot be made.
    """
    table = Path(original.config.data.path)
    if any(one.run is None for one in find_twins(original, store)) and not table.is_file():
        raise DataError(f"the run's table {table} is no longer there, and its twins are trained on it; put it back")
    start_group(original.tag, [one for _, one in _planned(original)], store, again=again)
    return find_twins(original, store)


def report(original: Original, placed: Sequence[Placed]) -> TwinsReport | None:
    """The run beside those twins that have finished; None before the run itself, or before any of them.

    Raises:
        CheckpointError: a result is missing or damaged.
        ConfigError: a twin was scored on other windows, because the table was changed.
    """
    finished = [one for one in placed if one.run is not None and one.run.state == "finished"]
    if not finished or not (original.folder / "scores.json").is_file():
        return None
    run = _scored("run", "This run", original.folder, original.summary, language_model=True)
    twins = [
        _scored(one.twin.name, one.twin.title, one.run.run_dir, one.run.summary, language_model=one.twin.language_model)
        for one in finished
        if one.run is not None
    ]
    return judge_twins(run, twins)


def progress_words(placed: Sequence[Placed]) -> str:
    """How many of the twins have finished, and what became of the others, in a sentence; empty if none was started."""
    return progress_of_group([one.run for one in placed], "twins")


def _planned(original: Original) -> list[tuple[Twin, Planned]]:
    configs = original.twin_configs()
    return [
        (twin, Planned(f"{twin.title}: {original.name}", twin.purpose, configs[twin.name]))
        for twin in TWINS
        if twin.name in configs
    ]


def _scored(name: str, title: str, folder: Path, summary: Mapping[str, Any], *, language_model: bool) -> Scored:
    seconds, memory = summary.get("seconds"), summary.get("memory_mib")
    return Scored(name, title, folder, str(summary.get("model") or _own(folder)), language_model, seconds, memory)


def _own(folder: Path) -> str:
    try:
        return Scores.from_dict(_sealed(folder / "scores.json")).own
    except (LookupError, TypeError, ValueError) as error:
        raise CheckpointError(f"{folder / 'scores.json'} is damaged ({error}); evaluate the run again") from error


def _sealed(path: Path) -> dict[str, Any]:
    try:
        return dict(read_sealed_json(path))
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); start the run again") from error
