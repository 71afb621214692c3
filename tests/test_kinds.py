"""Every kind of forecaster goes the whole way: fit, scores beside the quick ones, forecasts, many series, new data."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import timellm
from tests.conftest import SMALL
from tests.kept_forecasts import kept_forecasts
from timellm.config import KINDS, RunConfig
from timellm.data.windows import WindowIndex
from timellm.errors import ConfigError, DataError
from timellm.forecasters.registry import REGISTRY
from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.fitted import FittedRun
from timellm.forecasting.many import forecast_many
from timellm.pipeline import evaluate
from timellm.training import step
from timellm.training.progress import Progress
from timellm.workspace import PROJECT

TINY = {
    "dlinear": {"moving_average": 5, "steps": 6, "batch_size": 8, "validations": 2, "validation_windows": 20},
    "patchtst": {
        "patch_length": 8, "stride": 4, "d_model": 8, "heads": 2, "d_ff": 16, "layers": 1, "steps": 4, "batch_size": 8,
        "validations": 2, "validation_windows": 20,
    },
    "ridge": {},
    "naive": {},
}  # fmt: skip


@pytest.fixture(scope="module", params=TINY)
def run(request, tmp_path_factory, hourly_csv):
    folder = tmp_path_factory.mktemp("kinds") / request.param
    config = RunConfig.create(hourly_csv, kind=request.param, context=48, horizon=12, **TINY[request.param])
    return timellm.fit(config, run_dir=folder)


def test_run_is_scored_beside_the_quick_ones(run):
    folder = RunFolder(run.run_dir)
    scores = folder.scores()
    quick = {"Ridge", "Last value"} - ({"Ridge"} if folder.config().kind == "ridge" else set())
    assert scores.own in scores.models and quick <= set(scores.models)
    assert scores.overall["windows"].nunique() == 1, "on identical windows"
    assert run.summary["verdict"] == folder.verdict("mae").sentence()
    assert run.summary["test"]["mae"] == scores.error(scores.own, "mae")


def test_scores_are_those_of_the_kept_forecasts(run):
    folder = RunFolder(run.run_dir)
    kept, scores = kept_forecasts(folder), folder.scores()
    assert set(kept.forecast) >= {scores.own}
    for model, forecast_WH in kept.forecast.items():
        error = np.abs(forecast_WH - kept.actual).mean()
        assert scores.error(model, "mae") == pytest.approx(error, rel=1e-5), model


def test_loaded_run_repeats_its_forecast_and_its_scores(run):
    folder = RunFolder(run.run_dir)
    pd.testing.assert_frame_equal(FittedRun.load(run.run_dir).forecast(), folder.future())
    before = folder.scores()
    after = evaluate(run.run_dir)
    assert after.error(after.own, "mse") == pytest.approx(before.error(before.own, "mse"), rel=1e-6)


def test_newer_data_is_forecast_without_a_fit(run, hourly_csv, tmp_path):
    pd.read_csv(hourly_csv).iloc[100:300].to_csv(tmp_path / "newer.csv", index=False)
    forecast = FittedRun.load(run.run_dir).forecast(tmp_path / "newer.csv")
    loaded = FittedRun.load(run.run_dir)
    index = WindowIndex(np.array([0, 1]), np.array([300, 300]), 0)
    expected = loaded.forecaster.predict(loaded.prepared, index)
    np.testing.assert_allclose(forecast["yhat"].to_numpy().reshape(2, -1), expected, rtol=1e-6)


def test_many_series_are_forecast_as_the_run_forecasts_its_own(run, hourly_csv, tmp_path):
    wide = pd.read_csv(hourly_csv, parse_dates=["date"])
    long = wide.melt("date", var_name="unique_id", value_name="y").rename(columns={"date": "ds"})
    long.sort_values(["unique_id", "ds"]).to_parquet(tmp_path / "series.parquet", index=False)
    forecast_many(run.run_dir, tmp_path / "series.parquet", tmp_path / "out")
    found = pd.concat(pd.read_parquet(part) for part in sorted(Path(tmp_path / "out").glob("*.parquet")))
    own = RunFolder(run.run_dir).future()
    merged = own.merge(found, on=["unique_id", "ds"], suffixes=("", "_many"))
    assert len(merged) == len(own)
    np.testing.assert_allclose(merged["yhat_many"], merged["yhat"], rtol=1e-4)


def test_forecast_of_many_series_belongs_to_one_fit(hourly_csv, tmp_path):
    series = pd.read_csv(hourly_csv, parse_dates=["date"]).melt("date", var_name="unique_id", value_name="y")
    series.rename(columns={"date": "ds"}).to_parquet(tmp_path / "series.parquet", index=False)
    for name, split in (("one", "70%/10%/20%"), ("other", "60%/20%/20%")):
        config = RunConfig.create(hourly_csv, kind="ridge", context=48, horizon=12, split=split)
        timellm.fit(config, run_dir=tmp_path / name)
    forecast_many(tmp_path / "one", tmp_path / "series.parquet", tmp_path / "out")
    with pytest.raises(DataError, match="holds the forecast of another run"):
        forecast_many(tmp_path / "other", tmp_path / "series.parquet", tmp_path / "out")


def test_stop_while_scoring_keeps_the_fit_and_goes_on_later(hourly_csv, tmp_path):
    config = RunConfig.create(hourly_csv, kind="dlinear", context=48, horizon=12, **TINY["dlinear"])
    scoring: list[Progress] = []

    def on_progress(now: Progress) -> None:
        if now.phase == "training" and now.done == now.total:
            scoring.append(now)

    stopped = timellm.fit(
        config, run_dir=tmp_path / "run", on_progress=on_progress, should_stop=lambda: len(scoring) > 1
    )
    folder = RunFolder(tmp_path / "run")
    assert stopped.stopped and stopped.summary["test"] == {} and "Scoring was stopped" in stopped.summary["verdict"]
    assert not (folder.path / "scores.json").exists()
    again = timellm.fit(config, run_dir=tmp_path / "run")
    assert not again.stopped and again.summary["steps"] == stopped.summary["steps"]
    assert folder.scores().own == "DLinear"


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ({"kind": "dlinear", **TINY["dlinear"]}, r"\(now 0.5\)$"),
        ({"kind": "patchtst", **TINY["patchtst"]}, r"\(now 0.5\)$"),
        (SMALL, r"\(now 0.5\), or use backbone_dtype=float32$"),
        (SMALL | {"backbone_dtype": "float32"}, r"\(now 0.5\)$"),
    ],
)
def test_training_that_diverges_names_only_settings_that_its_kind_has(
    hourly_csv, tiny_backbone, tmp_path, monkeypatch, settings, remedy
):
    lengths = {"context": 48, "horizon": 12, "learning_rate": 0.5}
    config = RunConfig.create(hourly_csv, **settings | lengths)
    if config.kind == "time_llm":
        config = config.updated(backbone=str(tiny_backbone))
    monkeypatch.setitem(step._LOSSES, "mse", lambda forecast, target: (forecast - target).mean() * float("nan"))
    with pytest.raises(ConfigError, match=r"diverged at step 1: the loss is nan. Lower 'learning_rate' " + remedy):
        timellm.fit(config, run_dir=tmp_path / "run")


def test_kind_that_does_not_train_has_no_training_settings(hourly_csv):
    config = RunConfig.create(hourly_csv, kind="ridge")
    assert config.training is None and "training" not in config.to_dict()
    with pytest.raises(ConfigError, match="'ridge' has no setting 'steps'; it is one of: time_llm"):
        config.updated(steps=3)
    with pytest.raises(ConfigError, match="'ridge', which has no language model"):
        _ = config.model


def test_kinds_without_a_language_model_do_not_load_the_libraries_of_one():
    program = (
        "import sys, timellm.pipeline; from timellm.forecasters.registry import kind_of; "
        "[kind_of(name).load() for name in ('naive', 'ridge', 'dlinear', 'autoformer')]; "
        "assert 'torch' in sys.modules and 'transformers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], cwd=PROJECT, check=True)


def test_registry_can_load_every_kind_it_lists():
    assert REGISTRY.keys() == KINDS.keys(), "each has settings"
    for kind in REGISTRY.values():
        found = kind.load()
        assert all(callable(getattr(found, name)) for name in ("fit", "predict", "save", "load", "rows")), kind.name
