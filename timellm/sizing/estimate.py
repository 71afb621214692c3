"""Memory and time of a run: counted, and corrected by earlier measurements on this machine.

Inputs: a configuration, the backbone's shape, the table's size, the machine's facts, and `Observation`s of past runs
and trials. Outputs: an `Estimate` that names its sources. Nothing is loaded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Literal

from timellm.config import RunConfig, TimeLLMConfig
from timellm.data.joined_settings import joint_config
from timellm.forecasters.time_llm.shape import BackboneShape, backbone_shape
from timellm.sizing.arithmetic import STARTING_S, Seconds, seconds_by_arithmetic, training_seconds
from timellm.sizing.machine import MachineFacts
from timellm.sizing.memory import MemoryNeed, memory_need
from timellm.sizing.ridge import ridges_of
from timellm.sizing.small_kinds import small_need
from timellm.sizing.table import TableSize, table_bytes, test_windows
from timellm.sizing.trial import TRIAL
from timellm.training.evaluation_batch import evaluated_windows

_MOST = 5
_COUNTED = "arithmetic"
_FURTHEST = 3.0
"""A measurement further than this from the count was of something else (a busy machine, another version)."""
_WITHOUT_EFFECT = {"seed", "steps", "minutes", "learning_rate", "weight_decay", "schedule", "loss", "clip_norm",
                   "validations", "validation_windows", "patience", "path", "description", "dropout", "start_from",
                   "pretrain", "pretrain_steps"}  # fmt: skip


@dataclass(frozen=True)
class Observation:
    """Memory and time of a run or a trial on this machine; None where not measured."""

    config: RunConfig
    kind: Literal["run", "trial"]
    memory_mib: float | None
    step_s: float | None
    window_s: float | None
    loading_s: float | None = None


@dataclass(frozen=True)
class Surroundings:
    """What an estimate needs beside the configuration."""

    table: TableSize
    facts: MachineFacts
    past: Sequence[Observation] = ()
    """Newest first."""
    joined: TableSize = field(default_factory=lambda: TableSize(0, 0))
    """The tables of `pretrain` as one; nothing where none are, or nothing is known of them."""


@dataclass(frozen=True)
class Estimate:
    """Memory and time of a run."""

    memory: MemoryNeed
    memory_mib: float
    """At the worst moment, corrected by what similar runs took."""
    step_s: float
    """0 for a kind that does not train step by step."""
    loading_s: float
    """With the ridges that a run of Time-LLM solves before it trains."""
    training_s: float
    """With its validations; of a kind that does not train step by step, its fit."""
    evaluation_s: float
    """The windows of the test part."""
    forecast_s: float
    test_windows: int
    rests_on: str
    """"arithmetic", "a trial of these settings", "3 past runs" ..."""
    pretraining_s: float = 0.0
    """The training on other tables before that, with what is loaded for it."""

    @property
    def seconds(self) -> float:
        """The whole run, from loading to the forecast."""
        return self.loading_s + self.pretraining_s + self.training_s + self.evaluation_s + self.forecast_s


def estimate(
    config: RunConfig, around: Surroundings, *, shape: BackboneShape | None = None, windows: int | None = None
) -> Estimate:
    """Count what `config` needs; the `shape` of a backbone is looked up when not given.

    The counts of kinds without a language model are not corrected by earlier measurements.

    `windows` are the usable windows of the test part, where they have been counted; otherwise gaps are not known of.

    Raises:
        BackboneError: the backbone's sizes are not known here.
        ConfigError: the split needs more rows than there are, the need of the kind is not known from its settings, or a
            setting does not go with `pretrain`.
    """
    found = _of_one_training(config, around, shape=shape, windows=windows)
    if config.training is None or not config.training.pretrain:
        return found
    joint, wanted = joint_config(config), config.training.validation_windows
    # It is not scored: its only windows beside those of training are validated.
    before = _of_one_training(joint, replace(around, table=around.joined), shape=shape, windows=wanted, scored=False)
    own_mib = table_bytes(around.table) / 2**20  # is held meanwhile
    most = before if before.memory_mib + own_mib > found.memory_mib else found
    return replace(
        found,
        memory=most.memory,
        memory_mib=max(found.memory_mib, before.memory_mib + own_mib),
        pretraining_s=before.training_s + max(0.0, before.loading_s - STARTING_S),
    )


def _of_one_training(
    config: RunConfig, around: Surroundings, *, shape: BackboneShape | None, windows: int | None, scored: bool = True
) -> Estimate:
    if not isinstance(config.forecaster, TimeLLMConfig):
        return _of_small_kind(config, around, windows=windows)
    shape = shape or backbone_shape(config.model.backbone)
    memory, counted = _counted(config, around, shape, scored=scored)
    similar, rests_on = _similar(config, around.past)
    ratios = [_ratios(one, around) for one in similar]
    loading, step, window = (_middle([ratio[i] for ratio in ratios]) for i in range(3))
    seconds = Seconds(counted.loading * loading, counted.step * step, counted.window * window, counted.again * window)
    windows = test_windows(config, around.table) if windows is None else windows
    beyond = memory.total - memory.process
    return Estimate(
        memory=memory,
        memory_mib=memory.process + beyond * _middle([ratio[3] for ratio in ratios]),
        step_s=seconds.step,
        loading_s=seconds.loading + _ridge_seconds(config, around),
        training_s=training_seconds(config, seconds, validation_windows=windows),
        evaluation_s=evaluated_windows(windows) * seconds.window,
        forecast_s=evaluated_windows(len(config.data.channels) or around.table.channels) * seconds.window,
        test_windows=windows,
        rests_on=rests_on,
    )


def _of_small_kind(config: RunConfig, around: Surroundings, *, windows: int | None) -> Estimate:
    need = small_need(config, around.table, around.facts, windows=windows)
    return Estimate(
        memory=need.memory,
        memory_mib=need.memory.total,
        step_s=need.step_s,
        loading_s=need.loading_s,
        training_s=need.training_s,
        evaluation_s=need.evaluation_s,
        forecast_s=need.forecast_s,
        test_windows=test_windows(config, around.table) if windows is None else windows,
        rests_on=_COUNTED,
    )


def dtype_in_use(config: RunConfig, facts: MachineFacts) -> str:
    """Arithmetic of the frozen layers on this machine."""
    model = config.model
    if model.backbone_dtype != "auto":
        return model.backbone_dtype
    quantized = model.quantization != "none" and facts.quantized_dtype
    return quantized or facts.fast_dtype


def _counted(
    config: RunConfig, around: Surroundings, shape: BackboneShape, *, scored: bool = True
) -> tuple[MemoryNeed, Seconds]:
    facts, dtype = around.facts, dtype_in_use(config, around.facts)
    on_gpu = facts.gpu is not None and config.device != "cpu"
    process = facts.process_mib + (facts.quantization_mib if config.model.quantization != "none" else 0)
    memory = memory_need(
        config, shape, around.table, process_mib=None if on_gpu else process, dtype=dtype, scored=scored
    )
    return memory, seconds_by_arithmetic(config, shape, facts, dtype=dtype)


def _similar(config: RunConfig, past: Sequence[Observation]) -> tuple[list[Observation], str]:
    """The measurements to correct by, and their name: of these settings, of this backbone, or none."""

    def differing(one: Observation) -> set[str]:
        return config.differences(one.config).keys() - _WITHOUT_EFFECT

    tried = [one for one in past if one.kind == "trial" and not differing(one)]
    if tried:
        return tried[:1], "a trial of these settings"
    kind = {"backbone", "quantization", "backbone_dtype", "device"}
    alike = [one for one in past if not differing(one) & kind][:_MOST]
    runs, trials = (sum(one.kind == kind for one in alike) for kind in ("run", "trial"))
    named = [f"{count} past {word}{'s' * (count > 1)}" for count, word in ((runs, "run"), (trials, "trial")) if count]
    return alike, " and ".join(named) or _COUNTED


def _ratios(one: Observation, around: Surroundings) -> tuple[float, float, float, float]:
    """Measured to counted: loading, step, window without gradient, memory beyond the process; NaN if not measured."""
    config = one.config.updated(**TRIAL) if one.kind == "trial" else one.config
    memory, counted = _counted(config, around, backbone_shape(config.model.backbone), scored=one.kind == "run")
    beyond = None if one.memory_mib is None else one.memory_mib - memory.process
    return (
        _ratio(one.loading_s, counted.loading + (_ridge_seconds(one.config, around) if one.kind == "run" else 0.0)),
        _ratio(one.step_s, counted.step),
        _ratio(one.window_s, counted.window),
        _ratio(beyond, memory.total - memory.process),
    )


def _ridge_seconds(config: RunConfig, around: Surroundings) -> float:
    """Seconds of the ridges, which a run solves before it trains; unknown where only a graphics card was measured."""
    facts = around.facts
    return 0.0 if facts.gpu is not None else sum(need.seconds(facts) for need in ridges_of(config, around.table))


def _ratio(measured: float | None, counted: float) -> float:
    return math.nan if measured is None or measured <= 0 else measured / counted


def _middle(ratios: list[float]) -> float:
    """The median of what was measured; 1 where nothing was."""
    usable = [ratio for ratio in ratios if 1 / _FURTHEST <= ratio <= _FURTHEST]
    return median(usable) if usable else 1.0
