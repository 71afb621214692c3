"""Few-shot forecasting as in the Time-LLM paper: the same tasks, learned from the first 10 or 5 percent of the rows.

As published, the rows that are learned from are (training rows - context) * percent // 100 + context, at the BEGINNING
of the training part; validation and test part stay. Two things are counted in two ways. The published scaler is fitted
on the whole training part, also on what the model may not see; here a run is scaled by what it sees. And published
loaders drop the last batch. MSE and MAE are on the scale of what is seen, over every window; "as published" is on the
published scale, over the windows that published loaders keep.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from timellm.config import RunConfig, TaskConfig
from timellm.errors import ConfigError
from timellm.protocols.errors_of_run import CUTOFFS_A_BATCH, errors_of_run
from timellm.protocols.grid import HORIZONS, MODELS_ASKED, SEEDS, SETS, TooShortError, Variant, plan_grid
from timellm.protocols.grid_table import GridTable
from timellm.protocols.protocol import Asked, Cell, Option, Plan, Protocol
from timellm.protocols.sets import KnownSet, find_set

PERCENTS = Option("percents", "percent of the training rows, the first ones", ("10", "5"), key=("percent",))
_READS = (
    "Learned from the first rows of the training part alone, as many as the percentage says.",
    "MSE and MAE are on values z-scored by the rows that were learned from, over every test window.",
    "As published: on values z-scored by the whole training part, which the published scaler sees, and without the last"
    f" cut-offs that fill no batch of {CUTOFFS_A_BATCH}; from the same forecasts.",
    "±: the sample standard deviation over seeds.",
)


def rows_learned(one: KnownSet, percent: int, *, context: int) -> int:
    """Training rows of a set that a model may see, as published."""
    return (_training_rows(one) - context) * percent // 100 + context


def plan(asked: Asked) -> Plan:
    """The runs of the sets whose files are there; a share that holds no window is left out with a note.

    Raises:
        ConfigError: a percentage is not between 1 and 100.
    """
    percents = asked.numbers(PERCENTS)
    if wrong := [percent for percent in percents if not 1 <= percent <= 100]:
        raise ConfigError(f"--percents: give numbers from 1 to 100, not {wrong[0]}")
    return plan_grid(asked, [Variant({"percent": one}, f", {one} %", _change(one)) for one in percents])


def _change(percent: int) -> Callable[[KnownSet, RunConfig], RunConfig]:
    def change(one: KnownSet, config: RunConfig) -> RunConfig:
        rows, task = rows_learned(one, percent, context=config.task.context), config.task
        if rows < task.context + task.horizon:
            raise TooShortError(f"{rows:,} training rows hold no window of {task.context:,} and {task.horizon:,} rows")
        return config.updated(training_rows=rows, training_side="first")

    return change


def measure(cell: Cell, folder: Path) -> Mapping[str, Any]:
    """The errors of the run's own model."""
    rows = {"context": cell.config.task.context, "training_rows": cell.config.task.training_rows}
    return rows | errors_of_run(folder, scale_rows=_training_rows(find_set(str(cell.key["set"]))))


RESULTS = GridTable("few-shot", "percent", _READS)
"""A row for each set, percentage, horizon and model."""


def _training_rows(one: KnownSet) -> int:
    return TaskConfig(split=one.split).split_rows(one.rows)[0]


FEW_SHOT = Protocol(
    "few-shot",
    "Few-shot forecasting",
    "What is left of the long-term errors when only the first 10 or 5 percent of the training rows may be seen.",
    (SETS, HORIZONS, MODELS_ASKED, SEEDS, PERCENTS),
    plan,
    measure,
    RESULTS.table,
)
