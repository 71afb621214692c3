"""Windows with forecasts of several models, made for tests of the scores."""

import numpy as np

from timellm.evaluation.accumulator import ForecastBatch, ScoreAccumulator
from timellm.evaluation.scores import Scores
from timellm.evaluation.windows import Reference, ScoredWindows

OWN, LAST, WEEKLY = "Time-LLM", "Last value", "Seasonal naive (week)"
REFERENCE = Reference(("load", "price"), np.array([2.0, 4.0]), np.array([0.5, 3.0]), np.array([0.4, 10.0]))


def scored_windows(**changes) -> ScoredWindows:
    facts = {
        "window_set": "5f2a", "fold": "test", "windows": 40, "cutoffs": 40, "first_origin": 100, "span": 45,
        "horizon": 6, "season": 168, "season_name": "week", "near_zero": 0.0,
    }  # fmt: skip
    return ScoredWindows(**facts | changes)


def batch(windows: int = 40, horizon: int = 6, seed: int = 1, missing: float = 0.0) -> ForecastBatch:
    """Forecasts with errors of deviation 0.5, 2 and 1; a share of the points is missing, differently for each model."""
    rng = np.random.default_rng(seed)
    actual = rng.normal(size=(windows, horizon)) + 4
    forecasts = {name: actual + size * rng.normal(size=actual.shape) for name, size in
                 ((OWN, 0.5), (LAST, 2.0), (WEEKLY, 1.0))}  # fmt: skip
    for values in (actual, *forecasts.values()):
        values[rng.random(values.shape) < missing] = np.nan
    naive2 = actual + 1.5 * rng.normal(size=actual.shape)
    return ForecastBatch(np.arange(windows) % 2, 100 + np.arange(windows) // 2, actual, forecasts, naive2)


def part(whole: ForecastBatch, rows) -> ForecastBatch:
    return ForecastBatch(whole.channel[rows], whole.origin[rows], whole.actual[rows],
                         {name: values[rows] for name, values in whole.forecasts.items()},
                         whole.naive2[rows])  # fmt: skip


def score(*batches: ForecastBatch, reference: Reference = REFERENCE, own: str = OWN, **facts) -> Scores:
    accumulator = ScoreAccumulator(reference, scored_windows(**{"horizon": batches[0].actual.shape[1]} | facts), own)
    for one in batches:
        accumulator.add(one)
    return accumulator.scores()
