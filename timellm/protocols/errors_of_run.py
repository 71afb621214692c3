"""The errors of a finished run as papers count them: over every test window, and over those their loaders keep.

Inputs: a run's folder. Outputs: numbers by name. Published loaders drop the last batch of the test part where it is not
full. Most list cut-offs, each with all channels, in batches of 32 (Informer, Autoformer, DLinear, PatchTST); Time-LLM's
lists the windows of one channel after those of another, in batches of 24 (its scripts for Weather and ETT). What the
run has kept of every window is enough for these counts; nothing is forecast again.

Shapes: W windows.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from timellm.data.windows import Scaler
from timellm.errors import CheckpointError

if TYPE_CHECKING:
    from timellm.evaluation.window_errors import ModelErrors

CUTOFFS_A_BATCH = 32
WINDOWS_A_BATCH = 24
METRICS = {"mse": "mse_scaled", "mae": "mae_scaled"}
_POWERS = {"mse": 2, "mae": 1}
"""Of the scale in each."""


def errors_of_run(folder: Path, *, channel: str | None = None, scale_rows: int | None = None) -> dict[str, Any]:
    """MSE and MAE on z-scored values of the run's own model, of all channels or one.

    `mse` and `mae` are over every test window; with `_batches` over what loaders of cut-offs keep, with `_time_llm`
    over what Time-LLM's keeps; `windows`, `windows_batches` and `windows_time_llm` are their counts. These two are
    z-scored by the table's first `scale_rows` rows where they are given, else by the run's training rows.

    Raises:
        CheckpointError: a file of the run is missing or damaged.
    """
    from timellm.evaluation.window_errors import WINDOW_ERRORS, read_window_errors
    from timellm.forecasting.artifacts import RunFolder

    run = RunFolder(folder)
    scores, summary, prepared = run.scores(), run.summary(), run.prepared()
    frame = scores.overall if channel is None else scores.by_channel[scores.by_channel["channel"] == channel]
    rows = frame[frame["model"] == scores.own]
    if len(rows) != 1:
        raise CheckpointError(f"the run in {folder} has no errors of its own model in '{channel}'; evaluate it again")
    factor_N = np.ones(len(prepared.table.channels))
    if scale_rows is not None:
        whole = Scaler.fit(prepared.values[:scale_rows], channels=prepared.table.channels)
        factor_N = prepared.scaler.scale / whole.scale
    found: dict[str, Any] = {name: _finite(rows[metric].iloc[0]) for name, metric in METRICS.items()}
    found["windows"] = int(rows["windows"].iloc[0])
    for name, metric in METRICS.items():
        errors = read_window_errors(folder / WINDOW_ERRORS, metric).of(scores.own)
        if channel is not None:
            number = prepared.table.channels.index(channel)
            errors = errors.at(np.flatnonzero(errors.place // errors.span == number))
        for count, kept in (("batches", kept_by_cutoffs(errors)), ("time_llm", kept_by_windows(errors))):
            found[f"{name}_{count}"] = _mean(errors.at(kept), factor_N ** _POWERS[name])
            found[f"windows_{count}"] = int(kept.size)
    found["window_set"] = scores.scored.window_set
    found["left_out"] = summary.get("windows_left_out", {}).get("test", 0)
    found["best_step"] = summary.get("best_step")
    return found


def _mean(errors: ModelErrors, factor_N: np.ndarray) -> float | None:
    total_W = errors.total * factor_N[errors.place // errors.span]
    return _finite(total_W.sum() / errors.count.sum()) if errors.count.sum() else None


def kept_by_cutoffs(errors: ModelErrors, batch: int = CUTOFFS_A_BATCH) -> np.ndarray:
    """Places of the windows [W] that are left when the last cut-offs that fill no batch are dropped."""
    origin = errors.place % errors.span
    cutoffs = np.unique(origin)
    kept = cutoffs[: len(cutoffs) // batch * batch]
    return np.flatnonzero(np.isin(origin, kept))


def kept_by_windows(errors: ModelErrors, batch: int = WINDOWS_A_BATCH) -> np.ndarray:
    """The same where each window of each channel counts alone, channel after channel."""
    return np.arange(len(errors.place) // batch * batch)


def _finite(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None
