"""The best of the simple forecasts, found by validation.

Inputs: a prepared table. Outputs: a forecaster that follows one rule (timellm.forecasters.simple_rules), kept in
naive.json with the validation error of every rule that was tried. Each of these rules is a forecaster, too, so that all
can be scored beside each other.

Rules are compared on the same validation windows: a rule that has no forecast for more than a tenth of them is left
out, and of the others only those windows count that all of them forecast.

Shapes: W windows, H horizon, N rules.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from timellm.config import RunConfig
from timellm.data.prepared import PreparedData
from timellm.data.seasonality import found_seasons
from timellm.data.windows import WindowIndex
from timellm.files.sealed import read_sealed_json, write_sealed_json
from timellm.forecasters.protocol import FitJob, FitReport, Forecaster, OnBatch, ignore_batch
from timellm.forecasters.saved import reading
from timellm.forecasters.simple_rules import METHODS, Rule, Windows, rules_for
from timellm.training.progress import Progress

NAIVE = "naive.json"
_MOST_WINDOWS = 4096
"""Validation windows that rules are compared on, evenly spaced: more of them overlap, and change no choice."""
_COVERED = 0.9
"""Share of these windows that a rule must forecast."""
_MOST_ROWS = 3
_BLOCK_VALUES = 2_000_000
"""Values of the past that are read at once: memory does not grow with the windows."""


@dataclass(frozen=True)
class Candidate:
    """A rule that was tried, and how it did."""

    rule: Rule
    title: str
    validation_loss: float
    """MSE on z-scored validation windows."""


@dataclass(frozen=True)
class Naive:
    """One simple rule, with all candidates that it was chosen from."""

    chosen: Candidate
    candidates: tuple[Candidate, ...]
    """Every rule that could be compared, the simplest first."""
    left_out: tuple[str, ...]
    """Titles of rules that have no forecast for too many validation windows."""

    @property
    def name(self) -> str:
        """The rule as a reader says it, such as "Seasonal naive, 24 rows (a day)"."""
        return self.chosen.title

    def variants(self) -> tuple[Naive, ...]:
        """A forecaster for every candidate, the chosen one among them."""
        return tuple(Naive(candidate, self.candidates, self.left_out) for candidate in self.candidates)

    @property
    def past_rows(self) -> int:
        """Rows that the chosen rule reads."""
        return self.chosen.rule.past_rows

    @property
    def reads_time(self) -> bool:
        """Never: a season is counted in rows."""
        return False

    @property
    def tied_to_table(self) -> str:
        """A rule is chosen by the validation windows of one table."""
        return "its rule was chosen on that table; every table's scores have the simple rules of its own"

    def rows(self) -> dict[str, Forecaster]:
        """A row for the last value, the seasonal naive of every season, and the rules that did best in validation.

        A leaderboard of many near copies helps nobody, and every row takes time to score.
        """
        best = sorted(self.candidates, key=lambda candidate: candidate.validation_loss)[:_MOST_ROWS]
        shown = {candidate.title for candidate in (self.chosen, *best)}
        shown |= {one.title for one in self.candidates if one.rule.method in ("last", "seasonal")}
        return {one.name: one for one in self.variants() if one.name in shown}

    @classmethod
    def fit(cls, prepared: PreparedData, job: FitJob) -> tuple[Self | None, FitReport]:
        """Find the seasons in the training rows, choose the best rule on the validation windows, and keep it.

        At most 4,096 validation windows are looked at, evenly spaced. None instead of a forecaster if the user stopped
        the fit, which takes a second or two.

        Raises:
            DataError: the table has no validation window.
        """
        started = time.monotonic()
        frequency, values_RN = prepared.table.frequency, prepared.training_values
        seasons = found_seasons(values_RN, frequency=frequency)
        positive = bool((values_RN[~np.isnan(values_RN)] > 0).all())
        rules = rules_for(seasons, context=prepared.context, positive=positive)
        index = prepared.windows("validation").evenly(_MOST_WINDOWS)
        errors_NW = np.empty((len(rules), len(index)))
        for part in _parts(index, max(rule.past_rows for rule in rules) + prepared.horizon):
            if job.should_stop():
                return None, FitReport(time.monotonic() - started, stopped=True)
            errors_NW[:, part] = _errors(prepared, rules, _some(index, part))
            message = f"Comparing, {part.stop:,} of {len(index):,} windows"
            job.on_progress(Progress("loading", fraction=part.stop / len(index), message=message))
        candidates, left_out = _compared(rules, errors_NW, frequency)
        best = min(candidates, key=lambda candidate: candidate.validation_loss)  # the simplest of equal ones
        fitted = cls(best, candidates, left_out)
        fitted.save(job.folder)
        facts = {
            "rule": best.title,
            "seasons": list(seasons),
            "validation_windows": len(index),
            "validation_losses": {candidate.title: candidate.validation_loss for candidate in candidates},
        }
        report = FitReport(
            time.monotonic() - started, validation_loss=best.validation_loss, facts=facts, notes=_notes(left_out)
        )
        return fitted, report

    def predict(self, prepared: PreparedData, index: WindowIndex, *, on_batch: OnBatch = ignore_batch) -> np.ndarray:
        """Forecasts [W, H] of the windows in `index`, float64 in original units; NaN where a value is not known."""
        rule = self.chosen.rule
        forecast_WH = np.empty((len(index), prepared.horizon))
        for part in _parts(index, rule.past_rows + prepared.horizon):
            forecast_WH[part] = rule.forecast(_windows(prepared, _some(index, part)))
            on_batch(part.stop)
        return forecast_WH

    def save(self, folder: Path) -> None:
        """Write naive.json.

        Raises:
            OSError: it cannot be written.
        """
        content = {
            "chosen": self.candidates.index(self.chosen),
            "candidates": [asdict(candidate) for candidate in self.candidates],
            "left_out": list(self.left_out),
        }
        write_sealed_json(folder / NAIVE, content)

    @classmethod
    def load(cls, folder: Path, config: RunConfig) -> Self:
        """Inverse of `save`.

        Raises:
            CheckpointError: naive.json is missing or damaged.
        """
        path = folder / NAIVE
        with reading(path):
            tree = read_sealed_json(path)
            candidates = tuple(_candidate(row) for row in tree["candidates"])
            chosen = _whole(tree["chosen"], least=0)
            return cls(candidates[chosen], candidates, tuple(str(title) for title in tree["left_out"]))


def _parts(index: WindowIndex, values: int) -> Iterator[slice]:
    """Slices of the list of windows, each of which `values` values are read of."""
    size = max(1, _BLOCK_VALUES // values)
    for begin in range(0, len(index), size):
        yield slice(begin, min(begin + size, len(index)))


def _some(index: WindowIndex, part: slice) -> WindowIndex:
    return WindowIndex(index.channel[part], index.origin[part], 0)


def _windows(prepared: PreparedData, index: WindowIndex) -> Windows:
    # Rules repeat values as they were measured, whatever was known ahead: others are compared with them.
    return Windows(prepared.without_effects.past, index.channel, index.origin, prepared.horizon)


def _errors(prepared: PreparedData, rules: tuple[Rule, ...], index: WindowIndex) -> np.ndarray:
    """Each rule's MSE of each window in z-scores, [N, W]; NaN where it does not forecast every step."""
    actual_WH = prepared.values[index.origin[:, None] + np.arange(prepared.horizon), index.channel[:, None]]
    scale_W1 = prepared.scaler.scale[index.channel, None]
    windows = _windows(prepared, index)
    with np.errstate(over="ignore"):
        return np.stack([(((rule.forecast(windows) - actual_WH) / scale_W1) ** 2).mean(axis=1) for rule in rules])


