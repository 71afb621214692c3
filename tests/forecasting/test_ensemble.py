"""An ensemble combines stored forecasts point by point, and stands when a member is deleted."""

import shutil

import numpy as np
import pandas as pd
import pytest

import timellm
from tests.conftest import SMALL
from timellm.errors import CheckpointError, ConfigError
from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.ensemble import ensemble_config
from timellm.forecasting.fitted import FittedRun
from timellm.pipeline import evaluate

KINDS = {"ridge": {}, "naive": {}, "dlinear": {"moving_average": 5, "steps": 6, "batch_size": 8, "validations": 2}}


@pytest.fixture(scope="module")
def members(tmp_path_factory, hourly_csv):
    """Folders of finished runs by kind, the ridge with a longer context."""
    folder = tmp_path_factory.mktemp("members")
    for kind, settings in KINDS.items():
        lengths = {"context": SMALL["context"] + 8 * (kind == "ridge"), "horizon": SMALL["horizon"]}
        timellm.fit(timellm.RunConfig.create(hourly_csv, kind=kind, **lengths, **settings), run_dir=folder / kind)
    return {kind: folder / kind for kind in KINDS}


@pytest.fixture(params=["mean", "median"])
def made(request, members, tmp_path):
    """The ensemble of all three, and how it combines."""
    config = ensemble_config(list(members.values()), how=request.param)
    result = timellm.fit(config, run_dir=tmp_path / "ensemble")
    return request.param, result


def stored(folder):
    run = RunFolder(folder)
    index, forecast = run.test_windows(run.prepared())
    frame = pd.DataFrame(forecast).assign(channel=index.channel, origin=index.origin)
    return frame.set_index(["channel", "origin"]).sort_index()


def test_forecasts_are_the_members_combined_point_by_point(members, made):
    how, result = made
    combine = getattr(np, how)
    expected = combine(np.stack([stored(folder).to_numpy() for folder in members.values()]), axis=0)
    np.testing.assert_allclose(stored(result.run_dir).to_numpy(), expected, rtol=1e-6, atol=1e-5)
    futures = [RunFolder(folder).future().set_index(["unique_id", "ds"])["yhat"] for folder in members.values()]
    mine = RunFolder(result.run_dir).future().set_index(["unique_id", "ds"])["yhat"]
    np.testing.assert_allclose(mine, combine(np.stack([one.loc[mine.index] for one in futures]), axis=0), rtol=1e-9)


def test_it_is_a_row_with_scores_and_bands_on_the_members_windows(members, made):
    how, result = made
    scores = RunFolder(result.run_dir).scores()
    assert scores.scored.window_set == RunFolder(members["naive"]).scores().scored.window_set
    assert scores.own.startswith(f"{how.capitalize()} of Ridge, ") and "Ridge" in scores.models
    assert [one["run"] for one in result.summary["members"]] == list(members)
    assert RunFolder(result.run_dir).intervals() is not None


def test_it_stands_when_a_member_is_deleted(members, tmp_path, hourly_csv):
    copies = [shutil.copytree(members[kind], tmp_path / kind) for kind in ("ridge", "naive")]
    result = timellm.fit(ensemble_config(copies), run_dir=tmp_path / "ensemble")
    before, future = stored(result.run_dir), RunFolder(result.run_dir).future()
    newer = pd.read_csv(hourly_csv).iloc[:-5]
    newer.to_csv(tmp_path / "newer.csv", index=False)
    live = FittedRun.load(result.run_dir).forecast(tmp_path / "newer.csv")
    expected = np.mean([FittedRun.load(one).forecast(tmp_path / "newer.csv")["yhat"] for one in copies], axis=0)
    np.testing.assert_allclose(live["yhat"], expected, rtol=1e-9)
    shutil.rmtree(copies[0])
    alone = FittedRun.load(result.run_dir)
    pd.testing.assert_frame_equal(stored(result.run_dir), before)
    pd.testing.assert_frame_equal(alone.forecast(), future)
    with pytest.raises(CheckpointError, match=r"member 'Ridge' in .* is gone; its test forecasts .* are kept"):
        alone.forecast(tmp_path / "newer.csv")


def test_it_is_scored_again_with_the_same_result(made):
    _, result = made
    before = RunFolder(result.run_dir).scores()
    again = evaluate(result.run_dir)
    pd.testing.assert_frame_equal(again.overall, before.overall, rtol=1e-5)


def test_runs_that_do_not_fit_each_other_are_refused(members, tmp_path, hourly_csv):
    ridge = members["ridge"]
    with pytest.raises(ConfigError, match="an ensemble has 2 to 8 members; 1 given"):
        ensemble_config([ridge])
    with pytest.raises(ConfigError, match="every member once"):
        ensemble_config([ridge, ridge / "."])
    with pytest.raises(CheckpointError, match=r"no config\.json|is no run folder|has no|not"):
        ensemble_config([ridge, tmp_path])
    other = timellm.RunConfig.create(hourly_csv, kind="naive", context=SMALL["context"], horizon=6)
    timellm.fit(other, run_dir=tmp_path / "other")
    with pytest.raises(ConfigError, match="were not scored on the same windows"):
        ensemble_config([ridge, tmp_path / "other"])


def test_a_table_that_was_changed_is_refused(members, tmp_path, hourly_csv):
    frame = pd.read_csv(hourly_csv)
    frame.loc[3, "load"] += 1
    frame.to_csv(tmp_path / "changed.csv", index=False)
    config = ensemble_config([members["ridge"], members["naive"]]).updated(path=str(tmp_path / "changed.csv"))
    with pytest.raises(ConfigError, match="was trained on another table"):
        timellm.fit(config, run_dir=tmp_path / "ensemble")
