"""Count the windows of a run before it starts: how many there are, how many gaps cost, and what would help.

Inputs: a table and a configuration. Outputs: `WindowCounts`, from which the set-up page, `estimate` and the error of a
run without windows are written. Torch is not loaded.

Shapes: R rows, N channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from timellm.config import RunConfig, TimeLLMConfig
from timellm.config.repair import filling
from timellm.data.gaps import Reach, blocks
from timellm.data.table import Table
from timellm.data.windows import Part, Split
from timellm.errors import ConfigError

PARTS: tuple[Part, ...] = get_args(Part)
_SHARES = (0.5, 0.1, 0.0)
"""A shorter window should keep half of a part's windows, or else a tenth, or else one at all."""
_SHORTEST_CONTEXT = 8
_PATCH = (16, 8)  # contexts that are tried for a forecaster without patches: from 16 rows in steps of 8
_Change = tuple[dict[str, Any], str]
"""Settings, and what they do in words that fit after "you can"."""
_FILL: _Change = ({"missing": "interpolate"}, "fill gaps from each window's own past with 'missing=interpolate'")


@dataclass(frozen=True)
class PartWindows:
    """Windows of one part; a window is one channel's."""

    rows: int
    possible: int
    """Windows that there would be without gaps."""
    usable: int
    gap_in_target: int
    """Windows left out because a value to forecast is missing; filling gaps does not make them usable."""
    gap_in_context: int
    """Windows left out because of their context alone."""
    reason: str = ""
    """Why no window is usable; empty where one is."""

    @property
    def left_out(self) -> int:
        """Windows left out because of gaps."""
        return self.gap_in_target + self.gap_in_context

    @property
    def share(self) -> float:
        """Share of the possible windows that are usable; 0 where none is possible."""
        return self.usable / self.possible if self.possible else 0.0


@dataclass(frozen=True)
class Remedy:
    """Changed settings with which every part has usable windows, and a larger share of them than now."""

    settings: dict[str, Any]
    """For `RunConfig.updated`."""
    parts: dict[Part, PartWindows]
    """The windows with these settings."""
    text: str
    """What is changed, in words that fit after "you can"."""


@dataclass(frozen=True)
class WindowCounts:
    """The windows of each part, and what would give more of them."""

    parts: dict[Part, PartWindows]
    remedies: tuple[Remedy, ...]
    """The smallest change first; empty when no window is left out, or nothing helps."""
    reason: str
    """Why a run cannot start with these settings, and what helps, in one line; empty if it can."""

    @property
    def usable(self) -> int:
        """Usable windows of all parts."""
        return sum(part.usable for part in self.parts.values())

    @property
    def left_out(self) -> int:
        """Windows of all parts that are left out because of gaps."""
        return sum(part.left_out for part in self.parts.values())


def count_windows(table: Table, config: RunConfig) -> WindowCounts:
    """Count the windows that a run of `config` on `table` would train on, validate and test with.

    `config` may name some of the table's channels; without any, all are counted. Nothing is raised for settings that
    do not work: a part without windows counts 0 and says why, and `reason` says it for the run. The cost is a few
    passes over the table: about 30 ms for 20,000 rows of 10 channels, a second for a million rows of 8.
    """
    names = tuple(name for name in table.channels if name in config.data.channels) or table.channels
    try:
        task = _Task.of(config, len(table.values))
    except ConfigError as error:
        nothing = dict.fromkeys(PARTS, PartWindows(0, 0, 0, 0, 0, str(error)))
        return WindowCounts(nothing, (), str(error))
    values_RN = table.measured(config.missing)
    if names != table.channels:
        values_RN = values_RN[:, [table.channels.index(name) for name in names]]
    tally = _Tally.of(values_RN, task)
    empty = tally.without_training_value
    parts = tally.parts()
    if not empty.any() and all(part.usable == part.possible > 0 for part in parts.values()):
        return WindowCounts(parts, (), "")
    remedies = tuple(_remedies(values_RN, names, empty, task, tally))
    reason = ""
    if empty.any():
        reason = f"channel '{names[int(empty.argmax())]}' has no value in the {task.split.train_end:,} training rows"
        reason += _advice(remedies) or "; enlarge the training part with 'split'"
    elif missing := [part.reason for part in parts.values() if not part.usable]:
        reason = missing[0] + _advice(remedies)
    return WindowCounts(parts, remedies, reason)


