"""Verdicts, read as whole sentences."""

import json
import math

import pytest

from tests.evaluation.boards import DLINEAR, RIDGE, WEEKLY, board, comparison
from tests.evaluation.windows import LAST, OWN
from timellm.errors import CheckpointError, ConfigError
from timellm.evaluation.judge import judge
from timellm.evaluation.leaderboard import Cost
from timellm.evaluation.verdict import Disagreement, Verdict

OVERLAP = {"cutoffs": 400, "independent": 40.0, "windows": 800}
FEW = {"cutoffs": 4, "independent": 1.03, "windows": 4, "p": None, "reason": "the windows cover about 1 horizons"}

CASES = {
    "another one is better": (
        board({OWN: 240.0, RIDGE: 146.0, WEEKLY: 152.0, LAST: 600.0}),
        "mae", [comparison(RIDGE, **OVERLAP), comparison(WEEKLY, p=0.001)],
        "Ridge is the best of 4 models: the mean absolute error of Time-LLM is 64.4% higher (240 against 146, 800 "
        "test windows, which overlap and cover about 40 horizons). The difference is very unlikely to be luck (p "
        "< 0.001). Use Ridge: it is one click away.",
    ),
    "a weekly naive is better": (
        board({OWN: 240.0, WEEKLY: 152.0}), "mae", [comparison(WEEKLY, p=0.02)],
        "Seasonal naive (week) is the better of 2 models: the mean absolute error of Time-LLM is 57.9% higher "
        "(240 against 152, 100 test windows). The difference is unlikely to be luck (p = 0.02). Use Seasonal "
        "naive (week): it is one click away.",
    ),
    "own is the best": (
        board({OWN: 143.0, RIDGE: 151.0, LAST: 600.0}), "mae", [comparison(RIDGE, p=0.004), comparison(LAST)],
        "Time-LLM is the best of 3 models: its mean absolute error is 5.3% lower than that of Ridge, the second "
        "(143 against 151, 100 test windows). The difference is very unlikely to be luck (p = 0.004).",
    ),
    "own has another name": (
        board({"Ridge": 3.0, LAST: 4.0}, own="Ridge"), "rmse", [comparison(LAST, own="Ridge", metric="rmse")],
        "Ridge is the better of 2 models: its root mean squared error is 25.0% lower than that of Last value (3 "
        "against 4, 100 test windows). The difference is very unlikely to be luck (p < 0.001).",
    ),
    "metrics disagree": (
        board({OWN: {"mae": 93.4, "mse": 110.0, "rmse": 110.0, "mspe": 120.0}, WEEKLY: 100.0}),
        "mae", [comparison(WEEKLY, p=0.03)],
        "Time-LLM is the better of 2 models: its mean absolute error is 6.6% lower than that of Seasonal naive "
        "(week) (93.4 against 100, 100 test windows). The difference is unlikely to be luck (p = 0.03). Metrics "
        "disagree: by MSE, RMSE and MSPE, Seasonal naive (week) is the best.",
    ),
    "two others are the best by other metrics": (
        board({OWN: 90.0, RIDGE: {"mae": 100.0, "mse": 80.0}, DLINEAR: {"mae": 100.0, "smape": 70.0, "mape": 70.0}}),
        "mae", [comparison(RIDGE)],
        "Time-LLM is the best of 3 models: its mean absolute error is 10.0% lower than that of Ridge, the second "
        "(90 against 100, 100 test windows). The difference is very unlikely to be luck (p < 0.001). Metrics "
        "disagree: by MSE, Ridge is the best; by MAPE and SMAPE, DLinear is the best.",
    ),
    "about as good as the best": (
        board({OWN: 4.02, RIDGE: 4.0, LAST: 9.0}), "mae", [comparison(RIDGE)],
        "Time-LLM is about as good as Ridge, the best of 3 models: the mean absolute error of Time-LLM is 0.5% "
        "higher (4.02 against 4, 100 test windows). Either will do.",
    ),
    "the best, and another about as good": (
        board({OWN: 4.0, RIDGE: 4.02, LAST: 9.0}), "mae", [comparison(RIDGE)],
        "Time-LLM is the best of 3 models, but Ridge is about as good: the mean absolute error of Time-LLM is "
        "0.5% lower (4 against 4.02, 100 test windows). Either will do.",
    ),
    "as good but for rounding": (
        board({OWN: 4.0, RIDGE: 4.000001, LAST: 9.0}), "mae", [comparison(RIDGE)],
        "Time-LLM is the best of 3 models, but Ridge is about as good: the mean absolute error of Time-LLM is "
        "the same within 0.1% (4 against 4, 100 test windows). Either will do.",
    ),
    "exactly as good": (
        board({OWN: 4.0, LAST: 4.0}), "mae",
        [comparison(LAST, p=None, reason="the errors are the same in every window")],
        "Time-LLM is exactly as good as Last value: the mean absolute error is the same (4 against 4, 100 test "
        "windows). Either will do.",
    ),
    "the difference may be luck": (
        board({OWN: 4.2, RIDGE: 4.0, LAST: 9.0}), "mae", [comparison(RIDGE, p=0.11)],
        "Ridge has the lowest mean absolute error of 3 models: that of Time-LLM is 5.0% higher (4.2 against 4, "
        "100 test windows). But the difference may be luck (p = 0.22). Either will do.",
    ),
    "luck, and metrics disagree": (
        board({OWN: {"mae": 4.2, "mse": 3.0}, RIDGE: 4.0}), "mae", [comparison(RIDGE, p=0.11)],
        "Ridge has the lower mean absolute error: that of Time-LLM is 5.0% higher (4.2 against 4, 100 test windows). "
        "But the difference may be luck (p = 0.11). Metrics disagree: by MSE, Time-LLM is the best. Either will do.",
    ),
    "own may be first by luck": (
        board({OWN: 4.0, RIDGE: 4.2}), "mae", [comparison(RIDGE, p=0.11)],
        "Time-LLM has the lower mean absolute error, 4.8% lower than that of Ridge (4 against 4.2, 100 test "
        "windows). But the difference may be luck (p = 0.11). Either will do.",
    ),
    "few windows that overlap": (
        board({OWN: 4.0, RIDGE: 5.0, LAST: 9.0}), "mae", [comparison(RIDGE, **FEW)],
        "Time-LLM has the lowest mean absolute error of 3 models, 20.0% lower than that of Ridge, the second (4 "
        "against 5, 4 test windows). The 4 windows overlap and cover little more than 1 horizon: too little to "
        "tell. Before you decide, bring more rows, or choose a shorter horizon or a larger test part.",
    ),
    "many windows that overlap": (
        board({OWN: 6.0, RIDGE: 5.0}), "mae", [comparison(RIDGE, **FEW | OVERLAP | {"independent": 5.2})],
        "Ridge has the lower mean absolute error: that of Time-LLM is 20.0% higher (6 against 5, 800 test "
        "windows). The 800 windows overlap and cover only about 5 horizons: too little to tell. Before you "
        "decide, bring more rows, or choose a shorter horizon or a larger test part.",
    ),
    "few windows that do not overlap": (
        board({OWN: 6.0, RIDGE: 5.0}), "mae", [comparison(RIDGE, **FEW | {"independent": 4.0, "windows": 12})],
        "Ridge has the lower mean absolute error: that of Time-LLM is 20.0% higher (6 against 5, 12 test "
        "windows). There are 12 windows, which begin at only 4 different times: too little to tell. Before you "
        "decide, bring more rows, or choose a shorter horizon or a larger test part.",
    ),
    "one window": (
        board({OWN: 6.0, RIDGE: 5.0}), "mae",
        [comparison(RIDGE, **FEW | {"independent": 1.0, "windows": 1, "cutoffs": 1})],
        "Ridge has the lower mean absolute error: that of Time-LLM is 20.0% higher (6 against 5, 1 test window). "
        "There is only 1 window: too little to tell. Before you decide, bring more rows, or choose a shorter "
        "horizon or a larger test part.",
    ),
    "windows of many channels at one time": (
        board({OWN: 6.0, RIDGE: 5.0}), "mae",
        [comparison(RIDGE, **FEW | {"independent": 1.0, "windows": 7, "cutoffs": 1})],
        "Ridge has the lower mean absolute error: that of Time-LLM is 20.0% higher (6 against 5, 7 test windows). "
        "There are 7 windows, but all begin at the same time: too little to tell. Before you decide, bring more "
        "rows, or choose a shorter horizon or a larger test part.",
    ),
    "different points": (
        board({OWN: 4.0, WEEKLY: 2.9}, points={WEEKLY: 900}), "mae",
        [comparison(WEEKLY, error=4.5, other_error=3.0, windows=90, points=900)],
        "Seasonal naive (week) is the better of 2 models: the mean absolute error of Time-LLM is 50.0% higher "
        "(4.5 against 3, 90 test windows). Time-LLM and Seasonal naive (week) cover different points; they are "
        "compared on the 90 windows (900 points) that both cover. The difference is very unlikely to be luck (p < "
        "0.001). Use Seasonal naive (week): it is one click away.",
    ),
    "unfit percentages": (
        board({OWN: 40.0, RIDGE: 30.0}, near_zero=0.023), "mape", [comparison(RIDGE, metric="mape")],
        "Ridge is the better of 2 models: the mean absolute percentage error of Time-LLM is 33.3% higher (40 "
        "against 30, 100 test windows). The difference is very unlikely to be luck (p < 0.001). MAPE is unfit for "
        "this data: 2.3% of the values are zero or near zero (below 1% of their channel's mean), and a small "
        "error there is a huge percentage. Look at SMAPE or MASE instead.",
    ),
    "unfit percentages do not disagree": (
        board({OWN: {"mae": 3.0, "mape": 90.0}, RIDGE: 4.0}, near_zero=0.023), "mae", [comparison(RIDGE)],
        "Time-LLM is the better of 2 models: its mean absolute error is 25.0% lower than that of Ridge (3 against "
        "4, 100 test windows). The difference is very unlikely to be luck (p < 0.001).",
    ),
    "the season of MASE": (
        board({OWN: 0.6, RIDGE: 0.8}), "mase", [comparison(RIDGE, metric="mase")],
        "Time-LLM is the better of 2 models: its mean absolute scaled error is 25.0% lower than that of Ridge "
        "(0.6 against 0.8, 100 test windows). MASE is measured against a seasonal naive with this season: week. "
        "The difference is very unlikely to be luck (p < 0.001).",
    ),
    "the best makes no error": (
        board({OWN: 1.0, LAST: 0.0}), "mae", [comparison(LAST)],
        "Last value is the better of 2 models and makes no error here; Time-LLM makes one (mean absolute error 1 "
        "against 0, 100 test windows). The difference is very unlikely to be luck (p < 0.001). Use Last value: it "
        "is one click away.",
    ),
    "another is many times better": (
        board({OWN: 6.0, LAST: 0.5}), "mae", [comparison(LAST)],
        "Last value is the better of 2 models: the mean absolute error of Time-LLM is 12 times as high (6 against 0.5, "
        "100 test windows). The difference is very unlikely to be luck (p < 0.001). Use Last value: it is one click "
        "away.",
    ),
    "another makes nearly no error": (
        board({OWN: 0.5, LAST: 3e-14}), "mae", [comparison(LAST)],
        "Last value is the better of 2 models: the mean absolute error of Time-LLM is more than 1,000 times as high "
        "(0.5 against 3e-14, 100 test windows). The difference is very unlikely to be luck (p < 0.001). Use Last "
        "value: it is one click away.",
    ),
    "own makes no error": (
        board({OWN: 0.0, LAST: 2.0}), "mae", [comparison(LAST)],
        "Time-LLM is the better of 2 models: its mean absolute error is 100.0% lower than that of Last value (0 "
        "against 2, 100 test windows). The difference is very unlikely to be luck (p < 0.001).",
    ),
    "only one model": (
        board({OWN: 4.0}), "mae", [],
        "There is no verdict: Time-LLM is the only model with a mean absolute error (4, 100 test windows), and "
        "without another one nobody can tell whether that is good. Compare with other models: it is one click "
        "away.",
    ),
    "no other is defined": (
        board({OWN: 4.0, LAST: math.nan}), "mase", [],
        "There is no verdict: Time-LLM is the only model with a mean absolute scaled error (4, 100 test windows), "
        "and without another one nobody can tell whether that is good. MASE is measured against a seasonal naive "
        "with this season: week. Compare with other models: it is one click away.",
    ),
    "own is undefined": (
        board({OWN: math.nan, LAST: 3.0}), "mae", [],
        "There is no verdict: Time-LLM has no mean absolute error here. The best of the other models is Last "
        "value. Look at another metric, or at the notes on why it is undefined.",
    ),
    "nothing is defined": (
        board({OWN: math.nan, LAST: math.nan}), "mspe", [],
        "There is no verdict: Time-LLM has no mean squared percentage error here. Look at SMAPE or MASE instead.",
    ),
    "no errors by window": (
        board({OWN: 5.0, LAST: 4.0}, span=0, cutoffs=0, season=0, season_name=""), "mase", [],
        "Last value is the better of 2 models: the mean absolute scaled error of Time-LLM is 25.0% higher (5 "
        "against 4, 100 test windows). No test was made: the errors by window were not kept; evaluate the run "
        "again. Use Last value: it is one click away.",
    ),
    "an error is too large": (
        board({OWN: 5.0, LAST: 4.0}), "mse",
        [comparison(LAST, metric="mse", p=None, reason="an error is too large for a number")],
        "Last value is the better of 2 models: the mean squared error of Time-LLM is 25.0% higher (5 against 4, "
        "100 test windows). No test was made: an error is too large for a number. Use Last value: it is one click "
        "away.",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("scores", "metric", "comparisons", "words"), CASES.values(), ids=CASES)
def test_verdict_in_words(scores, metric, comparisons, words):
    verdict = judge(scores, metric, comparisons=comparisons)
    assert verdict.sentence() == words


@pytest.mark.parametrize(("scores", "metric", "comparisons", "_"), CASES.values(), ids=CASES)
def test_verdict_survives_json_and_says_the_same(scores, metric, comparisons, _):
    verdict = judge(scores, metric, comparisons=comparisons)
    tree = json.loads(json.dumps(verdict.to_dict(), allow_nan=False))
    again = Verdict.from_dict(tree)
    assert again == verdict
    assert tree["sentence"] == again.sentence()


def test_among_equals_the_faster_one_is_proposed():
    scores, costs = board({OWN: 4.02, RIDGE: 4.0}), {OWN: Cost(150.0), RIDGE: Cost(1.5)}
    verdict = judge(scores, "mae", comparisons=[comparison(RIDGE)], costs=costs)
    assert (verdict.action, verdict.faster) == ("use", pytest.approx(100))
    assert verdict.sentence().endswith("Ridge is 100 times faster. Use Ridge: it is one click away.")
    verdict = judge(scores, "mae", comparisons=[comparison(RIDGE)], costs={OWN: Cost(4.0), RIDGE: Cost(1.5)})
    assert verdict.action == "either"


def test_best_of_many_is_tested_as_such():
    scores = board({OWN: 4.2, RIDGE: 4.0, **{f"Naive {number}": 9.0 for number in range(9)}})
    verdict = judge(scores, "mae", comparisons=[comparison(RIDGE, p=0.012)])
    assert (verdict.outcome, verdict.p_value) == ("luck", pytest.approx(0.12))
    verdict = judge(scores, "mae", comparisons=[comparison(RIDGE, p=0.0012)])
    assert (verdict.outcome, verdict.p_value) == ("worse", pytest.approx(0.012))


def test_verdict_is_data_first():
    scores = board({OWN: {"mae": 240.0, "mse": 1.0}, RIDGE: 146.0})
    verdict = judge(scores, "mae", comparisons=[comparison(RIDGE), comparison(RIDGE, metric="mse")])
    assert (verdict.outcome, verdict.best, verdict.rival, verdict.own, verdict.models) == (
        "worse",
        RIDGE,
        RIDGE,
        OWN,
        2,
    )
    assert (verdict.change, verdict.action) == (pytest.approx(240 / 146 - 1), "use")
    assert verdict.disagreeing == (Disagreement(OWN, ("mse",)),)


def test_verdict_of_another_version_or_without_a_part_is_refused():
    tree = judge(board({OWN: 4.0}), "mae").to_dict()
    with pytest.raises(CheckpointError, match="is of version 2, and this program reads 1; evaluate again"):
        Verdict.from_dict(tree | {"version": 2})
    with pytest.raises(CheckpointError, match="the verdict lacks 'best'; evaluate the run again"):
        Verdict.from_dict({name: value for name, value in tree.items() if name != "best"})


def test_unknown_metric_is_refused():
    with pytest.raises(ConfigError, match="no metric 'r2'; choose one of mae"):
        judge(board({OWN: 4.0}), "r2")
