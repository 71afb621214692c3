"""Scores and comparisons with given numbers, for tests of the leaderboard and the verdict."""

import pandas as pd

from tests.evaluation.windows import OWN, scored_windows
from timellm.evaluation.metrics import METRICS
from timellm.evaluation.scores import Scores
from timellm.evaluation.significance import Comparison

RIDGE, WEEKLY, DLINEAR = "Ridge", "Seasonal naive (week)", "DLinear"


def board(
    errors: dict[str, float | dict[str, float]], *, own: str = OWN, points: dict | None = None, **facts
) -> Scores:
    """Scores of models by name: one error for all metrics, or some by metric and the rest by "mae"."""
    rows = []
    for model, given in errors.items():
        by_metric = given if isinstance(given, dict) else {"mae": given}
        count = (points or {}).get(model, 1000)
        values = {metric: by_metric.get(metric, by_metric["mae"]) for metric in METRICS}
        rows.append({"model": model, **values, "windows": count // 10, "points": count})
    overall = pd.DataFrame(rows).astype({"points": "Int64"})
    facts = {"windows": 100, "cutoffs": 100, "span": 2000, "horizon": 10} | facts
    return Scores(overall, overall, overall, (), own, scored_windows(**facts), 1000)


def comparison(other: str = RIDGE, *, own: str = OWN, metric: str = "mae", p: float | None = 0.0001, **changes):
    """The own model beside `other` on 100 windows without overlap."""
    facts = {
        "model": own, "other": other, "metric": metric, "error": 1.0, "other_error": 2.0, "difference": -1.0,
        "relative": -0.5, "p_value": p, "reason": "", "won": 0.25, "windows": 100, "points": 1000, "cutoffs": 100,
        "independent": 100.0,
    }  # fmt: skip
    return Comparison(**facts | changes)
