"""Experiment trackers, the real ones: what they are told, that a run that goes on stays one run, and failures."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

import timellm
from timellm.errors import ConfigError
from timellm.forecasting.artifacts import RunFolder
from timellm.training import tracker as module
from timellm.training.tracker import PACKAGES, TRACKED

STEPS, STOP_AT = 8, 5
SECRET = "not-for-anybody"


@pytest.fixture(autouse=True)
def every_step(monkeypatch):
    monkeypatch.setattr(module, "_EVERY_S", 0.0)
    for name in ("MLFLOW_TRACKING_URI", "WANDB_DIR", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)


def interrupted_and_gone_on_with(config, folder: Path) -> dict:
    """Train half of it, then the rest; returns the summary."""
    seen = []
    timellm.fit(
        config, run_dir=folder, on_progress=lambda progress: seen.append(progress.done),
        should_stop=lambda: bool(seen) and max(seen) >= STOP_AT and len(seen) > STOP_AT,
    )  # fmt: skip
    return timellm.fit(config, run_dir=folder).summary


def test_tensorboard_hears_of_losses_rate_memory_and_final_errors(small_config, tmp_path):
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    folder = tmp_path / "run"
    summary = interrupted_and_gone_on_with(small_config.updated(tracker="tensorboard"), folder)
    read = event_accumulator.EventAccumulator(str(folder / "tensorboard"))
    read.Reload()
    curves = {name: {event.step: event.value for event in read.Scalars(name)} for name in read.Tags()["scalars"]}
    assert set(curves["train_loss"]) == set(curves["learning_rate"]) == set(range(1, STEPS + 1))
    assert min(curves["validation_loss"].values()) == pytest.approx(summary["best_validation_loss"])
    assert {"windows_per_s", "memory_mib"} <= set(curves)
    assert curves["test_mae"][STEPS] == pytest.approx(summary["test"]["mae"], rel=1e-5)
    settings = list((folder / "tensorboard").rglob("hparams.yml"))
    assert len(settings) == 1, "a run that goes on begins no second one"
    assert "training.learning_rate: 0.0005" in settings[0].read_text()


def test_mlflow_run_that_goes_on_is_one_run(small_config, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    folder = tmp_path / "run"
    summary = interrupted_and_gone_on_with(small_config.updated(tracker="mlflow"), folder)
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'checkpoints' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("timellm")
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) == 1 and runs[0].info.status == "FINISHED" and runs[0].info.run_name == "run"
    assert json.loads((folder / TRACKED).read_text()) == {"tracker": "mlflow", "run": runs[0].info.run_id}
    assert runs[0].data.params["task.horizon"] == "12" and runs[0].data.params["training.tracker"] == "mlflow"
    assert runs[0].data.metrics["test_mae"] == pytest.approx(summary["test"]["mae"])
    steps = {metric.step for metric in client.get_metric_history(runs[0].info.run_id, "train_loss")}
    assert steps == set(range(1, STEPS + 1))


def test_wandb_works_offline_and_keeps_its_key_to_itself(small_config, tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_API_KEY", SECRET)
    monkeypatch.setenv("TIMELLM_STORE", f"sqlite:///{tmp_path}/{SECRET}.sqlite")
    folder = tmp_path / "run"
    timellm.fit(small_config.updated(tracker="wandb"), run_dir=folder)
    (written,) = (folder / "wandb").glob("offline-run-*")
    number = json.loads((folder / TRACKED).read_text())["run"]
    (record,) = written.glob(f"run-{number}.wandb")
    assert b"test_mae" in record.read_bytes() and b"learning_rate" in record.read_bytes()
    for path in folder.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("name", sorted(PACKAGES))
def test_tracker_that_is_missing_is_named_with_its_command_before_anything_is_read(
    small_config, tmp_path, monkeypatch, name
):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=f"'{name}', which is not installed; install it with pip install {name}"):
        timellm.fit(small_config.updated(tracker=name, path="nowhere.csv"), run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


class Broken:
    """A tracker that fails at some moment."""

    name, tracker = "tensorboard", None

    def __init__(self, *, at: str):
        self.at, self.told = at, 0

    def log(self, values, step=None):
        self.told += 1
        if self.at == "log" and self.told == 3:
            raise ConnectionError("nobody\nanswers")

    def finish(self):
        if self.at == "finish":
            raise ConnectionError("nobody answers")


def test_tracker_that_cannot_begin_ends_the_run_before_it_trains(small_config, tmp_path, monkeypatch):
    def begun(*_):
        raise ConnectionError("nobody answers")

    monkeypatch.setattr(module, "check_tracker", lambda _: None)
    monkeypatch.setattr("timellm.pipeline.check_tracker", lambda _: None)
    monkeypatch.setattr(module, "_begun", begun)
    seen = []
    with pytest.raises(ConfigError, match=r"tracker 'mlflow' cannot begin: ConnectionError: nobody answers. Check"):
        timellm.fit(small_config.updated(tracker="mlflow"), run_dir=tmp_path / "run", on_progress=seen.append)
    assert all(progress.phase != "training" for progress in seen)


def test_tracker_that_fails_on_the_way_costs_a_note_and_nothing_else(small_config, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("timellm.pipeline.check_tracker", lambda _: None)
    monkeypatch.setattr(module, "check_tracker", lambda _: None)
    broken = Broken(at="log")
    monkeypatch.setattr(module, "_begun", lambda *_: broken)
    with caplog.at_level(logging.WARNING):
        summary = timellm.fit(small_config.updated(tracker="tensorboard"), run_dir=tmp_path / "run").summary
    note = "Tracking with tensorboard ended at step 3 (ConnectionError: nobody answers); the run's own records are"
    note += " complete."
    assert note in summary["notes"] and note in caplog.text
    assert broken.told == 3 and summary["steps"] == STEPS
    assert RunFolder(tmp_path / "run").summary()["notes"] == summary["notes"]


def test_tracker_that_does_not_end_well_is_said_in_the_log(small_config, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("timellm.pipeline.check_tracker", lambda _: None)
    monkeypatch.setattr(module, "check_tracker", lambda _: None)
    monkeypatch.setattr(module, "_begun", lambda *_: Broken(at="finish"))
    with caplog.at_level(logging.WARNING):
        assert timellm.fit(small_config.updated(tracker="tensorboard"), run_dir=tmp_path / "run").summary
    assert "tracker tensorboard did not end well: ConnectionError: nobody answers" in caplog.text


def test_tracker_can_be_set_to_none_in_words(small_config):
    name, value = timellm.config.parse_setting("tracker=none")
    assert small_config.updated(**{name: value}).training.tracker == "none"
