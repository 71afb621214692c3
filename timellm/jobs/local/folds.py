"""A run retrained at each fold of a backtest: one group of runs in the queue, found again by their tag.

The test part's cut-offs are divided into folds in time order. The run of a fold learns from what came before it, from
the table's beginning (expanding) or from as many rows as the original (sliding), and its test part is the fold, so that
every test window is in one fold. Inputs: a finished run's folder and the store.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self, get_args

import numpy as np

from timellm.config import RunConfig
from timellm.errors import ConfigError, DataError
from timellm.evaluation.folds import FoldsReport, judge_folds
from timellm.evaluation.metrics import COMPARED, DIVIDED, METRICS
from timellm.evaluation.window_errors import WINDOW_ERRORS, read_window_errors
from timellm.forecasting.artifacts import RunFolder
from timellm.jobs.local.actions import TAG_LETTERS
from timellm.jobs.local.group import Planned, find_group, start_group
from timellm.jobs.store.run import ODD_LETTERS, Run, one_line
from timellm.jobs.store.run_store import Store

Window = Literal["expanding", "sliding"]
WINDOWS: tuple[Window, ...] = get_args(Window)
METRICS_OF_FOLDS = tuple(name for name in COMPARED if METRICS[name].term not in DIVIDED)
"""Those that do not depend on the training rows, which differ from fold to fold."""
MOST_FOLDS = 24


@dataclass(frozen=True)
class Folds:
    """The folds of a run."""

    folder: Path
    own: str
    planned: tuple[Planned, ...]
    tag: str

    @classmethod
    def of(cls, folder: Path, *, folds: int, window: Window = "expanding", name: str = "") -> Self:
        """Plan the folds of a finished run; `name` is what it is called in the list of runs.

        Raises:
            CheckpointError: it is no finished run's folder, or is damaged.
            ConfigError: there are too few or too many folds, or the run cannot be retrained.
        """
        run = RunFolder(folder)
        config, prepared = run.config(), run.prepared()
        if config.kind == "ensemble":
            raise ConfigError("an ensemble is not trained, so it has no folds; take those of its members")
        origins = np.unique(run.test_windows(prepared)[0].origin)
        if not 2 <= folds <= min(MOST_FOLDS, len(origins)):
            raise ConfigError(f"a backtest has 2 to {min(MOST_FOLDS, len(origins))} folds here; {folds} given")
        begin, end = int(origins[0]), int(origins[-1]) + 1
        bounds = [begin + (end - begin) * number // folds for number in range(folds + 1)]
        ends = prepared.split.validation_begin, prepared.split.validation_end
        configs = [_fold(config, *ends, *pair) for pair in itertools.pairwise(bounds)]
        if window == "sliding":
            rows = prepared.split.train_end - prepared.split.train_begin
            configs = [one.updated(training_rows=rows, training_side="last") for one in configs]
        called = name or folder.resolve().name
        planned = tuple(
            Planned(f"Fold {number} of {folds}: {called}", f"Retrained, {window} window", one)
            for number, one in enumerate(configs, start=1)
        )
        tag = f"{folds} {window} folds of " + re.sub(f"[{ODD_LETTERS}]", " ", folder.resolve().name)
        return cls(folder, run.scores().own, planned, one_line(tag)[:TAG_LETTERS].strip())

    def find(self, store: Store) -> tuple[Run | None, ...]:
        """The newest run of each fold; None where it was not started."""
        return find_group(self.tag, self.planned, store)

    def start(self, store: Store, *, again: bool = False) -> tuple[Run | None, ...]:
        """Queue the folds that have no run yet; with `again` those that failed or were stopped, too.

        Raises:
            DataError: the run's table is gone.
            JobError: the runner's process cannot be made.
        """
        table = Path(self.planned[0].config.data.path)
        if any(run is None for run in self.find(store)) and not table.is_file():
            raise DataError(f"the run's table {table} is no longer there, and its folds are trained on it; put it back")
        start_group(self.tag, self.planned, store, again=again)
        return self.find(store)

    def report(self, found: Sequence[Run | None], metric: str = "mae") -> FoldsReport | None:
        """The run beside those folds that have finished; None before any of them.

        Raises:
            CheckpointError: a result is missing or damaged.
            ConfigError: the table was changed, or the metric depends on the training rows.
        """
        if metric not in METRICS_OF_FOLDS:
            raise ConfigError(f"folds cannot be compared by '{metric}'; choose one of {', '.join(METRICS_OF_FOLDS)}")
        finished = [
            (number, read_window_errors(run.run_dir / WINDOW_ERRORS, metric))
            for number, run in enumerate(found, start=1)
            if run is not None and run.state == "finished"
        ]
        if not finished:
            return None
        return judge_folds(read_window_errors(self.folder / WINDOW_ERRORS, metric), finished, self.own)


def _fold(config: RunConfig, train_end: int, validation_end: int, begin: int, end: int) -> RunConfig:
    """The run of the fold with the origins from `begin` to `end` (exclusive)."""
    validation = validation_end - train_end
    return config.updated(split=f"{begin - validation}/{validation}/{end - begin + config.task.horizon - 1}")
