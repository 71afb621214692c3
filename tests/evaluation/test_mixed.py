"""A verdict is mixed where another metric or a share of the channels says the opposite."""

import pandas as pd
import pytest

from tests.evaluation.boards import RIDGE, board, comparison
from tests.evaluation.windows import OWN
from timellm.evaluation.judge import judge
from timellm.evaluation.metrics import METRICS
from timellm.evaluation.mixed import mixed


def scores_of(by_channel, **overall):
    """Scores with the MAE of the run's model and of the ridge by channel."""
    from dataclasses import replace

    found = board({OWN: {"mae": 1.0} | overall, RIDGE: {"mae": 1.1}})
    rows = [
        {"model": model, "channel": channel, **dict.fromkeys(METRICS, value)}
        for channel, pair in by_channel.items()
        for model, value in zip((OWN, RIDGE), pair, strict=True)
    ]
    return replace(found, by_channel=pd.DataFrame(rows))


def found(scores):
    return mixed(scores, judge(scores, "mae", comparisons=[comparison()]))


def test_channels_on_which_it_is_worse_are_named():
    one = found(scores_of({"a": (1.0, 2.0), "b": (3.0, 1.0), "c": (1.0, 1.0001), "d": (1.0, 3.0)}))
    assert one and (one.better, one.worse, one.channels) == (("d", "a"), ("b",), 4)
    assert one.sentence() == (
        "By channel the result is mixed: Time-LLM has a lower MAE than Ridge on 2 of 4 (d and a) and a higher one on"
        " 1 (b)."
    )


def test_a_run_that_is_better_everywhere_is_not_mixed():
    one = found(scores_of({"a": (1.0, 2.0), "b": (1.0, 1.0)}))
    assert not one and one.sentence() == ""


def test_one_channel_of_many_is_no_second_half():
    channels = {f"c{n}": (1.0, 2.0) for n in range(40)} | {"odd": (2.0, 1.0)}
    assert not found(scores_of(channels))
    assert found(scores_of(channels)).worse == ("odd",)


def test_another_metric_that_reverses_the_verdict_makes_it_mixed():
    one = found(scores_of({"a": (1.0, 2.0)}, mse=5.0))
    assert one and one.by_metric and one.sentence() == ""


@pytest.mark.parametrize("models", [{OWN: 1.0}, {OWN: float("nan"), RIDGE: 1.0}])
def test_nothing_is_mixed_without_somebody_to_compare_with(models):
    scores = board(models)
    assert mixed(scores, judge(scores, "mae")) is None


def test_channels_without_an_error_are_left_out():
    one = found(scores_of({"a": (1.0, 0.0), "b": (0.0, 0.0), "c": (1.0, 2.0)}))
    assert one.channels == 2 and one.worse == ("a",), "0 against 0 is undefined; anything against 0 is worse"
