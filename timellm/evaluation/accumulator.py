"""Errors of many windows, added up batch by batch: memory does not grow with the number of windows.

Inputs: batches of windows with their actual values and every model's forecasts, in original units. Outputs: `Scores`.
What is kept are float64 sums of each term of the metrics by channel and by step, for each model. A model is scored on
the points where it has a forecast and the actual value is known, so adding a model changes no other's numbers.

Shapes: B windows of a batch, H horizon, N channels, K terms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from timellm.evaluation.metrics import METRICS, TERMS, metrics_from
from timellm.evaluation.notes import Coverage, notes_on
from timellm.evaluation.scores import Scores
from timellm.evaluation.term_sums import PartOfBatch, TermSums
from timellm.evaluation.windows import Reference, ScoredWindows

_POINTS_AT_ONCE = 2**14
"""Points that are worked on at once: arrays of 128 KiB, which a cache holds; larger ones take twice as long."""


@dataclass(frozen=True)
class ForecastBatch:
    """Some windows with the forecasts of every model, in original units."""

    channel: np.ndarray
    """[B] number of the channel."""
    origin: np.ndarray
    """[B] row of the first forecast step."""
    actual: np.ndarray
    """[B, H], NaN where missing."""
    forecasts: Mapping[str, np.ndarray]
    """Model name -> [B, H], NaN where it has no forecast; a model that is not named has none."""
    naive2: np.ndarray | None = None
    """[B, H] forecasts of Naive2, which OWA is measured against; without them OWA is undefined."""


class WindowSums(NamedTuple):
    """What one model's errors come to in each window of a batch."""

    known: np.ndarray
    """[B] points with an actual value."""
    counts: dict[str, np.ndarray]
    """Term -> [B] points at which it is defined."""
    sums: dict[str, np.ndarray]
    """Term -> [B]."""


@dataclass
class _Totals:
    """Sums of one model."""

    by_channel: np.ndarray  # [K, N]
    by_step: np.ndarray  # [K, H]
    channel_counts: np.ndarray  # [K, N]
    step_counts: np.ndarray  # [K, H]
    windows: np.ndarray  # [N]

    @classmethod
    def empty(cls, channels: int, horizon: int) -> _Totals:
        terms = len(TERMS)
        sums = np.zeros((terms, channels)), np.zeros((terms, horizon))
        counts = np.zeros((terms, channels), np.int64), np.zeros((terms, horizon), np.int64)
        return cls(*sums, *counts, np.zeros(channels, np.int64))

    def add(self, sums: Mapping[str, TermSums], channel: np.ndarray) -> None:
        """Add what the windows of these channels come to."""
        channels = len(self.windows)
        with np.errstate(over="ignore"):
            for number, term in enumerate(TERMS):
                one = sums[term]
                self.by_channel[number] += np.bincount(channel, one.window_sum, channels)
                self.by_step[number] += one.step_sum
                self.channel_counts[number] += np.bincount(channel, one.window_count, channels).astype(np.int64)
                self.step_counts[number] += one.step_count
        self.windows += np.bincount(channel, sums[TERMS[0]].window_count > 0, channels).astype(np.int64)