def _compared(
    rules: tuple[Rule, ...], errors_NW: np.ndarray, frequency: str
) -> tuple[tuple[Candidate, ...], tuple[str, ...]]:
    """The rules that forecast enough windows, with their errors on those that all of them do; the others' titles.

    The last value is always among the former: a usable window has a value before its origin.
    """
    finite_NW = np.isfinite(errors_NW)  # growth over many seasons may run to infinity
    kept_N = finite_NW.mean(axis=1) >= _COVERED
    shared_W = finite_NW[kept_N].all(axis=0)
    if not shared_W.any():  # each of them misses others; the last value misses none
        kept_N[1:] = False
        shared_W = finite_NW[0]
    candidates = tuple(
        Candidate(rule, rule.title(frequency), float(errors_W[shared_W].mean()))
        for rule, errors_W, kept in zip(rules, errors_NW, kept_N, strict=True)
        if kept
    )
    return candidates, tuple(rule.title(frequency) for rule, kept in zip(rules, kept_N, strict=True) if not kept)


def _notes(left_out: tuple[str, ...]) -> tuple[str, ...]:
    if not left_out:
        return ()
    reason = "they have no forecast for many of the validation windows, whose past is too short or misses values"
    return (f"Left out, because {reason}: {'; '.join(left_out)}.",)


def _candidate(row: Any) -> Candidate:
    rule = row["rule"]
    if rule["method"] not in METHODS:
        raise ValueError(f"there is no rule '{rule['method']}'")
    loss = row["validation_loss"]
    if isinstance(loss, bool) or not isinstance(loss, int | float):
        raise ValueError("a validation error is no number")
    read = Rule(rule["method"], _whole(rule["rows"]), _whole(rule["seasons"]))
    return Candidate(read, str(row["title"]), float(loss))


def _whole(number: Any, least: int = 1) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or number < least:
        raise ValueError(f"{number!r} is no whole number of at least {least}")
    return number
