"""Ranks, differences and coverage, against plain arithmetic."""

import json
import math

import pytest

from tests.evaluation.boards import DLINEAR, RIDGE, WEEKLY, board, comparison
from tests.evaluation.windows import LAST, OWN
from timellm.errors import ConfigError
from timellm.evaluation.leaderboard import Cost, leaderboard


def test_models_are_ranked_by_the_metric_chosen():
    scores = board({OWN: {"mae": 2.0, "mse": 1.0}, RIDGE: {"mae": 1.0, "mse": 4.0}, LAST: math.nan})
    rows = leaderboard(scores, "mae")
    assert [(row.rank, row.model, row.own) for row in rows] == [(1, RIDGE, False), (2, OWN, True), (None, LAST, False)]
    assert [row.model for row in leaderboard(scores, "mse")] == [OWN, RIDGE, LAST]
    assert [row.to_best for row in rows[:2]] == [0, 1] and [row.to_own for row in rows[:2]] == [-0.5, 0]
    assert math.isnan(rows[2].to_best) and math.isnan(rows[2].to_own)
    with pytest.raises(ConfigError, match="no metric 'r2'"):
        leaderboard(scores, "r2")


def test_equal_errors_put_the_own_model_first():
    assert [row.model for row in leaderboard(board({RIDGE: 1.0, OWN: 1.0}), "mae")] == [OWN, RIDGE]


def test_comparisons_costs_and_coverage_are_shown():
    scores = board({OWN: 2.0, RIDGE: 1.0}, points={RIDGE: 900})
    first, second = leaderboard(
        scores, "mae", comparisons={RIDGE: comparison(error=2.0, other_error=1.0)}, costs={RIDGE: Cost(1.5, 300)}
    )
    assert (first.model, first.coverage, first.windows, first.points) == (RIDGE, 0.9, 90, 900)
    assert (first.p_value, first.won, first.cost) == (0.0001, 0.75, Cost(1.5, 300))
    assert (second.coverage, second.p_value, second.cost) == (1, None, Cost())
    assert math.isnan(second.won)


def test_a_model_that_covers_only_easy_windows_does_not_come_first():
    scores = board({OWN: 2.0, WEEKLY: 1.0, DLINEAR: 1.9}, points={WEEKLY: 300})
    shared = comparison(WEEKLY, error=0.9, other_error=1.0)  # on the easy windows the own model is better
    rows = leaderboard(scores, "mae", comparisons={WEEKLY: shared})
    assert [row.model for row in rows] == [DLINEAR, OWN, WEEKLY]
    assert rows[2].error == 1.0 and rows[2].to_own == pytest.approx(1 / 9)


def test_shared_windows_decide_only_where_models_cover_different_ones():
    scores = board({OWN: 2.0, RIDGE: 1.0})
    rows = leaderboard(scores, "mae", comparisons={RIDGE: comparison(error=1.0, other_error=9.0)})
    assert rows[0].model == RIDGE and rows[0].to_own == -0.5


def test_models_without_error_or_beside_an_undefined_own_are_ranked():
    rows = leaderboard(board({OWN: 0.0, RIDGE: 1.0, LAST: 0.0}), "mae")
    assert [row.model for row in rows] == [OWN, LAST, RIDGE]
    assert [row.to_own for row in rows] == [0, 0, math.inf]
    rows = leaderboard(board({OWN: math.nan, RIDGE: 2.0, LAST: 1.0}), "mae")
    assert [(row.rank, row.model) for row in rows] == [(1, LAST), (2, RIDGE), (None, OWN)]
    assert rows[1].to_best == 1 and math.isnan(rows[1].to_own)


def test_a_board_of_one_model_is_a_board():
    (row,) = leaderboard(board({OWN: 2.0}), "mae")
    assert (row.rank, row.to_best, row.to_own) == (1, 0, 0)


def test_rows_are_safe_for_json():
    rows = leaderboard(board({OWN: 0.0, RIDGE: 1.0, LAST: math.nan}), "mae", costs={RIDGE: Cost(1.5)})
    trees = json.loads(json.dumps([row.to_dict() for row in rows], allow_nan=False))
    shown = [(tree["rank"], tree["error"], tree["to_own"]) for tree in trees]
    assert shown == [(1, 0, 0), (2, 1, None), (None, None, None)]
    assert (trees[1]["seconds"], trees[1]["memory_mib"], trees[1]["points"]) == (1.5, None, 1000)