@dataclass
class ScoreAccumulator:
    """Adds up errors; `scores` can be asked for at any time, also after a stop."""

    reference: Reference
    scored: ScoredWindows
    own: str
    """The run's own model: the one that the verdict is about."""
    _totals: dict[str, _Totals] = field(default_factory=dict, init=False)
    _windows: np.ndarray = field(init=False)
    _points: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self._windows = np.zeros(len(self.reference.channels), np.int64)
        self._points = np.zeros(3, np.int64)  # all, with an actual value, with an actual value of 0

    def add(self, batch: ForecastBatch) -> dict[str, WindowSums]:
        """Add the errors of some windows; returns what they come to in each window, by model.

        Raises:
            ValueError: two arrays do not fit each other, or a channel does not exist.
        """
        _check(batch, self.reference, self.scored.horizon)
        channels, horizon = len(self.reference.channels), self.scored.horizon
        self._windows += np.bincount(batch.channel, minlength=channels)
        for name in batch.forecasts:
            self._totals.setdefault(name, _Totals.empty(channels, horizon))
        found: dict[str, list[WindowSums]] = {name: [] for name in batch.forecasts}
        at_once = max(1, _POINTS_AT_ONCE // horizon)
        for begin in range(0, len(batch.channel), at_once):
            part = PartOfBatch(
                self.reference,
                batch.channel[begin : begin + at_once],
                np.asarray(batch.actual[begin : begin + at_once], np.float64),
                None if batch.naive2 is None else np.asarray(batch.naive2[begin : begin + at_once], np.float64),
            )
            self._points += (part.known_BH.size, part.known_BH.sum(), (part.actual_BH == 0).sum())
            for name, forecast in batch.forecasts.items():
                sums = part.sums(np.asarray(forecast[begin : begin + at_once], np.float64))
                self._totals[name].add(sums, part.channel)
                counts = {term: one.window_count for term, one in sums.items()}
                totals = {term: one.window_sum for term, one in sums.items()}
                found[name].append(WindowSums(part.known_BH.sum(axis=1), counts, totals))
        return {name: _joined(parts) for name, parts in found.items() if parts}

    def scores(self) -> Scores:
        """The metrics of everything that was added."""
        overall, by_channel, by_step = [], [], []
        present = np.flatnonzero(self._windows)
        steps = np.arange(1, self.scored.horizon + 1)
        channels = [self.reference.channels[number] for number in present]
        for name, totals in self._totals.items():
            whole = _metrics(totals.by_channel.sum(axis=1), totals.channel_counts.sum(axis=1))
            overall.append({"model": name} | whole | {"windows": int(totals.windows.sum())})
            parts = _metrics(totals.by_channel[:, present], totals.channel_counts[:, present])
            by_channel.append(
                pd.DataFrame({"model": name, "channel": channels} | parts | {"windows": totals.windows[present]})
            )
            parts = _metrics(totals.by_step, totals.step_counts)
            by_step.append(pd.DataFrame({"model": name, "step": steps} | parts | {"windows": parts["points"]}))
        frames = [_frame([pd.DataFrame(overall)], ()), _frame(by_channel, ("channel",)), _frame(by_step, ("step",))]
        every, known, zero = (int(number) for number in self._points)
        coverage = Coverage(every, known, zero, {name: t.channel_counts[0].sum() for name, t in self._totals.items()})
        notes = notes_on(coverage, frames=frames, reference=self.reference, present=present, scored=self.scored)
        whole, channel_frame, step_frame = (frame.replace([np.inf, -np.inf], np.nan) for frame in frames)
        return Scores(whole, channel_frame, step_frame, tuple(notes), self.own, self.scored, known)


def _metrics(sums: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
    """Metrics and points from sums and counts of the terms, [K] or [K, ...]."""
    named = metrics_from(dict(zip(TERMS, sums, strict=True)), dict(zip(TERMS, counts, strict=True)))
    return named | {"points": counts[0]}


def _frame(parts: list[pd.DataFrame], keys: tuple[str, ...]) -> pd.DataFrame:
    columns = ["model", *keys, *METRICS, "windows", "points"]
    parts = [part for part in parts if len(part)]
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.concat(parts, ignore_index=True)[columns].astype({"windows": "int64", "points": "Int64"})


def _joined(parts: list[WindowSums]) -> WindowSums:
    counts = {term: np.concatenate([part.counts[term] for part in parts]) for term in TERMS}
    sums = {term: np.concatenate([part.sums[term] for part in parts]) for term in TERMS}
    return WindowSums(np.concatenate([part.known for part in parts]), counts, sums)


def _check(batch: ForecastBatch, reference: Reference, horizon: int) -> None:
    windows = len(batch.channel)
    shapes = {name: values.shape for name, values in batch.forecasts.items()} | {
        "the actual values": batch.actual.shape
    }
    for name, shape in shapes.items():
        if shape != (windows, horizon):
            raise ValueError(f"{name} have shape {shape}; {windows:,} windows of {horizon:,} steps are scored")
    if len(batch.origin) != windows:
        raise ValueError(f"{len(batch.origin):,} origins do not name {windows:,} windows")
    if windows and not 0 <= batch.channel.min() <= batch.channel.max() < len(reference.channels):
        raise ValueError(f"there are {len(reference.channels):,} channels, and a window names another one")
