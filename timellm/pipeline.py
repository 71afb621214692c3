"""One run from table to finished folder: fetch, load, train, evaluate, forecast, name the prototypes.

Inputs: a `RunConfig` and an empty folder. Outputs: the folder described in `timellm.forecasting.artifacts`. The worker
and the command line call `fit` alike; only what they do with progress and stop differs.
"""

from __future__ import annotations

import contextlib
import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from accelerate import Accelerator

from timellm.config import RunConfig
from timellm.data.prepared import PreparedData
from timellm.data.season import season_length, suggest_description
from timellm.data.table import Table, load_table
from timellm.explain.vocabulary import nearest_words
from timellm.forecasting.artifacts import RunFolder, with_baselines
from timellm.forecasting.baselines import in_sample_naive_error
from timellm.forecasting.forecaster import Forecaster
from timellm.forecasting.scores import MODEL_NAME, Scores, score
from timellm.forecasting.validation import write_references
from timellm.model.backbone import Backbone, load_backbone
from timellm.model.catalog import check_cache
from timellm.model.network import TimeLLM
from timellm.training.checkpoint import load_adapter, save_adapter, save_config
from timellm.training.loop import TrainingResult, TrainingWindows, peak_memory_mib, train
from timellm.training.memory import evaluated_windows
from timellm.training.occupancy import occupied
from timellm.training.pinned import PinnedWindows
from timellm.training.processes import from_main, main_first, weights_from_main
from timellm.training.progress import OnProgress, Progress, ShouldStop, ignore_progress, never_stop
from timellm.training.state import Belonging, StateFile, has_state
from timellm.training.tracker import check_tracker, tracking
from timellm.training.zero import processes_of
from timellm.workspace import sweep


@dataclass(frozen=True)
class Result:
    """What a run came to."""

    run_dir: Path
    summary: dict[str, Any]
    """Outcome in a few numbers; empty when the run was stopped before it had learned anything."""
    stopped: bool
    """The user stopped it; the best checkpoint so far was kept and evaluated."""


class _StoppedEarly(Exception):
    """The user stopped the run before training began."""


def fit(
    config: RunConfig,
    *,
    run_dir: str | Path,
    on_progress: OnProgress = ignore_progress,
    should_stop: ShouldStop = never_stop,
    table_file: Path | None = None,
) -> Result:
    """Fine-tune the adapters as `config` says and fill `run_dir` with everything the run has to show.

    `table_file` is where this machine has the table that `config` names by its path on another one.

    A folder in which the same run was interrupted is gone on with: training continues where it stood, on the table as
    it was then, to the weights it would have had.

    Raises:
        CheckpointError: the folder's training state is damaged, or belongs to a run with other settings; or another
            process works in the folder.
        DataError: the table cannot be used, or is too short for the windows.
        ConfigError: two settings contradict each other, training diverged, the tracker cannot begin, or the folder
            cannot be written.
        BackboneError: the backbone cannot be loaded, or prompt and patches do not fit its positions.
    """
    folder = RunFolder(Path(run_dir))
    accelerator = processes_of(config.trained)
    if not accelerator.is_main_process:  # it does what the main one decides
        on_progress, should_stop = ignore_progress, never_stop
    with contextlib.ExitStack() as held:

        def enter() -> _Start:
            held.enter_context(occupied(folder.path))
            return _enter(folder, config, table_file)

        start = from_main(accelerator, enter)
        return _fit(start, folder, accelerator, on_progress=on_progress, should_stop=should_stop)


class _Start(NamedTuple):
    """What a run begins with."""

    resumed: bool
    """Whether it goes on."""
    table: Table
    config: RunConfig
    """With what was found in the table."""


