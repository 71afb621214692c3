"""Several runs on one leaderboard: their own models and the simple forecasts beside them, and which may be the best.

Inputs: runs that were scored on the same windows. Outputs: `RunsBoard`: ranks, the test between any two, and the model
confidence set of the runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from timellm.errors import CheckpointError, ConfigError
from timellm.evaluation.confidence_set import SIZE, confidence_of_models
from timellm.evaluation.leaderboard import Cost, LeaderboardRow, best_naive, leaderboard
from timellm.evaluation.metrics import COMPARED, METRICS
from timellm.evaluation.others import OtherRun, windows_won
from timellm.evaluation.scores import Scores
from timellm.evaluation.significance import Comparison, compare
from timellm.evaluation.window_errors import WINDOW_ERRORS, ModelErrors, WindowErrors, read_window_errors


@dataclass(frozen=True)
class RunsBoard:
    """The runs, and the quick forecasters of the first of them, ranked by one metric."""

    metric: str
    scores: Scores
    rows: tuple[LeaderboardRow, ...]
    runs: tuple[str, ...]
    """Names of the runs, as their rows have them; the first is the one that `to_own` of a row is about."""
    naive: str | None
    """The best simple forecast."""
    won: Mapping[str, float]
    """Share of the windows in which each model is closer than that."""
    confidence: Mapping[str, float]
    """Run -> p-value of the model confidence set; from 0.1 on it may be the best."""
    notes: tuple[str, ...]

    def may_be_best(self, name: str) -> bool | None:
        """Whether a run cannot be told from the best one; None where it is not known, or for a simple forecast."""
        return None if name not in self.confidence else self.confidence[name] >= SIZE

    def sentence(self) -> str:
        """Which runs may be the best; empty where that is not known."""
        inside = [name for name in self.runs if self.may_be_best(name)]
        if not inside:
            return ""
        if len(inside) == 1:
            return f"{inside[0]} is the best of the runs: all others can be told from it (model confidence set, 90 %)."
        return f"These runs cannot be told from the best one (model confidence set, 90 %): {', '.join(inside)}."

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe."""
        rows = [
            row.to_dict() | {"may_be_best": self.may_be_best(row.model), "confidence": self.confidence.get(row.model)}
            for row in self.rows
        ]
        return {"metric": self.metric, "rows": rows, "sentence": self.sentence(), "notes": list(self.notes)}


def board_of_runs(runs: Sequence[OtherRun], metric: str, *, costs: Mapping[str, Cost] | None = None) -> RunsBoard:
    """Rank runs by a metric, each under its name; `costs` are by the same names.

    Raises:
        ConfigError: there is no such metric, or the runs were scored on different windows.
        CheckpointError: the errors by window of a run are damaged.
    """
    first = runs[0]
    if any(not one.scores.scored.window_set for one in runs):
        raise ConfigError("a run of an earlier version does not say which windows it was scored on; evaluate it again")
    scores = first.scores.own_alone(first.name)
    for one in runs[1:]:
        scores = scores.joined(one.scores.own_alone(one.name))
    own_of_first = first.scores.own
    quick = {
        name: frame[frame["model"] != own_of_first]
        for name, frame in (
            ("overall", first.scores.overall),
            ("by_channel", first.scores.by_channel),
            ("by_step", first.scores.by_step),
        )
    }
    scores = scores.joined(replace(first.scores, **quick, notes=()))
    scores = replace(scores, known_points=first.scores.known_points)
    if metric not in COMPARED:
        rows = leaderboard(scores, metric, costs=costs)
        note = f"Windows are not compared by {METRICS[metric].short}, so there is no test." if metric in METRICS else ""
        names = tuple(one.name for one in runs)
        return RunsBoard(metric, scores, rows, names, best_naive(rows), {}, {}, (note,))
    errors = {one.name: _errors(one, metric) for one in runs}
    pairs = {one.name: _compare(runs[0], one, errors) for one in runs[1:]}
    rows = leaderboard(scores, metric, comparisons=pairs, costs=costs)
    naive = best_naive(rows)
    models = {one.name: errors[one.name].of(one.scores.own) for one in runs}
    confidence, why = _confidence(models, horizon=first.scores.scored.horizon)
    won = _won(runs, metric, naive) if naive else {}
    return RunsBoard(
        metric, scores, rows, tuple(models), naive, won, confidence, (why,) if why else ()
    )  # fmt: skip


def compare_two(one: OtherRun, other: OtherRun, metric: str) -> Comparison:
    """The own models of two runs, window by window.

    Raises:
        ConfigError: they were scored on different windows, or windows are not compared by this metric.
        CheckpointError: the errors by window of one are missing or damaged.
    """
    if metric not in COMPARED:
        raise ConfigError(f"windows are not compared by {METRICS[metric].short}; choose another metric")
    return _compare(one, other, {run.name: _errors(run, metric) for run in (one, other)})


def said_of_two(found: Comparison) -> str:
    """A comparison in a sentence or two."""
    short = METRICS[found.metric].short
    better, worse = (found.model, found.other) if found.difference <= 0 else (found.other, found.model)
    errors = sorted((found.error, found.other_error))
    won = found.won if better == found.model else 1 - found.won
    if found.difference == 0:
        said = f"{better} and {worse} have the same {short} ({errors[0]:.4g})."
    else:
        said = f"{better} has a lower {short} than {worse} ({errors[0]:.4g} against {errors[1]:.4g})"
        said += f" and is closer in {won:.0%} of {found.windows:,} windows."
    if found.p_value is None:
        return f"{said} No test was made: {found.reason}."
    p_value = "p < 0.001" if found.p_value < 0.001 else f"p = {found.p_value:.2g}"
    return f"{said} The difference {'may be luck' if found.p_value >= 0.05 else 'is unlikely to be luck'} ({p_value})."


def _errors(run: OtherRun, metric: str) -> WindowErrors:
    try:
        return read_window_errors(run.folder / WINDOW_ERRORS, metric)
    except CheckpointError as error:
        raise CheckpointError(f"{run.name}: {error}") from error


def _compare(one: OtherRun, other: OtherRun, errors: Mapping[str, WindowErrors]) -> Comparison:
    found = compare(one.scores.own, other.scores.own, errors[one.name], other_errors=errors[other.name])
    return replace(found, model=one.name, other=other.name)


def _confidence(models: Mapping[str, ModelErrors], *, horizon: int) -> tuple[dict[str, float], str]:
    if len(models) < 2:
        return {}, ""
    return confidence_of_models(models, horizon=horizon)


def _won(runs: Sequence[OtherRun], metric: str, naive: str) -> dict[str, float]:
    """Against the simple forecast as the first run has it; the first run's own row is called by its name."""
    won = windows_won(runs[0].folder, runs[1:], metric, baseline=naive)
    own = runs[0].scores.own
    return {runs[0].name if name == own else name: share for name, share in won.items()}
