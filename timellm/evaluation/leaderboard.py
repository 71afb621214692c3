"""The leaderboard: every model's rank by one metric, and how it compares with the best one and with the run's own.

Inputs: `Scores`, comparisons with the run's own model, and what each model cost. Outputs: rows, as data.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from timellm.evaluation.metrics import METRICS
from timellm.evaluation.scores import Scores
from timellm.evaluation.significance import Comparison
from timellm.forecasters.simple_rules import is_simple


@dataclass(frozen=True)
class Cost:
    """What a model took."""

    seconds: float | None = None
    """To fit and to forecast the scored windows."""
    memory_mib: float | None = None


@dataclass(frozen=True)
class LeaderboardRow:
    """One model; a number that is not known or not defined is NaN or None."""

    rank: int | None
    """From 1; None where the metric is undefined."""
    model: str
    own: bool
    """Whether it is the run's own."""
    error: float
    """By the metric chosen, on the model's own points."""
    skill: float
    """Share of the best simple forecast's error that the model takes away: 1 - error / its error, on shared windows.

    Below 0 where it is worse; NaN where one of the errors is undefined, or where the simple forecast makes none.
    """
    to_best: float
    """How much larger the error is than the best model's, as a share of that."""
    to_own: float
    """How much larger the error is than that of the run's own model; below 0 where it is smaller.

    On the windows that both cover, if they cover different ones.
    """
    p_value: float | None
    """Of the difference to the run's own model."""
    won: float
    """Share of the windows in which the error is smaller than that of the run's own model."""
    coverage: float
    """Share of the points with an actual value that the model has a forecast for."""
    windows: int
    points: int
    cost: Cost

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe: None where a number is not known or not finite."""
        tree = {name: value for name, value in asdict(self).items() if name != "cost"} | asdict(self.cost)
        return {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in tree.items()}


def leaderboard(
    scores: Scores,
    metric: str,
    *,
    comparisons: Mapping[str, Comparison] | None = None,
    costs: Mapping[str, Cost] | None = None,
) -> tuple[LeaderboardRow, ...]:
    """The models of `scores`, best first by `metric`; those without a defined error last.

    Models are ranked by their error as a share of the own model's, on the windows that both cover: a model that
    covers only easy windows does not come first for that. `comparisons` are those of the metric, by the other model.

    Raises:
        ConfigError: there is no such metric.
    """
    comparisons, costs = comparisons or {}, costs or {}
    rows = scores.overall.set_index("model")
    pairs = {model: errors_beside_own(scores, metric, model, comparisons.get(model)) for model in scores.models}
    if math.isnan(scores.error(scores.own, metric)):  # then there is nothing to divide by
        ratios = {model: _size(scores.error(model, metric), metric) for model in pairs}
        to_own = dict.fromkeys(pairs, math.nan)
    else:
        ratios = {model: _ratio(other, own) for model, (own, other) in pairs.items()}
        to_own = {model: ratio - 1 for model, ratio in ratios.items()}
    naive = _best_simple(ratios)
    order = sorted(pairs, key=lambda model: (math.isnan(ratios[model]), ratios[model], model != scores.own))
    known = scores.known_points or int(rows["points"].fillna(0).max())
    return tuple(
        LeaderboardRow(
            rank=None if math.isnan(ratios[model]) else place,
            model=model,
            own=model == scores.own,
            error=scores.error(model, metric),
            skill=_skill(ratios[model], ratios[naive]) if naive else math.nan,
            to_best=_ratio(ratios[model], ratios[order[0]]) - 1,
            to_own=to_own[model],
            p_value=comparisons[model].p_value if model in comparisons else None,
            won=1 - comparisons[model].won if model in comparisons else math.nan,
            coverage=scores.points(model) / known if known else math.nan,
            windows=int(rows.loc[model, "windows"]),
            points=scores.points(model),
            cost=costs.get(model, Cost()),
        )
        for place, model in enumerate(order, start=1)
    )


def errors_beside_own(scores: Scores, metric: str, model: str, comparison: Comparison | None) -> tuple[float, float]:
    """The own model's error and that of `model`: on all points if both have the same, else on shared windows.

    Without a comparison, the errors are each on the model's own points. Of a metric with a direction it is their size.
    """
    if comparison is not None and scores.points(model) != scores.points(scores.own):
        shared = comparison.error, comparison.other_error
        if all(map(math.isfinite, shared)):
            return shared
    return _size(scores.error(scores.own, metric), metric), _size(scores.error(model, metric), metric)


def best_naive(rows: Iterable[LeaderboardRow]) -> str | None:
    """The best simple forecast of a leaderboard; None if none of them has a defined error."""
    return next((row.model for row in rows if row.rank and is_simple(row.model)), None)


def _best_simple(errors: Mapping[str, float]) -> str | None:
    """The simple forecast with the smallest of these errors by model; None if none of them has one."""
    known = {model: error for model, error in errors.items() if is_simple(model) and not math.isnan(error)}
    return min(known, key=lambda model: known[model], default=None)


def _skill(error: float, naive: float) -> float:
    return 1 - error / naive if naive > 0 and math.isfinite(naive) else math.nan


def _size(error: float, metric: str) -> float:
    return abs(error) if METRICS[metric].signed else error


def _ratio(part: float, whole: float) -> float:
    """`part / whole`; 1 for two zeros, infinite for a number over 0, NaN if one is undefined."""
    if math.isnan(part) or math.isnan(whole):
        return math.nan
    if part == whole:
        return 1.0
    return math.inf if whole == 0 else part / whole
