"""One run from table to finished folder: fetch, load, train, evaluate, forecast, name the prototypes.

Inputs: a `RunConfig` and an empty folder. Outputs: the folder described in `timellm.forecasting.artifacts`. The worker
and the command line call `fit` alike; only what they do with progress and stop differs.
"""

from __future__ import annotations

import contextlib
import math
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from accelerate import Accelerator

from timellm import __version__
from timellm.config import RunConfig, TimeLLMConfig
from timellm.data.bounds import bounds_note
from timellm.data.prepared import PreparedData, in_force
from timellm.data.table import Table, load_table
from timellm.errors import ConfigError, TimeLLMError
from timellm.evaluation.scores import Scores
from timellm.explain.parts import linear_path, shares
from timellm.forecasters.known import KnownChoice, find_effects
from timellm.forecasters.protocol import FitJob, missing_note, own_levels
from timellm.forecasters.registry import REGISTRY, kind_of
from timellm.forecasters.start_rules import PRETRAINED
from timellm.forecasters.started import check_start
from timellm.forecasters.time_llm.catalog import check_cache
from timellm.forecasters.time_llm.kept import LINEAR_PATH, START
from timellm.forecasting.artifacts import SUMMARY, RunFolder
from timellm.forecasting.calibration import measure_bands
from timellm.forecasting.calibration_windows import calibration_windows
from timellm.forecasting.fitted import FittedRun
from timellm.forecasting.future import forecast_future, future_windows
from timellm.forecasting.outcome import outcome_of
from timellm.forecasting.overlap import seen_note
from timellm.forecasting.pretraining import PhasedProgress, pretrained
from timellm.forecasting.quick import QuickForecasters
from timellm.forecasting.scoring import ScoredModels, score_test_part
from timellm.forecasting.validation import BASELINES, WINDOWS, write_references
from timellm.sizing.made_with import made_with
from timellm.sizing.occupancy import occupied
from timellm.training.checkpoint import COMPANIONS, CONFIG, save_config
from timellm.training.evaluation_batch import evaluated_windows
from timellm.training.peak_memory import peak_memory_mib
from timellm.training.pinned import PinnedWindows
from timellm.training.processes import from_main, join_processes
from timellm.training.progress import OnProgress, Progress, ShouldStop, ignore_progress, never_stop
from timellm.training.state import has_state, remove_state
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
    accelerator = _processes(config)
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
    config, main = start.config, accelerator.is_main_process
    kind, prepared = kind_of(config.kind), PreparedData.of(start.table, config)
    windows = {part: prepared.windows(part) for part in ("training", "validation", "test")}  # refuse early, not late
    # Adapters that are gone can tell nothing; a run that goes on does not need them.
    began = config.training.start_from if config.training else ""
    seen = from_main(accelerator, lambda: seen_note(Path(began), prepared)) if began else ()
    if not start.resumed and main:
        save_config(folder.path, config)
        folder.save_table(start.table)
        folder.save_scaler(prepared.scaler)
    prepared, known = from_main(accelerator, lambda: _with_known(prepared, folder, on_progress, start.resumed))
    with tracking(accelerator, config, folder.path) as tracker:
        watched = tracker.following(_until_the_forecast(on_progress, prepared))
        phased = PhasedProgress(watched, config)
        job = FitJob(config, folder.path, phased.after, should_stop)
        held: list[QuickForecasters] = []
        from_main(accelerator, lambda: held.append(_quick(prepared, folder, on_progress, should_stop)))
        quick = held[0] if main else QuickForecasters({}, {})
        try:
            before = _pretrained(prepared, replace(job, on_progress=phased.before), accelerator)
            if before is None:
                return Result(folder.path, {}, stopped=True)
            own, report = kind.load().fit(prepared, job)
        except TimeLLMError:
            if main and not start.resumed and not has_state(folder.path):
                _leave_nothing(folder)
            raise
        if own is None:
            return Result(folder.path, {}, stopped=True)
        evaluating = time.monotonic()
        scores = score_test_part(
            ScoredModels.of(own, quick),
            prepared,
            folder,
            on_progress=on_progress,
            # A stop of the training does not stop the scoring of what was learned until then.
            should_stop=never_stop if report.stopped else should_stop,
            accelerator=accelerator,
        )
        missing = missing_note(own, len(windows["test"]))
        seconds = {"evaluation_seconds": time.monotonic() - evaluating}
        measuring = time.monotonic()
        if not from_main(accelerator, lambda: scores is None):
            measure_bands(
                ScoredModels.of(own, quick),
                prepared,
                folder,
                on_progress=watched,
                should_stop=never_stop if report.stopped else should_stop,
                accelerator=accelerator,
            )
        seconds["intervals_seconds"] = time.monotonic() - measuring
        forecasting = time.monotonic()
        notes = forecast_future(FittedRun(config, own, prepared), folder, write=main)
        seconds["forecast_seconds"] = time.monotonic() - forecasting

        def finish() -> dict[str, Any]:
            """What the main process does alone."""
            summary = {
                **known.facts,
                **report.facts,
                **before,
                **outcome_of(scores, folder, adds_nothing=report.facts.get("adds_nothing", False)),
                **_parts(folder, prepared, scored=scores is not None),
                **seconds,
                "seconds": time.monotonic() - started,
                "fit_seconds": {kind.name: report.seconds, **quick.seconds},
                "memory_mib": peak_memory_mib(),
                "processes": accelerator.num_processes,
                **made_with(accelerator.device, program=__version__),
                "windows_left_out": {part: index.left_out for part, index in windows.items() if index.left_out},
            }
            tracker.outcome(summary)
            summary["notes"] = [
                *bounds_note(config.task),
                *known.notes,
                *seen,
                *before.get("pretraining", {}).get("notes", ()),
                *report.notes,
                *missing,
                *quick.notes,
                *notes,
                *tracker.notes,
            ]
            folder.save_summary(summary)
            if scores is not None and not report.stopped:
                remove_state(folder.path)  # a stopped run may be gone on with
                (folder.path / START).unlink(missing_ok=True)
            return summary

        stopped = report.stopped or from_main(accelerator, lambda: scores is None)
        return Result(folder.path, from_main(accelerator, finish), stopped=stopped)


