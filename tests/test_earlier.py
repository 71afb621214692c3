"""Files that an earlier version wrote: they open, forecast and go on. `earlier/version-1` is from before tasks and
forecasters were told apart, `earlier/version-2` from before Time-LLM had a linear path."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.kept_forecasts import kept_forecasts
from timellm.config import RunConfig
from timellm.errors import CheckpointError, ConfigError
from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.fitted import FittedRun
from timellm.jobs.archive.importing import import_run
from timellm.jobs.store.run_store import Store
from timellm.pipeline import evaluate, fit

EARLIER = Path(__file__).parent / "earlier"
VERSIONS = ("version-1", "version-2")


@pytest.fixture
def earlier(tmp_path) -> Path:
    """A copy, because opening must not be what changes it."""
    return Path(shutil.copytree(EARLIER / "version-1", tmp_path / "earlier"))


@pytest.fixture(params=VERSIONS)
def any_earlier(request, tmp_path) -> Path:
    """A copy of the runs of each earlier version, with their table."""
    copy = Path(shutil.copytree(EARLIER / request.param, tmp_path / "earlier"))
    shutil.copy(EARLIER / "version-1" / "meter.csv", copy / "meter.csv")
    return copy


def test_configuration_has_its_settings_in_their_new_sections(earlier):
    config = RunFolder(earlier / "finished").config()
    assert (config.kind, config.task.context, config.task.horizon, config.task.split) == (
        "time_llm",
        32,
        8,
        "70%/10%/20%",
    )
    assert (config.model.prototypes, config.trained.steps) == (4, 6)
    assert RunConfig.from_json(config.to_json()) == config


def test_a_network_of_earlier_stays_as_it_was(any_earlier):
    model = RunFolder(any_earlier / "finished").config().model
    assert (model.prototype_start, model.attention_scores, model.linear_path) == ("map", "dot", "none")


def test_finished_run_forecasts_and_scores_as_it_did(any_earlier):
    folder = RunFolder(any_earlier / "finished")
    kept, forecast = folder.future(), FittedRun.load(folder.path, device="cpu").forecast()
    np.testing.assert_allclose(forecast["yhat"], kept["yhat"], rtol=1e-3)
    before, after = folder.scores(), evaluate(folder.path)
    assert after.error("Time-LLM", "mae") == pytest.approx(before.error("Time-LLM", "mae"), rel=1e-3)
    assert after.error("Last value", "mae") == pytest.approx(before.error("Last value", "mae"))
    assert set(kept_forecasts(folder).forecast) == set(after.models), "today's simple forecasts were added"


def test_stopped_training_goes_on_from_where_it_stood(any_earlier):
    path = any_earlier / "stopped"
    config = RunFolder(path).config().updated(path=str(any_earlier / "meter.csv"))
    steps = []
    result = fit(
        config, run_dir=path, on_progress=lambda now: steps.append(now.done) if now.phase == "training" else None
    )
    assert (result.summary["steps"], steps[0], result.stopped) == (6, 3, False)


def test_training_state_of_other_settings_is_refused(earlier):
    path = earlier / "stopped"
    config = RunFolder(path).config().updated(path=str(earlier / "meter.csv"), learning_rate=0.1)
    with pytest.raises(CheckpointError, match="other settings"):
        fit(config, run_dir=path)


def test_archive_comes_in_and_shows_its_results(earlier):
    with (earlier / "archive.zip").open("rb") as file:
        run = import_run(Store.open(), file).run
    assert (run.state, run.config.kind) == ("finished", "time_llm")
    assert len(RunFolder(run.run_dir).future()) == 16


def test_store_lists_its_runs(earlier, monkeypatch, tmp_path):
    home = tmp_path / "home"
    (home / "checkpoints").mkdir(parents=True)
    shutil.copy(earlier / "runs.sqlite", home / "checkpoints" / "runs.sqlite")
    monkeypatch.setenv("TIMELLM_HOME", str(home))
    (run,) = Store.open().runs()
    assert (run.name, run.state, run.config.task.horizon) == ("Old run", "finished", 8)


def test_later_version_is_refused(earlier):
    tree = json.loads((earlier / "finished" / "config.json").read_text()) | {"version": 99}
    with pytest.raises(ConfigError, match="version 99, and this program reads versions up to 3"):
        RunConfig.from_dict(tree)


def test_sections_of_two_versions_are_not_mixed():
    with pytest.raises(ConfigError, match="move them to task and forecaster"):
        RunConfig.from_dict({"data": {"path": "a.csv"}, "model": {"layers": 2}, "task": {"horizon": 4}})
