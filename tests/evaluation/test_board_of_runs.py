"""Runs on one leaderboard: the same numbers as each run's own scores, and what tells them apart."""

import importlib.util
import math
from dataclasses import replace

import numpy as np
import pytest

from tests.evaluation.windows import LAST, OWN, REFERENCE, WEEKLY, batch, scored_windows
from timellm.errors import CheckpointError, ConfigError
from timellm.evaluation.accumulator import ForecastBatch, ScoreAccumulator
from timellm.evaluation.board_of_runs import board_of_runs, compare_two, said_of_two
from timellm.evaluation.leaderboard import Cost
from timellm.evaluation.others import OtherRun
from timellm.evaluation.window_errors import WINDOW_ERRORS, writing_window_errors

needs_arch = pytest.mark.skipif(importlib.util.find_spec("arch") is None, reason="arch is optional")


def run(folder, name, error, *, seed=0, **facts):
    """A run whose own model makes errors of this deviation, beside two simple forecasts."""
    given = batch(windows=400)
    own = given.actual + error * np.random.default_rng(seed).normal(size=given.actual.shape)
    quick = {one: given.forecasts[one] for one in (LAST, WEEKLY)}
    whole = ForecastBatch(given.channel, given.origin, given.actual, {OWN: own, **quick}, given.naive2)
    facts = {"windows": 400, "cutoffs": 200, "span": 205} | facts
    accumulator = ScoreAccumulator(REFERENCE, scored_windows(**facts), OWN)
    path = folder / name / WINDOW_ERRORS
    with writing_window_errors(path, reference=REFERENCE, scored=accumulator.scored) as writer:
        writer.write(whole, accumulator.add(whole))
    return OtherRun(name, folder / name, accumulator.scores())


@pytest.fixture
def runs(tmp_path):
    return [run(tmp_path, "good", 0.5, seed=1), run(tmp_path, "twin", 0.5, seed=2), run(tmp_path, "poor", 3.0, seed=3)]


def test_runs_are_ranked_by_their_own_errors_beside_the_simple_forecasts(runs):
    board = board_of_runs(runs, "mae", costs={"good": Cost(3.0, 100.0)})
    by_model = {row.model: row for row in board.rows}
    assert set(by_model) == {"good", "twin", "poor", LAST, WEEKLY}
    for one in runs:
        assert by_model[one.name].error == one.scores.error(OWN, "mae")
    assert by_model[LAST].error == runs[0].scores.error(LAST, "mae")
    assert board.naive == WEEKLY and by_model[WEEKLY].skill == 0
    assert by_model["good"].skill == pytest.approx(1 - by_model["good"].error / by_model[WEEKLY].error)
    assert [row.error for row in board.rows] == sorted(row.error for row in board.rows)
    assert by_model["good"].cost.seconds == 3.0 and by_model["poor"].cost.seconds is None
    assert board.won["good"] > 0.9 > 0.2 > board.won["poor"]


@needs_arch
def test_set_of_the_best_leaves_out_what_can_be_told_apart(runs):
    board = board_of_runs(runs, "mae")
    assert board.may_be_best("poor") is False and board.may_be_best(WEEKLY) is None
    assert {board.may_be_best("good"), board.may_be_best("twin")} & {True}
    assert "poor" not in board.sentence()
    short = [replace(one, scores=one.scores) for one in runs[:1]]
    assert board_of_runs(short, "mae").confidence == {}


@pytest.mark.parametrize("metric", ["owa", "bias"])
def test_metrics_without_a_test_are_ranked_all_the_same(runs, metric):
    board = board_of_runs(runs, metric)
    assert board.rows[0].rank == 1 and not board.won and "there is no test" in board.notes[0]


def test_two_runs_are_tested_in_either_order(runs):
    good, _, poor = runs
    for pair in ((good, poor), (poor, good)):
        said = said_of_two(compare_two(*pair, "mae"))
        assert said.startswith("good has a lower MAE than poor") and "is unlikely to be luck (p < 0.001)" in said
    same = compare_two(good, replace(good, name="copy"), "mae")
    assert "have the same MAE" in said_of_two(same) and "the errors are the same in every window" in said_of_two(same)
    assert math.isclose(same.won, 0.5)
    with pytest.raises(ConfigError, match="windows are not compared by OWA"):
        compare_two(good, poor, "owa")


def test_runs_that_cannot_be_ranked_together_are_refused(runs, tmp_path):
    with pytest.raises(ConfigError, match="are of different windows"):
        board_of_runs([runs[0], run(tmp_path, "elsewhere", 1.0, window_set="other")], "mae")
    with pytest.raises(ConfigError, match="of an earlier version does not say which windows"):
        board_of_runs([run(tmp_path, "old", 1.0, window_set="")], "mae")
    (runs[1].folder / WINDOW_ERRORS).unlink()
    with pytest.raises(CheckpointError, match="twin: the run in twin has no errors by window"):
        board_of_runs(runs, "mae")
