"""Judging a run by its scores: the best of all models, how the run's own compares with it, and how sure that is.

Inputs: `Scores`, and the comparisons of the run's own model with every other one. Outputs: a `Verdict`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from timellm.evaluation.comparisons import by_other
from timellm.evaluation.leaderboard import Cost, LeaderboardRow, errors_beside_own, leaderboard
from timellm.evaluation.metrics import COMPARED, METRICS
from timellm.evaluation.scores import Scores
from timellm.evaluation.significance import Comparison
from timellm.evaluation.verdict import Action, Disagreement, Outcome, Verdict
from timellm.training.gain import FEWEST_INDEPENDENT

EQUAL = 0.01
"""Errors that differ by less than this share count as about equal."""
LUCK = 0.05
"""A p-value of this or more: the difference may be luck."""
UNFIT = 0.001
"""With this share of values near zero or more, percentages of the actual value are unfit."""
_FASTER = 5
"""A model that takes so many times less time is preferred among equals."""


def judge(
    scores: Scores,
    metric: str,
    *,
    comparisons: Iterable[Comparison] = (),
    costs: Mapping[str, Cost] | None = None,
    adds_nothing: bool = False,
) -> Verdict:
    """The verdict on the run's own model by one metric.

    Args:
        scores: of all models.
        metric: the one that the user selected.
        comparisons: of the own model with every other one, by every metric; without them nothing is said of luck.
        costs: what each model took, if it is known.
        adds_nothing: no step of training made the own model better than the linear path from which it began.

    Raises:
        ConfigError: there is no such metric.
    """
    comparisons = tuple(comparisons)
    mine = by_other(comparisons, metric)
    ranked = [row for row in leaderboard(scores, metric, comparisons=mine, costs=costs) if row.rank is not None]
    own = next((row for row in ranked if row.own), None)
    others = [row for row in ranked if not row.own]
    near_zero = scores.scored.near_zero if (scores.scored.near_zero or 0) >= UNFIT else None
    rival = others[0] if own is not None and others else None
    found = _beside(scores, metric, rival, mine.get(rival.model) if rival else None)
    best_is_own = bool(ranked and ranked[0].own)
    outcome = _outcome(own, rival, found, best_is_own=best_is_own)
    p_value = found.p_value
    if p_value is not None and not best_is_own:  # the best of many is the best by luck more often
        p_value = min(1.0, p_value * len(others))
        outcome = "luck" if outcome == "worse" and p_value >= LUCK else outcome
    faster = _faster(own, rival) if outcome in ("equal", "luck") else None
    return Verdict(
        metric=metric,
        outcome=outcome,
        own=scores.own,
        best=ranked[0].model if ranked else None,
        rival=rival.model if rival else None,
        models=len(ranked),
        own_error=found.own,
        rival_error=found.rival,
        change=found.change,
        p_value=p_value,
        untested=found.untested,
        windows=found.windows,
        cutoffs=found.cutoffs,
        independent=found.independent,
        shared_points=found.shared_points,
        disagreeing=_disagreeing(scores, metric, ranked, comparisons, unfit=near_zero is not None),
        near_zero=near_zero if METRICS[metric].relative else None,
        season_name=scores.scored.season_name,
        action=_action(outcome, faster, unfit=near_zero is not None and METRICS[metric].relative),
        faster=faster,
        adds_nothing=adds_nothing,
    )


@dataclass(frozen=True)
class _Beside:
    """The own model's error beside the rival's, and on what that rests."""

    own: float | None
    rival: float | None
    change: float | None
    p_value: float | None
    untested: str
    windows: int
    cutoffs: int
    independent: float
    shared_points: int | None


def _beside(scores: Scores, metric: str, rival: LeaderboardRow | None, comparison: Comparison | None) -> _Beside:
    scored = scores.scored
    if rival is None:
        own = _defined(scores.error(scores.own, metric))
        windows = int(scores.overall.set_index("model").loc[scores.own, "windows"])
        why = "" if own is not None else scores.why_undefined(metric)
        return _Beside(own, None, None, None, why, windows, scored.cutoffs, scored.independent, None)
    own_error, rival_error = errors_beside_own(scores, metric, rival.model, comparison)
    change = own_error / rival_error - 1 if rival_error > 0 else None
    if comparison is None:
        untested = "the errors by window were not kept; evaluate the run again"
        if metric not in COMPARED:
            untested = f"windows are not compared by {METRICS[metric].short}"
        windows, cutoffs, independent = rival.windows, scored.cutoffs, scored.independent
        return _Beside(own_error, rival_error, change, None, untested, windows, cutoffs, independent, None)
    differ = scores.points(rival.model) != scores.points(scores.own)
    return _Beside(
        own_error,
        rival_error,
        change,
        comparison.p_value,
        comparison.reason,
        comparison.windows,
        comparison.cutoffs,
        comparison.independent,
        comparison.points if differ else None,
    )


def _outcome(own: LeaderboardRow | None, rival: LeaderboardRow | None, found: _Beside, *, best_is_own: bool) -> Outcome:
    if own is None:
        return "undefined"
    if rival is None:
        return "alone"
    if 0 < found.independent < FEWEST_INDEPENDENT:
        return "too little"
    if found.own == found.rival or (found.change is not None and abs(found.change) < EQUAL):
        return "equal"
    if found.p_value is not None and found.p_value >= LUCK:
        return "luck"
    return "best" if best_is_own else "worse"


def _faster(own: LeaderboardRow | None, rival: LeaderboardRow | None) -> float | None:
    """How many times faster the rival is, if that is much."""
    if own is None or rival is None or not own.cost.seconds or rival.cost.seconds is None:
        return None
    times = own.cost.seconds / max(rival.cost.seconds, 0.1)
    return times if times >= _FASTER else None


def _action(outcome: Outcome, faster: float | None, *, unfit: bool) -> Action:
    if outcome == "undefined" or unfit:
        return "other metric"
    if outcome in ("equal", "luck"):
        return "use" if faster else "either"
    actions: dict[str, Action] = {"best": "keep", "worse": "use", "too little": "more data", "alone": "compare"}
    return actions[outcome]


def _disagreeing(
    scores: Scores, metric: str, ranked: list[LeaderboardRow], comparisons: tuple[Comparison, ...], *, unfit: bool
) -> tuple[Disagreement, ...]:
    """Other metrics whose best model has an error that is smaller than that of this metric's best, and not just so."""
    if not ranked:
        return ()
    found: dict[str, list[str]] = {}
    for other in METRICS:
        if other == metric or METRICS[other].signed or (unfit and METRICS[other].relative):
            continue
        rows = leaderboard(scores, other, comparisons=by_other(comparisons, other))
        same = next(row for row in rows if row.model == ranked[0].model)
        if not math.isnan(same.to_best) and same.to_best >= EQUAL:
            found.setdefault(rows[0].model, []).append(other)
    return tuple(Disagreement(model, tuple(metrics)) for model, metrics in found.items())


def _defined(number: float) -> float | None:
    return number if math.isfinite(number) else None