def _fit(
    start: _Start, folder: RunFolder, accelerator: Accelerator, *, on_progress: OnProgress, should_stop: ShouldStop
) -> Result:
    started = time.monotonic()
    resumed, table, config = start
    prepared = PreparedData.of(table, config)
    state = StateFile(folder.path, Belonging(config, prepared.changed_rules))
    windows = {part: prepared.windows(part) for part in ("training", "validation", "test")}  # refuse early, not late
    device = accelerator.device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)  # this run's peak, not that of one before it in the same process
    try:
        backbone = main_first(
            accelerator, lambda: _load(config, device, on_progress=on_progress, should_stop=should_stop)
        )
    except _StoppedEarly:
        return Result(folder.path, {}, stopped=True)
    torch.manual_seed(config.trained.seed)
    network = TimeLLM(config.model, backbone=backbone, description=config.data.description)
    if not resumed and accelerator.is_main_process:
        save_config(folder.path, config)
        folder.save_table(table)
        folder.save_scaler(prepared.scaler)

    with tracking(accelerator, config, folder.path) as tracker:
        trained = train(
            network,
            TrainingWindows(prepared.source(device), windows["training"], windows["validation"]),
            config.trained,
            save_best=lambda: save_adapter(folder.path, network),
            on_progress=tracker.following(_until_the_forecast(on_progress, prepared)),
            should_stop=should_stop,
            state=state,
            pinned=_pinned(folder, prepared, config) if accelerator.is_main_process else None,
            accelerator=accelerator,
        )
        if not trained.best_step:
            return Result(folder.path, {}, stopped=True)
        from_main(accelerator, lambda: load_adapter(folder.path, network))
        weights_from_main(accelerator, network)
        forecaster = Forecaster(config, network, table, prepared.scaler)
        evaluating = time.monotonic()
        forecast = _forecast_test_part(forecaster, prepared, accelerator=accelerator, on_progress=on_progress)

        def finish() -> dict[str, Any]:
            """What the main process does alone."""
            scores = _score(forecast, prepared, folder)
            seconds = time.monotonic() - evaluating
            forecasting = time.monotonic()
            notes = _forecast(forecaster, folder)
            forecast_s = time.monotonic() - forecasting
            _name_prototypes(network, backbone, folder)
            summary = _summary(trained, scores) | {
                "evaluation_seconds": seconds,
                "forecast_seconds": forecast_s,
                "seconds": time.monotonic() - started,
                "memory_mib": peak_memory_mib(),
                "processes": accelerator.num_processes,
                "windows_left_out": {part: index.left_out for part, index in windows.items() if index.left_out},
            }
            tracker.outcome(summary)
            folder.save_summary(summary := summary | {"notes": [*notes, *tracker.notes]})
            if not trained.stopped:
                state.remove()  # a stopped run may be gone on with
            return summary

        return Result(folder.path, from_main(accelerator, finish), stopped=trained.stopped)


def _enter(folder: RunFolder, config: RunConfig, table_file: Path | None) -> _Start:
    """What a run begins with; whatever can be refused at once is refused here."""
    check_tracker(config.trained.tracker)
    check_cache(config.model.backbone)
    sweep(folder.path)
    resumed = has_state(folder.path)
    reading = config.data.model_copy(update={"path": str(table_file)}) if table_file else config.data
    table = folder.table() if resumed else load_table(reading)
    return _Start(resumed, table, in_force(config, table))


def evaluate(
    run_dir: str | Path, *, trust_remote_code: bool = False, on_progress: OnProgress = ignore_progress
) -> Scores:
    """Forecast every test window of a finished run again and score it; the folder keeps the new scores.

    `trust_remote_code` is as in `Forecaster.load`.

    Raises:
        CheckpointError: the folder is incomplete or damaged, or another process works in it.
        BackboneError: the backbone cannot be loaded on this machine.
        ConfigError: the folder cannot be written.
    """
    folder = RunFolder(Path(run_dir))
    folder.config()  # what is no run folder is not made one
    with occupied(folder.path):
        forecaster = Forecaster.load(run_dir, trust_remote_code=trust_remote_code)
        prepared = folder.prepared()
        return _score(_forecast_test_part(forecaster, prepared, on_progress=on_progress), prepared, folder)


def in_force(config: RunConfig, table: Table) -> RunConfig:
    """The configuration with what was found in the table written out, so that the run can be repeated from it alone."""
    description = config.data.description or suggest_description(table, Path(config.data.path).stem)
    return config.updated(
        description=description,
        channels=table.channels,
        frequency=table.frequency,
        time_column=table.time_column,
        layout=table.layout,
        **table.settings,
    )


def _load(config: RunConfig, device: torch.device, *, on_progress: OnProgress, should_stop: ShouldStop) -> Backbone:
    def on_bytes(done: int, total: int) -> None:
        on_progress(
            Progress("fetching", done, total, fraction=done / total, message=f"Fetching {config.model.backbone}")
        )
        if should_stop():
            raise _StoppedEarly

    on_progress(Progress("loading", message=f"Loading {config.model.backbone}"))
    backbone = load_backbone(config.model, device=device, on_bytes=on_bytes)
    on_progress(Progress("loading", fraction=1.0, memory_mib=peak_memory_mib()))
    if should_stop():
        raise _StoppedEarly
    return backbone