@dataclass(frozen=True)
class _Task:
    """What decides which windows there are."""

    config: RunConfig
    split: Split

    @classmethod
    def of(cls, config: RunConfig, rows: int) -> _Task:
        return cls(config, Split.of(config.task, rows))

    def changed(self, settings: dict[str, Any]) -> _Task:
        return _Task(self.config.updated(**settings), self.split)

    @property
    def may_fill(self) -> bool:
        """Whether gaps are left, and no repair says that they should be."""
        return self.config.missing == "skip" and filling(self.config.data.repair) is None

    @property
    def context(self) -> int:
        return self.config.task.context

    @property
    def horizon(self) -> int:
        return self.config.task.horizon

    def origins(self, part: Part) -> tuple[int, int]:
        """First origin and end of the origins of a part."""
        begin, end = self.split.bounds(part)
        begin = max(begin, self.context)
        return begin, max(begin, end - self.horizon + 1)


@dataclass
class _Tally:
    """Counts over all channels."""

    task: _Task
    channels: int
    usable: dict[Part, int]
    gap_in_target: dict[Part, int]
    by_context: dict[Part, np.ndarray]
    """[T + 1] windows whose target is whole, by the longest context they could have, at most the one in force."""
    by_horizon: dict[Part, np.ndarray]
    """[H + 1] windows whose context is usable, by the longest horizon they could have."""
    without_training_value: np.ndarray
    """[N] channels on which no scale can be fitted."""

    @classmethod
    def of(cls, values_RN: np.ndarray, task: _Task) -> _Tally:
        context, horizon = task.context, task.horizon
        tally = cls(
            task,
            values_RN.shape[1],
            usable=dict.fromkeys(PARTS, 0),
            gap_in_target=dict.fromkeys(PARTS, 0),
            by_context={part: np.zeros(context + 1, np.int64) for part in PARTS},
            by_horizon={part: np.zeros(horizon + 1, np.int64) for part in PARTS},
            without_training_value=np.zeros(values_RN.shape[1], bool),
        )
        for first, some_RN in blocks(values_RN):
            tally._add(first, some_RN)
        return tally

    def _add(self, first: int, values_RN: np.ndarray) -> None:
        task = self.task
        reach = Reach.of(values_RN, task.config.missing)
        known = np.isfinite(values_RN[task.split.train_begin : task.split.train_end]).any(axis=0)
        self.without_training_value[first : first + len(known)] = ~known
        for part in PARTS:
            begin, end = task.origins(part)
            fits, whole = reach.usable(task.context, horizon=task.horizon, begin=begin, end=end)
            self.usable[part] += int(np.count_nonzero(fits & whole))
            self.gap_in_target[part] += int(np.count_nonzero(~whole))
            start, stop = task.split.bounds(part)
            at = slice(start, max(start, stop - task.horizon + 1))
            longest = reach.back[:, at][reach.ahead[:, at] >= task.horizon]
            self.by_context[part] += np.bincount(np.minimum(longest, task.context), minlength=task.context + 1)
            at = slice(begin, max(begin, stop))
            fits = (reach.back[:, at] >= task.context) & (reach.since[:, at] < task.context)
            room = np.minimum(np.arange(stop - at.start, stop - at.stop, -1, dtype=np.int32), task.horizon)
            longest = np.minimum(reach.ahead[:, at], room)[fits]
            self.by_horizon[part] += np.bincount(longest, minlength=task.horizon + 1)

    def parts(self) -> dict[Part, PartWindows]:
        """The counts, with a reason where there is no window."""
        found = {}
        for part in PARTS:
            start, stop = self.task.split.bounds(part)
            begin, end = self.task.origins(part)
            possible = self.channels * (end - begin)
            usable, target = self.usable[part], self.gap_in_target[part]
            reason = ""
            if not possible:
                need = self.task.horizon + (self.task.context if part == "training" else max(0, begin - start))
                reason = (
                    f"the {part} part has {stop - start:,} rows, but one window needs {need:,} (context"
                    f" {self.task.context}, horizon {self.task.horizon}); lower them, change 'split', or bring more"
                    " rows"
                )
            elif not usable:
                reason = f"every window of the {part} part touches a missing value"
            found[part] = PartWindows(stop - start, possible, usable, target, possible - usable - target, reason)
        return found


