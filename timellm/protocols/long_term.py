"""Long-term forecasting as in the Time-LLM paper and those before it: sets, horizons and a long context.

Each cell is a set, a horizon, a mode, a model and a seed. Errors are on values z-scored by the training rows. Modes: M
learns from and scores all channels, S the target alone, MS learns from all and scores the target. Forecasters here
see one channel at a time, so the run of MS is that of M, and its errors are those of the target.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from timellm.config import RunConfig
from timellm.protocols.errors_of_run import CUTOFFS_A_BATCH, errors_of_run
from timellm.protocols.grid import HORIZONS, MODELS_ASKED, SEEDS, SETS, Variant, plan_grid
from timellm.protocols.grid_table import GridTable
from timellm.protocols.protocol import Asked, Cell, Option, Plan, Protocol
from timellm.protocols.sets import KnownSet, find_set

MODE = Option("mode", "channels: all (M), the target alone (S), all in and one out (MS)", ("M",), ("M", "S", "MS"),
              several=False, key=("mode",))  # fmt: skip
_WORDS = {"M": "", "S": ", target alone", "MS": ""}
_READS = (
    "Errors are on values z-scored by the training rows. MSE and MAE count every test window.",
    f"As published: without the last cut-offs that fill no batch of {CUTOFFS_A_BATCH}, which the published loaders"
    " drop; from the same forecasts.",
    "±: the sample standard deviation over seeds.",
)


def plan(asked: Asked) -> Plan:
    """The runs of the sets whose files are there."""
    (mode,) = asked.of(MODE)

    def change(one: KnownSet, config: RunConfig) -> RunConfig:
        return config.updated(channels=[one.target]) if mode == "S" else config

    return plan_grid(asked, [Variant({"mode": mode}, _WORDS[mode], change)])


def measure(cell: Cell, folder: Path) -> Mapping[str, Any]:
    """The errors of the run's own model: of all channels, or in mode MS of the target alone."""
    target = find_set(str(cell.key["set"])).target if cell.key["mode"] == "MS" else None
    return {"context": cell.config.task.context} | errors_of_run(folder, channel=target)


RESULTS = GridTable("long-term", "mode", _READS, reported="M")
"""A row for each set, mode, horizon and model, with the papers' numbers beside it."""


LONG_TERM = Protocol(
    "long-term",
    "Long-term forecasting",
    "Errors at four horizons on nine published sets, each model on every test window.",
    (SETS, HORIZONS, MODELS_ASKED, SEEDS, MODE),
    plan,
    measure,
    RESULTS.table,
)
