"""Against the scores of version 1: the same numbers where all models cover all points, and its files still open."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.evaluation.windows import REFERENCE, batch, score
from timellm.errors import CheckpointError
from timellm.evaluation.comparisons import COMPARISONS, read_comparisons
from timellm.evaluation.judge import judge
from timellm.evaluation.metrics import METRICS, seasonal_naive_error
from timellm.evaluation.scores import Scores
from timellm.forecasting import baselines
from timellm.forecasting import scores as version_1
from timellm.training.sealed import read_sealed_json

RUNS = Path(__file__).parents[1] / "earlier" / "version-1"
VERSION_1_MODELS = ("Time-LLM", "Last value", "Seasonal naive")


def earlier(given) -> version_1.Scores:
    windows = version_1.WindowForecasts(
        REFERENCE.channels, given.channel, given.origin, given.actual, dict(given.forecasts)
    )
    return version_1.score(windows, scaler_scale=REFERENCE.scale, naive_error=REFERENCE.naive_error)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("missing", [False, True])
def test_numbers_are_those_of_version_1_where_models_share_their_points(seed, missing):
    given = batch(windows=200, horizon=12, seed=seed)
    if missing:
        given.actual[np.random.default_rng(seed).random(given.actual.shape) < 0.2] = np.nan
    before, now = earlier(given), score(given)
    for name in ("overall", "by_channel", "by_step"):
        frame = getattr(now, name).drop(columns="points")
        pd.testing.assert_frame_equal(frame[list(getattr(before, name))], getattr(before, name), rtol=1e-12, atol=0)
    assert now.notes == before.notes


def test_seasonal_naive_error_is_that_of_version_1():
    values = np.random.default_rng(1).normal(size=(50, 3))
    values[::7, 1] = np.nan
    for season in (1, 7, 60):
        np.testing.assert_array_equal(
            seasonal_naive_error(values, season), baselines.in_sample_naive_error(values, season)
        )


def test_files_of_version_1_open():
    given = batch()
    given = replace(given, forecasts=dict(zip(VERSION_1_MODELS, given.forecasts.values(), strict=True)))
    before = earlier(given)
    opened = Scores.from_dict(json.loads(json.dumps(before.to_dict())))
    for name in ("overall", "by_channel", "by_step"):
        frame = getattr(opened, name).drop(columns="points")
        pd.testing.assert_frame_equal(frame[list(getattr(before, name))], getattr(before, name))
    assert opened.models == VERSION_1_MODELS
    assert (opened.own, opened.notes, opened.scored.window_set) == ("Time-LLM", before.notes, "")
    assert (opened.scored.windows, opened.scored.horizon, opened.scored.season) == (40, 6, 0)
    assert opened.overall["points"].tolist() == [240] * 3
    assert opened.by_channel["points"].isna().all()
    again = Scores.from_dict(json.loads(json.dumps(opened.to_dict(), allow_nan=False)))
    pd.testing.assert_frame_equal(again.overall, opened.overall)
    assert set(METRICS) < set(again.by_step)


def test_files_of_version_1_that_lack_a_part_are_refused():
    tree = earlier(batch()).to_dict()
    del tree["by_channel"]
    with pytest.raises(CheckpointError, match="the scores lack 'by_channel'"):
        Scores.from_dict(tree)


@pytest.mark.parametrize("name", ["finished", "stopped"])
def test_real_files_of_version_1_open(name):
    tree = read_sealed_json(RUNS / name / "scores.json")
    opened = Scores.from_dict(tree)
    assert opened.models == VERSION_1_MODELS
    assert opened.overall["mae"].tolist() == [row["mae"] for row in tree["overall"]]
    assert Scores.from_dict(opened.to_dict()).notes == tuple(tree["notes"])
    verdict = judge(opened, "mae", comparisons=read_comparisons(RUNS / name / COMPARISONS))
    assert "No test was made: the errors by window were not kept; evaluate the run again." in verdict.sentence()
