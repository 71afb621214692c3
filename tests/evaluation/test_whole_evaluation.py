"""From a table to the verdict, as a run does it: batch by batch, with errors by window, comparisons and sentence."""

import subprocess
import sys

import numpy as np
import pytest

from timellm.config import RunConfig
from timellm.data.prepared import PreparedData
from timellm.data.samples import find_sample
from timellm.data.table import load_table
from timellm.evaluation.accumulator import ForecastBatch, ScoreAccumulator
from timellm.evaluation.comparisons import COMPARISONS, compare_with_own, read_comparisons, write_comparisons
from timellm.evaluation.judge import judge
from timellm.evaluation.metrics import METRICS
from timellm.evaluation.scores import Scores
from timellm.evaluation.window_errors import WINDOW_ERRORS, writing_window_errors
from timellm.evaluation.windows import Reference, ScoredWindows
from timellm.forecasters.simple_rules import Windows, seasonal_naive
from timellm.installation import PROJECT

SEASONS = {"Last value": 1, "Seasonal naive (day)": 24, "Seasonal naive (week)": 168}
OWN = "Seasonal naive (day)"


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """Three naives on the pedestrians of Melbourne, with the season of a day as the run's own model."""
    config = RunConfig.create(find_sample("melbourne-pedestrians").path)
    prepared = PreparedData.of(load_table(config.data), config)
    index, horizon = prepared.windows("test"), prepared.horizon
    values = prepared.table.values.to_numpy(np.float64)
    scored = ScoredWindows.of(prepared, index, season=168, season_name="week")
    reference, folder = Reference.of(prepared, season=168), tmp_path_factory.mktemp("run")
    accumulator = ScoreAccumulator(reference, scored, OWN)
    with writing_window_errors(folder / WINDOW_ERRORS, reference=reference, scored=scored) as writer:
        for rows in np.array_split(np.arange(len(index)), 7):
            channel, origin = index.channel[rows], index.origin[rows]
            forecasts = {
                name: seasonal_naive(Windows(prepared.past, channel, origin, horizon), season=season)
                for name, season in SEASONS.items()
            }
            actual = values[origin[:, None] + np.arange(horizon), channel[:, None]]
            batch = ForecastBatch(channel, origin, actual, forecasts)
            writer.write(batch, accumulator.add(batch))
    write_comparisons(folder / COMPARISONS, compare_with_own([folder / WINDOW_ERRORS], OWN))
    return accumulator.scores(), folder


def test_verdict_on_the_bundled_sample_names_the_weekly_naive(evaluated):
    scores, folder = evaluated
    opened = Scores.from_dict(scores.to_dict())
    verdict = judge(opened, "mae", comparisons=read_comparisons(folder / COMPARISONS))
    assert (verdict.best, verdict.outcome, verdict.action) == ("Seasonal naive (week)", "worse", "use")
    assert verdict.rival_error == pytest.approx(152, abs=1)
    assert verdict.sentence() == (
        "Seasonal naive (week) is the best of 3 models: the mean absolute error of Seasonal naive (day) is 111.5% "
        "higher (321.5 against 152, 4,983 test windows, which overlap and cover about 18 horizons). The difference is "
        "very unlikely to be luck (p < 0.001). Use Seasonal naive (week): it is one click away."
    )


def test_what_is_kept_gives_the_same_verdict_by_every_metric(evaluated):
    scores, folder = evaluated
    opened = Scores.from_dict(scores.to_dict())
    for metric in METRICS:
        now = judge(scores, metric, comparisons=compare_with_own([folder / WINDOW_ERRORS], OWN))
        assert judge(opened, metric, comparisons=read_comparisons(folder / COMPARISONS)) == now


def test_pages_read_verdicts_without_torch_or_statsmodels():
    heavy = ("torch", "scipy", "statsmodels", "transformers")
    lines = f"import sys, timellm.evaluation.judge; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, cwd=PROJECT, check=True)
    assert found.stdout.strip() == "[]"
