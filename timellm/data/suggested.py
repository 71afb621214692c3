"""Settings that suit a table where the usual ones do not, each with its reason.

Inputs: a `Table` and a configuration. Outputs: `Suggested` settings, to be offered or taken and always shown. No
value is looked at: what is suggested follows from the step between rows and from how many rows there are.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from timellm.config import RunConfig, TaskConfig, TimeLLMConfig
from timellm.data.season import explained_lengths, usual_horizon
from timellm.data.table import Table

_FEW_HORIZONS = 2
"""A validation part with room for fewer can choose hardly anything."""
_LARGER_PARTS = "60%/20%/20%"
_FEWEST_PATCHES = 8
_SHORTEST_PATCH = 4
_MOST_PATCHES = 32
"""With more of them, reading overlapping patches takes most of a step, and forecasts are no better (docs/recipe.md)."""
_FEWEST_BATCHES = 4
"""Batches in an epoch; with fewer, a step sees nearly all there is, and takes longer for no other gradient."""
_SMALLEST_BATCH = 8


@dataclass(frozen=True)
class Suggested:
    """One setting that suits the table."""

    name: str
    value: Any
    reason: str
    """A sentence without its full stop."""


def suggested(table: Table, config: RunConfig, *, given: Collection[str] = ()) -> tuple[Suggested, ...]:
    """Context and horizon, and where the usual values do not suit: split, patch length and stride, batch size.

    Settings in `given` are the user's: they are kept, and the others follow from them.

    Raises:
        DataError: the table is too short for any window.
        ConfigError: the split needs more rows than there are.
    """
    found = [] if "split" in given else _split(table, config.task, given)
    task = config.task.model_copy(update={one.name: one.value for one in found})
    if not {"context", "horizon"} <= set(given):
        lengths = explained_lengths(table, task)
        found += [
            one
            for one in (
                Suggested("context", lengths.context, lengths.why_context),
                Suggested("horizon", lengths.horizon, lengths.why_horizon),
            )
            if one.name not in given
        ]
        task = task.model_copy(update={one.name: one.value for one in found})
    return (*found, *suggested_patches(config, task, given=given), *_batch(table, config, task, given))


def _split(table: Table, task: TaskConfig, given: Collection[str]) -> list[Suggested]:
    """Larger validation and test parts for a short table, where the split is the usual one."""
    if task.split != TaskConfig().split:
        return []
    validation = task.split_rows(len(table.values))[1]
    horizon = task.horizon if "horizon" in given else usual_horizon(table.frequency)
    if validation >= _FEW_HORIZONS * horizon:
        return []
    reason = f"with {task.split} the validation part has {validation:,} rows, fewer than {_FEW_HORIZONS} horizons of"
    return [Suggested("split", _LARGER_PARTS, f"{reason} {horizon:,}, and little could be chosen on them")]


def suggested_patches(config: RunConfig, task: TaskConfig, *, given: Collection[str] = ()) -> list[Suggested]:
    """A shorter patch for the context of a task if it is short, and patches that do not overlap if it is long."""
    settings = config.settings()
    if "patch_length" not in settings or {"patch_length", "stride"} & set(given):
        return []
    usual, context = settings["patch_length"], task.context
    length = usual
    while length > _SHORTEST_PATCH and _count(context, length, stride=length // 2) < _FEWEST_PATCHES:
        length //= 2
    length = min(length, context)
    if length == usual:
        return _apart(config, context)
    count = max(_count(context, usual, stride=usual // 2), 1)
    reason = f"patches of {usual} rows would cut a context of {context:,} into {count} only"
    return [Suggested("patch_length", length, reason), Suggested("stride", max(1, length // 2), "half a patch")]


def _apart(config: RunConfig, context: int) -> list[Suggested]:
    """Patches of Time-LLM that do not overlap, where there would be many of them."""
    model = config.forecaster
    if not isinstance(model, TimeLLMConfig) or model.stride == model.patch_length:
        return []
    many, few = (_count(context, model.patch_length, stride=stride) for stride in (model.stride, model.patch_length))
    if many <= _MOST_PATCHES:
        return []
    reason = f"{many} patches that overlap take longer to read than {few} that do not, and do not forecast better"
    return [Suggested("stride", model.patch_length, reason)]


def _count(context: int, length: int, *, stride: int) -> int:
    """Patches of one context (timellm.forecasters.time_llm.patching)."""
    return (context - length) // stride + 2


def _batch(table: Table, config: RunConfig, task: TaskConfig, given: Collection[str]) -> list[Suggested]:
    """A smaller batch where there are few windows to learn from."""
    if config.training is None or "batch_size" in given:
        return []
    train = task.split_rows(len(table.values))[0]
    channels = len(config.data.channels) or len(table.channels)
    windows = channels * max(0, train - task.context - task.horizon + 1)
    usual = size = config.training.batch_size
    while size > _SMALLEST_BATCH and size * _FEWEST_BATCHES > windows:
        size //= 2
    size = max(size, config.training.accumulation)
    if size == usual:
        return []
    return [Suggested("batch_size", size, f"the training part has {windows:,} windows, few for batches of {usual:,}")]
