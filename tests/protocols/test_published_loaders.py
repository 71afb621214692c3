"""What published loaders count, from the errors that a run has kept: the last batch that is not full is dropped."""

from __future__ import annotations

import numpy as np
import pytest

import timellm
from timellm.config import RunConfig
from timellm.forecasting.artifacts import RunFolder
from timellm.protocols.errors_of_run import errors_of_run, kept_by_cutoffs, kept_by_windows


@pytest.fixture(scope="module")
def run(tmp_path_factory, hourly_csv):
    path = tmp_path_factory.mktemp("counted") / "run"
    timellm.fit(RunConfig.create(hourly_csv, kind="ridge", context=48, horizon=12), run_dir=path)
    return path


@pytest.mark.parametrize("channel", [None, "price"])
def test_counts_are_means_over_forecasts_of_the_windows_that_are_kept(run, channel):
    folder = RunFolder(run)
    prepared = folder.prepared()
    index, forecast_WH = folder.test_windows(prepared)
    rows_WH = index.origin[:, None] + np.arange(12)
    scale = prepared.scaler.scale[index.channel, None]
    squared_W = (((forecast_WH - prepared.values[rows_WH, index.channel[:, None]]) / scale) ** 2).mean(axis=1)
    mine = np.ones(len(index), bool) if channel is None else index.channel == 1
    cutoffs = np.unique(index.origin)
    in_batches = mine & np.isin(index.origin, cutoffs[: len(cutoffs) // 32 * 32])
    found = errors_of_run(run, channel=channel)
    assert found["mse"] == pytest.approx(squared_W[mine].mean(), rel=1e-5)
    assert found["windows"] == mine.sum() > found["windows_batches"] == in_batches.sum() > 0
    assert found["mse_batches"] == pytest.approx(squared_W[in_batches].mean(), rel=1e-5)
    listed = squared_W[mine][np.lexsort((index.origin[mine], index.channel[mine]))]
    assert found["mse_time_llm"] == pytest.approx(listed[: len(listed) // 24 * 24].mean(), rel=1e-5)
    assert found["windows_time_llm"] == len(listed) // 24 * 24


def test_a_test_part_of_whole_batches_is_counted_whole(run):
    from timellm.evaluation.window_errors import WINDOW_ERRORS, read_window_errors

    errors = read_window_errors(run / WINDOW_ERRORS, "mse_scaled").of("Ridge")
    cutoffs = len(np.unique(errors.place % errors.span))
    assert len(kept_by_cutoffs(errors, cutoffs)) == len(errors.place)
    assert len(kept_by_cutoffs(errors, cutoffs + 1)) == 0
    assert len(kept_by_windows(errors, 1)) == len(errors.place)