def _pretrained(prepared: PreparedData, job: FitJob, accelerator: Accelerator) -> dict[str, Any] | None:
    """What a run's summary says of its pre-training, which is made now; None if the user stopped it."""
    training = job.config.training
    if training is None or not training.pretrain:
        return {}
    place = job.folder / PRETRAINED
    if from_main(accelerator, lambda: has_state(job.folder) and not (place / SUMMARY).is_file()):
        return {}  # somebody removed it, and what goes on does not need it
    done = pretrained(prepared, job, accelerator)
    return None if done is None else {"pretraining": done}


def _leave_nothing(folder: RunFolder) -> None:
    """Remove what a run wrote that could not begin, so that it can be started again in the same folder."""
    kept = [LINEAR_PATH, START, *(kind.file for kind in REGISTRY.values() if kind.quick)]
    for name in (CONFIG, *COMPANIONS, BASELINES, WINDOWS, *kept):
        (folder.path / name).unlink(missing_ok=True)
    place = folder.path / PRETRAINED
    if not (has_state(place) or (place / SUMMARY).is_file()):
        shutil.rmtree(place, ignore_errors=True)


def _with_known(
    prepared: PreparedData, folder: RunFolder, on_progress: OnProgress, resumed: bool
) -> tuple[PreparedData, KnownChoice]:
    """The table with the effect of what is known ahead, which is found before anything else and kept in the folder."""
    choice = find_effects(prepared, on_progress=on_progress)
    kept = folder.effects() if resumed else None
    if kept is not None:
        choice = replace(choice, effects=kept)
    elif choice.effects is not None:
        folder.save_effects(choice.effects)
    return replace(prepared, effects=choice.effects), choice


def _quick(
    prepared: PreparedData, folder: RunFolder, on_progress: OnProgress, should_stop: ShouldStop
) -> QuickForecasters:
    """The quick forecasters, and what the validations of a training are compared with."""
    quick = QuickForecasters.fit(prepared, folder.path, on_progress=on_progress, should_stop=should_stop)
    if prepared.config.training is not None:
        pinned = PinnedWindows.of(prepared, folder.path)
        write_references(folder.path, prepared, quick.rows, validated=pinned.validated, pinned=pinned.positions)
    return quick


def _processes(config: RunConfig) -> Accelerator:
    """The processes that work on a run; a kind that does not train step by step works in one.

    Raises:
        ConfigError: a launcher has started several for a kind that cannot use them.
    """
    if config.training is not None:
        return processes_of(config.training)
    accelerator = join_processes(torch.device("cpu"))
    if accelerator.num_processes > 1:
        raise ConfigError(f"'{config.kind}' is fitted by one process, and there are {accelerator.num_processes}")
    return accelerator


def _enter(folder: RunFolder, config: RunConfig, table_file: Path | None) -> _Start:
    """What a run begins with; whatever can be refused at once is refused here."""
    check_tracker(config.training.tracker if config.training else "none")
    if isinstance(config.forecaster, TimeLLMConfig):
        check_cache(config.forecaster.backbone)
    sweep(folder.path)
    resumed = has_state(folder.path)
    if config.training is not None and config.training.start_from and not resumed:
        check_start(config, Path(config.training.start_from), kind_of(config.kind).start_rules)
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
        run = FittedRun.load(run_dir, trust_remote_code=trust_remote_code)
        quick = folder.quick()
        if not quick.rows:  # a run of an earlier version
            quick = QuickForecasters.fit(run.prepared, folder.path, on_progress=on_progress)
        models = ScoredModels.of(run.forecaster, quick)
        scores = score_test_part(models, run.prepared, folder, on_progress=on_progress)
        assert scores is not None
        measure_bands(models, run.prepared, folder, on_progress=on_progress)
        if own_levels(run.forecaster):  # its quantiles beyond the data belong to what bands are made of
            forecast_future(run, folder, write=True)
    return scores


def _until_the_forecast(on_progress: OnProgress, prepared: PreparedData) -> OnProgress:
    """Add to the time that training still takes what scoring and the forecast will take after it."""
    later = (prepared.windows("test"), calibration_windows(prepared))
    ahead = sum(evaluated_windows(len(index)) for index in later) + future_windows(prepared)

    def report(progress: Progress) -> None:
        if progress.eta_s is not None and progress.window_s is not None:
            progress = replace(progress, eta_s=progress.eta_s + ahead * progress.window_s)
        on_progress(progress)

    return report


def _parts(folder: RunFolder, prepared: PreparedData, *, scored: bool) -> dict[str, Any]:
    """What the linear path and the language model carry of the variance of the test forecasts, if there are both."""
    forecaster = prepared.config.forecaster
    if not (scored and isinstance(forecaster, TimeLLMConfig) and forecaster.has_two_parts):
        return {}
    index, forecast_WH = folder.test_windows(prepared)
    found = shares(linear_path(folder.path), prepared, index=index, forecast_WH=forecast_WH)
    if math.isnan(found.linear_path):
        return {}
    return {"variance_shares": {"linear_path": found.linear_path, "language_model": found.language_model}}
