"""The training loop: adapters and windows in, the best adapters and their validation error out.

Shapes: B batch, T context, H horizon.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from accelerate import Accelerator
from torch import Tensor, nn

from timellm.config import TrainingConfig
from timellm.errors import ConfigError
from timellm.training.allocator import keep_freed_memory
from timellm.training.choice import Judge, Judged
from timellm.training.clock import Clock
from timellm.training.evaluation import Validation, validate
from timellm.training.kept_rows import ValidationRecord
from timellm.training.peak_memory import peak_memory_mib
from timellm.training.processes import (
    join_processes,
    numbers_from_main,
    own_random_numbers,
    prepared_for_steps,
    weights_from_main,
)
from timellm.training.progress import OnProgress, ShouldStop
from timellm.training.quantiles import levels_of
from timellm.training.schedule import rate
from timellm.training.share import LEAST_DROP, keeping_share
from timellm.training.state import StateFile, TrainingPosition
from timellm.training.step import TrainingWindows, accumulate, batches, optimizer_for

_SMOOTHED_STEPS = 10


@dataclass(frozen=True)
class TrainingResult:
    """How training went."""

    steps: int
    best_step: int
    best_validation_loss: float
    seconds: float
    windows_per_s: float
    stopped: bool
    """The user stopped it."""
    early: bool
    """Patience ran out."""
    share: float
    """Share of what the step added to its base that is kept; 0 is the forecast from before the first step."""

    @property
    def adds_nothing(self) -> bool:
        """Whether the forecast that is kept is that from before the first step."""
        return self.share == 0


def train(
    network: nn.Module,
    windows: TrainingWindows,
    config: TrainingConfig,
    *,
    save_best: Callable[[], None],
    on_progress: OnProgress,
    should_stop: ShouldStop,
    state: StateFile | None = None,
    records: Sequence[ValidationRecord] = (),
    accelerator: Accelerator | None = None,
    validate_first: bool = False,
    adds_first: bool = False,
    remedy: str = "",
) -> TrainingResult:
    """Train what `network` registers; `save_best` is called whenever a validation is the best so far.

    With `validate_first`, the network forecasts before its first step: it is validated then, and kept if no step makes
    it surely better (timellm.training.gain); the best step is then 0. With `adds_first` it adds something to its base
    before its first step, because it began at trained weights: the base alone is then the forecast that a step, or
    these weights, must be surely better than.

    Each of `records` keeps something of every validation, in the main process. `remedy` is what helps this kind of
    network against divergence beside a lower learning rate; the error names it.

    With `state`, the training state is written now and then, and training continues from a state that is found there:
    to the same weights, bit for bit on a CPU, unless a time budget drives the schedule. The validation that a stop
    makes leaves no trace in the state.

    The processes of `accelerator` work through their shares of each batch, to the gradient that one process would find.
    They hold the same weights and end at the same step; the main one alone reports, saves, and checks for a stop.

    Raises:
        ConfigError: the loss stopped being a number; says at which step and what to change.
        CheckpointError: the state is damaged or belongs to another training.
    """
    if config.gradient_checkpointing:
        network.checkpoint_gradients()
    accelerator = accelerator or join_processes(next(network.parameters()).device)
    if accelerator.device.type == "cpu":
        keep_freed_memory()
    main = accelerator.is_main_process
    weights_from_main(accelerator, network)
    trained, optimizer = prepared_for_steps(accelerator, network, optimizer_for(network, config))
    own_random_numbers(accelerator, seed=config.seed)
    now = state.restore(network, optimizer, accelerator) if state else TrainingPosition()
    for record in records if main else ():
        record.go_on_from(now.validated_step if math.isfinite(now.best) else None)
    clock = Clock(config, now.seconds)
    if now.step and main:
        on_progress(replace(clock.report(now, memory_mib=peak_memory_mib()), validations_to=now.validated_step))
    drawn = batches(windows.training, config, start=now.step)
    validated = windows.validation.evenly(config.validation_windows)
    judge = Judge(network, windows.source, validated, from_start=validate_first and windows.source.has_base)
    ended_at: TrainingPosition | None = None  # of a stopped run, if the validation at its stop is its best

    def where() -> tuple[bool, float, bool]:
        """Whether to stop, how far the run is, and whether to write: by the main process's user and clock."""
        return should_stop(), clock.share(now.step), state is not None and state.due()

    def write(**kept: dict[str, Tensor]) -> None:
        if state:
            now.seconds = clock.elapsed()
            state.write(network, optimizer, now, accelerator, **kept)

    def validated_now() -> Validation:
        """The validation at this step, reported and recorded."""
        clock.begin()
        found = validate(network, windows.source, validated, accelerator=accelerator)
        if now.step or adds_first:
            found = judge.at_best_share(found)
        clock.validated(len(validated))
        _check_finite(found.loss, now.step, config, remedy=remedy)
        if main:
            on_progress(clock.report(now, memory_mib=peak_memory_mib(), validation_loss=found.loss))
        for record in records if main else ():  # before the state: a run killed in between validates again
            record.add(now.step, found.forecast_WH)
        return found

    def is_best(one: Judged) -> bool:
        """Whether it is the best so far, and surely better than no training where that forecasts, too."""
        if one.value >= now.best:
            return False
        if judge.from_start and one.share and not judge.gains_enough(one.error):
            return False
        return not now.start or judge.surely_lower(one.value_W, np.array(now.start))

    def keep(one: Judged) -> None:
        if main:
            with keeping_share(network, one.share):
                save_best()

    def kept_by(one: Judged) -> dict[str, Any]:
        """What the position says of weights that are kept now."""
        return {
            "best": one.value, "best_step": now.step, "best_error": one.error, "share": one.share
        }  # fmt: skip

    if validate_first and not math.isfinite(now.best):
        begun = validated_now()
        first = judge.of_base(begun) if adds_first else judge.of(begun, first=True)
        now = replace(now, **kept_by(first), lowest=first.value, start=first.value_W.tolist())
        keep(first)
        if adds_first and is_best(carried := judge.of(begun)):
            now = replace(now, **kept_by(carried), lowest=carried.value)
            keep(carried)

    while True:
        stopped, share, late = numbers_from_main(accelerator, where, count=3)
        # A validation is due at every k-th part of the run, however the run is measured, and at its end.
        due = int(share * config.validations + 1e-9)
        new = now.step and now.step != now.validated_step
        if new and (due > now.validated or share >= 1):
            now.validated, now.validated_step = due, now.step
            found = judge.of(validated_now())
            if is_best(found):
                now = replace(now, **kept_by(found))
                keep(found)
            # What is lower, but not surely so, may become so in further steps.
            lower = now.lowest * (1 - LEAST_DROP) if judge.from_start else now.lowest
            gained = found.value < lower
            now.without_gain = 0 if gained else now.without_gain + _counts(now.gained)
            now.lowest, now.gained = found.value if gained else now.lowest, None
            write()
        elif new and stopped:
            # This one is made so that the stopped run has something to show. A run that goes on must choose as if it
            # had never been stopped: the state tells nothing of this validation, and keeps the weights it replaces.
            if is_best(found := judge.of(validated_now())):
                write(best=state.best_weights() if state and main and math.isfinite(now.best) else {})
                ended_at = replace(now, **kept_by(found))
                keep(found)
            else:
                write()
        elif late:
            write()
        if stopped or share >= 1 or now.without_gain >= config.patience:
            break
        learning_rate = rate(share, peak=config.learning_rate, schedule=config.schedule)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        clock.begin()
        network.train()
        optimizer.zero_grad()
        loss, gain = accumulate(accelerator, trained, windows, next(drawn), config)
        accelerator.clip_grad_norm_(network.parameters(), config.clip_norm)
        optimizer.step()
        clock.stepped()
        now.step += 1
        _check_finite(loss, now.step, config, remedy=remedy)
        now.recent = [*now.recent, loss][-_SMOOTHED_STEPS:]
        if gain is not None:
            now.gained = (now.gained or 0.0) + gain
        if main:
            on_progress(clock.report(now, memory_mib=peak_memory_mib(), learning_rate=learning_rate))
    seconds, shown = clock.elapsed(), ended_at or now
    return TrainingResult(
        steps=now.step,
        best_step=shown.best_step,
        best_validation_loss=_error(shown, quantiles=bool(levels_of(network))),
        seconds=seconds,
        windows_per_s=now.step * config.batch_size / seconds if seconds else math.nan,
        stopped=bool(stopped),
        early=now.without_gain >= config.patience,
        share=0.0 if shown.best_step == 0 and not adds_first else shown.share,
    )


def _counts(gained: float | None) -> int:
    """For how many validations one without a lower error counts: two if the steps before it gained nothing, either.

    `gained` is by how much their losses are below those of the forecasts to which the network adds. A network that says
    nothing new even on the windows that train it will not on others: docs/recipe.md has the trials.
    """
    return 2 if gained is not None and gained <= 0 else 1


def _error(position: TrainingPosition, *, quantiles: bool) -> float:
    """MSE of what is kept, which with quantiles is not all that steps are chosen by; NaN if nothing is."""
    if not math.isfinite(position.best):
        return math.nan
    return position.best_error if quantiles else position.best


def _check_finite(loss: float, step: int, config: TrainingConfig, *, remedy: str) -> None:
    if not math.isfinite(loss):
        raise ConfigError(
            f"training diverged at step {step}: the loss is {loss}. Lower 'learning_rate' (now"
            f" {config.learning_rate:g}){f', or {remedy}' if remedy else ''}"
        )
