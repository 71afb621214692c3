"""The training loop: adapters and windows in, the best adapters and their validation error out.

Shapes: B batch, T context, H horizon.
"""

from __future__ import annotations

import contextlib
import math
import resource
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional as F

from timellm.config import TrainingConfig
from timellm.data.source import WindowSource
from timellm.data.windows import WindowIndex
from timellm.errors import ConfigError
from timellm.training.allocator import keep_freed_memory
from timellm.training.choice import Judge, Judged
from timellm.training.clock import Clock
from timellm.training.evaluation import Validation, validate
from timellm.training.kept_rows import ValidationRecord
from timellm.training.processes import (
    add_up_gradients,
    is_sharded,
    join_processes,
    numbers_from_main,
    own_random_numbers,
    prepared_for_steps,
    weights_from_main,
)
from timellm.training.progress import OnProgress, ShouldStop
from timellm.training.quantiles import WEIGHT, forecast_of_start, levels_of, pinball
from timellm.training.schedule import rate
from timellm.training.state import StateFile, TrainingPosition

_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"mse": F.mse_loss, "mae": F.l1_loss, "huber": F.huber_loss}
_SMOOTHED_STEPS = 10


@dataclass(frozen=True)
class TrainingWindows:
    """Where windows come from, and which ones train and which ones decide when to stop."""

    source: WindowSource
    training: WindowIndex
    validation: WindowIndex


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
    adds_nothing: bool
    """The forecast that is kept is that from before the first step."""


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
    batches = _batches(windows.training, config, start=now.step)
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
        return not now.start or judge.surely_lower(one.value_W, np.array(now.start))

    def keep(one: Judged) -> None:
        if main:
            with contextlib.nullcontext() if one.with_forecast else forecast_of_start(network):
                save_best()

    def kept_by(one: Judged) -> dict[str, Any]:
        """What the position says of weights that are kept now."""
        return {
            "best": one.value, "best_step": now.step, "best_error": one.error, "with_forecast": one.with_forecast
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
            now.without_gain = 0 if found.value < now.lowest else now.without_gain + _counts(now.gained)
            now.lowest, now.gained = min(now.lowest, found.value), None
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
        loss, gain = _accumulate(accelerator, trained, windows, next(batches), config)
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
        adds_nothing=(shown.best_step == 0 and not adds_first) or not shown.with_forecast,
    )


def peak_memory_mib() -> float:
    """Most memory the process has held: on the GPU if it was used, otherwise resident."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated() / 2**20
    # Not `ru_maxrss` where this is to be had: a process starts with the peak of the one that started it, so that a run
    # started by a large server would report the server.
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:  # not Linux
        lines = []
    peak_kib = next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), None)
    return (peak_kib or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1024


def _accumulate(
    accelerator: Accelerator, network: nn.Module, windows: TrainingWindows, chosen: np.ndarray, config: TrainingConfig
) -> tuple[float, float | None]:
    """Add the gradient of the mean loss over the windows at positions `chosen`, divided over processes and into parts.

    Returns that loss, and by how much the forecasts' part of it is below that of the forecasts to which the network
    adds; None if it adds to none.

    Only one part's activations are alive at a time, and it is no larger than with one process. A part's mean counts by
    its share of the windows, so that parts that do not divide evenly, or a process that has none, still sum to the
    undivided batch's gradient. DeepSpeed averages over processes, and all of them meet in each of its backward passes.
    """
    processes, own = accelerator.num_processes, accelerator.process_index
    levels = levels_of(network)
    count = min(-(-config.accumulation // processes), -(-len(chosen) // processes))
    averaged = processes if is_sharded(accelerator) else 1
    loss_of = _LOSSES[config.loss]
    losses = torch.zeros(2, device=accelerator.device)
    parts = np.array_split(chosen, count * processes)[own * count : (own + 1) * count]
    for number, part in enumerate(parts, start=1):
        share = len(part) / len(chosen)
        drawn = part if len(part) else chosen[:1]  # counts nothing, by its share
        channel, origin = windows.training.channel[drawn], windows.training.origin[drawn]
        context_BT, target_BH = windows.source.gather(channel, origin=origin)
        beside = windows.source.beside(channel, origin=origin, channels=bool(levels))
        found = network(context_BT, **beside)
        forecast_loss = loss_of(found[..., 0] if levels else found, target_BH)
        loss = (forecast_loss + _pinball_loss(found, target_BH, levels) if levels else forecast_loss) * share
        accelerator.sync_gradients = number == count
        accelerator.backward(loss * averaged)
        losses[0] += loss.detach()
        if "base_BH" in beside:
            losses[1] += (loss_of(beside["base_BH"], target_BH) - forecast_loss.detach()) * share
    add_up_gradients(accelerator, network)
    # Once, because on a GPU it waits for all that was asked for.
    loss_sum, gain = accelerator.reduce(losses).tolist()
    return loss_sum, gain if windows.source.has_base else None


def _pinball_loss(found_BHQ: Tensor, target_BH: Tensor, levels: tuple[float, ...]) -> Tensor:
    """Weighted mean loss of the offsets of quantiles, which stand behind the forecast and do not move it."""
    return WEIGHT * pinball(target_BH - found_BHQ[..., 0].detach(), found_BHQ[..., 1:], levels).mean()


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


def _batches(index: WindowIndex, config: TrainingConfig, *, start: int = 0) -> Iterator[np.ndarray]:
    """Positions in `index` for steps `start`, `start` + 1 ...; a batch may span two epochs, so no window is dropped.

    Each epoch has an order of its own that follows from seed and number, so that training can go on at any step.
    """
    size = min(config.batch_size, len(index))
    epoch, offset = divmod(start * size, len(index))
    pool = np.random.default_rng([config.seed, epoch]).permutation(len(index))[offset:]
    while True:
        while len(pool) < size:
            epoch += 1
            pool = np.concatenate([pool, np.random.default_rng([config.seed, epoch]).permutation(len(index))])
        yield pool[:size]
        pool = pool[size:]


def optimizer_for(network: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """The optimiser that `config` names, over everything `network` registers."""
    # Fused: one pass over weights and moments. With the paper's vocabulary map (50 million weights) that is 5 times
    # faster and needs no temporary copies of them.
    common = {"lr": config.learning_rate, "fused": True}
    if config.optimizer == "adam":
        return torch.optim.Adam(network.parameters(), **common)
    return torch.optim.AdamW(network.parameters(), weight_decay=config.weight_decay, **common)
