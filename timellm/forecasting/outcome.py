"""What the scores of a run's test part come to, in the few numbers and the sentence of its summary."""

from __future__ import annotations

import math
from typing import Any

from timellm.evaluation.judge import judge
from timellm.evaluation.scores import Scores
from timellm.forecasting.artifacts import RunFolder


def outcome_of(scores: Scores | None, folder: RunFolder, *, adds_nothing: bool) -> dict[str, Any]:
    """The scores in a few numbers; none if their calculation was stopped."""
    if scores is None:
        return {"test": {}, "verdict": "Scoring was stopped, so there are no scores. Go on with the run to score it."}
    overall = scores.overall.set_index("model")  # as a row of its own, an undefined number would no longer be a float
    test = {
        name: float(overall.at[scores.own, name])
        for name in ("mae", "mse", "rmse", "smape", "mase", "mse_scaled", "mae_scaled")
    }
    verdict = judge(scores, "mae", comparisons=folder.comparisons(), adds_nothing=adds_nothing)
    return {
        "model": scores.own,
        "window_set": scores.scored.window_set,
        "test_windows": int(overall.at[scores.own, "windows"]),
        "test": {name: None if math.isnan(value) else value for name, value in test.items()},
        "skill": None if verdict.change is None else -verdict.change,
        "rival": verdict.rival,
        "verdict": verdict.sentence(),
    }