def _pinned(folder: RunFolder, prepared: PreparedData, config: RunConfig) -> PinnedWindows | None:
    """Write the baselines' validation errors, and choose the pinned windows."""
    training, windows = config.trained, len(prepared.windows("training"))
    pinned = PinnedWindows(
        folder.path,
        prepared,
        validated=prepared.windows("validation").evenly(training.validation_windows),
        count=training.pinned_windows,
        steps_per_epoch=windows / min(training.batch_size, windows),
    )
    write_references(folder.path, prepared, validated=pinned.validated, pinned=pinned.positions)
    return pinned if training.pinned_windows else None


def _until_the_forecast(on_progress: OnProgress, prepared: PreparedData) -> OnProgress:
    """Add to the time that training still takes what the test part and the forecast will take after it."""
    ahead = evaluated_windows(len(prepared.windows("test"))) + _forecast_windows(prepared)

    def report(progress: Progress) -> None:
        if progress.eta_s is not None and progress.window_s is not None:
            progress = replace(progress, eta_s=progress.eta_s + ahead * progress.window_s)
        on_progress(progress)

    return report


def _forecast_windows(prepared: PreparedData) -> int:
    """Windows that are calculated for the forecast beyond the data: one of each channel."""
    return evaluated_windows(len(prepared.table.channels))


def _forecast_test_part(
    forecaster: Forecaster,
    prepared: PreparedData,
    *,
    on_progress: OnProgress,
    accelerator: Accelerator | None = None,
) -> np.ndarray:
    """Forecasts [W, H] of every test window in original units, divided over the processes of a run."""
    started = time.monotonic()
    index = prepared.windows("test")
    total = len(index)

    def on_batch(done: int) -> None:
        seconds = max(time.monotonic() - started, 1e-6)
        on_progress(
            Progress(
                "evaluating",
                done,
                total,
                fraction=done / total,
                eta_s=seconds / done * (total - done + _forecast_windows(prepared)),
                windows_per_s=done / seconds,
                memory_mib=peak_memory_mib(),
            )
        )

    return forecaster.forecast_index(prepared, index, on_batch=on_batch, accelerator=accelerator)


def _score(forecast: np.ndarray, prepared: PreparedData, folder: RunFolder) -> Scores:
    """Errors of the forecasts of every test window, both kept in the folder."""
    index = prepared.windows("test")
    folder.save_test_forecasts(index, forecast=forecast, channels=prepared.table.channels)
    scores = score(
        with_baselines(prepared, index, forecast=forecast),
        scaler_scale=prepared.scaler.scale,
        naive_error=in_sample_naive_error(prepared.training_values, season_length(prepared.table.frequency)),
    )
    folder.save_scores(scores)
    return scores


def _forecast(forecaster: Forecaster, folder: RunFolder) -> list[str]:
    """Forecast every channel whose end is usable; says which are not, because their forecast would be invented."""
    usable = forecaster.usable_channels(forecaster.table)
    folder.save_future(forecaster.forecast_channels(forecaster.table, usable))
    return [
        f"There is no forecast of '{name}': values are missing in its last {forecaster.config.task.context:,} rows."
        for name in forecaster.table.channels
        if name not in usable
    ]


def _name_prototypes(network: TimeLLM, backbone: Backbone, folder: RunFolder) -> None:
    with torch.inference_mode():
        prototypes_VD = network.prototypes()
    folder.save_dictionary(prototypes_VD, words=nearest_words(prototypes_VD, backbone))


def _summary(trained: TrainingResult, scores: Scores) -> dict[str, Any]:
    row = scores.overall.set_index("model").loc[MODEL_NAME]
    test = {name: float(row[name]) for name in ("mae", "mse", "rmse", "smape", "mase", "mse_scaled", "mae_scaled")}
    return {
        "steps": trained.steps,
        "best_step": trained.best_step,
        "best_validation_loss": trained.best_validation_loss,
        "training_seconds": trained.seconds,
        "windows_per_s": trained.windows_per_s,
        "ended_early": trained.early,
        "test_windows": int(row["windows"]),
        "test": {name: None if math.isnan(value) else value for name, value in test.items()},
        "skill": None if math.isnan(skill := scores.skill()) else skill,
        "verdict": scores.verdict(),
    }
