"""The few-shot protocol: the first rows as published, nothing learned from the others, and both scales counted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import timellm
from timellm.config import RunConfig
from timellm.errors import ConfigError
from timellm.forecasting.artifacts import RunFolder
from timellm.protocols.errors_of_run import errors_of_run
from timellm.protocols.few_shot import FEW_SHOT, rows_learned
from timellm.protocols.sets import find_set

FEW = {"kind": "ridge", "context": 48, "horizon": 12, "split": "280/60/60"}


def test_rows_are_counted_as_published():
    ett, illness = find_set("ETTh1"), find_set("ILI")
    assert rows_learned(ett, 10, context=512) == (8640 - 512) * 10 // 100 + 512 == 1324
    assert rows_learned(ett, 5, context=512) == 918
    assert rows_learned(illness, 10, context=104) == (676 - 104) * 10 // 100 + 104
    assert rows_learned(ett, 100, context=512) == 8640


def test_cells_learn_from_the_first_rows_and_a_share_without_a_window_is_said(folder):
    given = {"sets": ["ETTh1"], "models": ["ridge"], "percents": ["20", "5"]}
    plan = FEW_SHOT.plan(FEW_SHOT.asked(folder, given))
    tasks = [(cell.key["percent"], cell.key["horizon"], cell.config.task.training_rows) for cell in plan.cells]
    assert tasks == [(20, 12, 86), (20, 24, 86)]
    assert {cell.config.task.training_side for cell in plan.cells} == {"first"}
    (_, note, _) = ("", *plan.notes)
    assert note == "ETTh1 12, 5 % is not run: 57 training rows hold no window of 48 and 12 rows."
    with pytest.raises(ConfigError, match="steps"):
        FEW_SHOT.plan(FEW_SHOT.asked(folder, given | {"models": ["dlinear"]}, ["steps=many"]))
    with pytest.raises(ConfigError, match="--percents: give numbers from 1 to 100, not 0"):
        FEW_SHOT.plan(FEW_SHOT.asked(folder, given | {"percents": ["0"]}))


def changed(csv, path, rows: slice):
    """The table with other values in some rows."""
    frame = pd.read_csv(csv)
    frame.loc[rows, ["load", "price"]] = np.random.default_rng(1).normal(1000, 300, (rows.stop - rows.start + 1, 2))
    frame.to_csv(path, index=False)
    return path


def test_nothing_is_learned_from_rows_that_may_not_be_seen(hourly_csv, tmp_path):
    """Rows 100 to 231 belong to no part that is used, and to no context of a validation window (280 - 48)."""
    runs = []
    for name, path in (("as it is", hourly_csv), ("other", changed(hourly_csv, tmp_path / "c.csv", slice(100, 231)))):
        config = RunConfig.create(path, **FEW, training_rows=100, training_side="first")
        timellm.fit(config, run_dir=tmp_path / name)
        runs.append(RunFolder(tmp_path / name))
    forecasts = [run.test_windows(run.prepared())[1] for run in runs]
    np.testing.assert_array_equal(*forecasts)
    np.testing.assert_array_equal(*(run.prepared().scaler.scale for run in runs))


def test_published_scale_is_that_of_the_whole_training_part(hourly_csv, tmp_path):
    config = RunConfig.create(hourly_csv, **FEW, training_rows=100, training_side="first")
    timellm.fit(config, run_dir=tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    prepared = folder.prepared()
    index, forecast_WH = folder.test_windows(prepared)
    error_WH = forecast_WH - prepared.values[index.origin[:, None] + np.arange(12), index.channel[:, None]]
    cutoffs = np.unique(index.origin)
    kept_W = np.isin(index.origin, cutoffs[: len(cutoffs) // 32 * 32])
    scale = prepared.values[:280].std(axis=0)[index.channel[kept_W], None]
    found = errors_of_run(tmp_path / "run", scale_rows=280)
    assert found["mse_batches"] == pytest.approx(((error_WH[kept_W] / scale) ** 2).mean(), rel=1e-5)
    assert found["mae_batches"] == pytest.approx((abs(error_WH[kept_W]) / scale).mean(), rel=1e-5)
    seen = prepared.values[:100].std(axis=0)[index.channel, None]
    assert found["mse"] == pytest.approx(((error_WH / seen) ** 2).mean(), rel=1e-5)