def _remedies(
    values_RN: np.ndarray, names: tuple[str, ...], empty: np.ndarray, task: _Task, tally: _Tally
) -> Iterator[Remedy]:
    """Changes that help, each tried by counting with it."""
    now = min(part.share for part in tally.parts().values())
    base: list[_Change] = []
    if empty.any() and not empty.all():  # then no run can start, and every remedy begins with this
        base = [_without(names, empty)]
        values_RN, now = values_RN[:, ~empty], -1.0
        tally = _Tally.of(values_RN, task)

    def tried(*changes: _Change) -> Remedy | None:
        changes = (*base, *changes)
        settings = {name: value for change in changes for name, value in change[0].items()}
        parts = _Tally.of(values_RN, task.changed(settings)).parts()
        if min(part.share for part in parts.values()) <= now or not all(part.usable for part in parts.values()):
            return None
        return Remedy(settings, parts, ", and ".join(text for _, text in changes))

    found = [tried()] if base else []
    found += [tried(change) for change in _changes(task, tally)]
    if not any(found) and task.may_fill:  # one change is not enough
        filled = task.changed(_FILL[0])
        found += [tried(_FILL, change) for change in _changes(filled, _Tally.of(values_RN, filled))]
    yield from (remedy for remedy in found if remedy is not None)


def _without(names: tuple[str, ...], empty: np.ndarray) -> _Change:
    out = [f"'{name}'" for name, is_empty in zip(names, empty, strict=True) if is_empty]
    listed = ", ".join(out[:5]) + (f" and {len(out) - 5:,} more" if len(out) > 5 else "")
    kept = tuple(name for name, is_empty in zip(names, empty, strict=True) if not is_empty)
    return {"channels": kept}, f"leave out {listed} with 'channels'"


def _changes(task: _Task, tally: _Tally) -> Iterator[_Change]:
    """Settings that could give more windows."""
    if task.may_fill and any(part.gap_in_context for part in tally.parts().values()):
        yield _FILL
    now = min(part.share for part in tally.parts().values())
    forecaster = task.config.forecaster
    patch = (forecaster.patch_length, forecaster.stride) if isinstance(forecaster, TimeLLMConfig) else _PATCH
    contexts = np.arange(patch[0], task.context, patch[1])
    contexts = contexts[contexts >= _SHORTEST_CONTEXT]
    context = _longest(contexts, [_shares_by_context(task, tally, part, contexts) for part in PARTS], now)
    if context:
        yield {"context": context}, f"lower 'context' to {context:,}"
    horizons = np.arange(1, task.horizon)
    horizon = _longest(horizons, [_shares_by_horizon(task, tally, part, horizons) for part in PARTS], now)
    if horizon:
        yield {"horizon": horizon}, f"lower 'horizon' to {horizon:,}"


def _shares_by_context(task: _Task, tally: _Tally, part: Part, contexts: np.ndarray) -> np.ndarray:
    begin, end = task.split.bounds(part)
    possible = tally.channels * (end - task.horizon + 1 - np.maximum(begin, contexts))
    return _at_least(tally.by_context[part])[contexts] / np.maximum(possible, 1)


def _shares_by_horizon(task: _Task, tally: _Tally, part: Part, horizons: np.ndarray) -> np.ndarray:
    begin, end = task.split.bounds(part)
    possible = tally.channels * (end - horizons + 1 - max(begin, task.context))
    return _at_least(tally.by_horizon[part])[horizons] / np.maximum(possible, 1)


def _at_least(counts: np.ndarray) -> np.ndarray:
    """Numbers of windows by exactly their reach to those by at least it."""
    return counts[::-1].cumsum()[::-1]


def _longest(lengths: np.ndarray, shares: list[np.ndarray], now: float) -> int:
    """The longest with which every part keeps half of its windows, a tenth, or one; 0 if that is no gain."""
    worst = np.min(shares, axis=0) if len(lengths) else np.empty(0)
    for share in _SHARES:
        enough = np.flatnonzero((worst >= share) & (worst > 0))
        if share >= now and len(enough):
            return int(lengths[enough[-1]])
    return 0


def _advice(remedies: tuple[Remedy, ...]) -> str:
    """The remedies with their training windows, for the end of an error; empty if there is none."""
    if not remedies:
        return ""
    listed = [f"{remedy.text} ({remedy.parts['training'].usable:,} training windows)" for remedy in remedies]
    return f"; you can {', or '.join(listed)}"
