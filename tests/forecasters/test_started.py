"""Training that begins at trained adapters: what is taken, what begins anew, and that no ridge is given up for it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import timellm
from tests.conftest import SMALL
from tests.shift import Shift
from timellm.cli import main
from timellm.config import RunConfig, TrainingConfig
from timellm.data.prepared import PreparedData
from timellm.data.source import WindowSource
from timellm.data.table import load_table
from timellm.data.windows import WindowIndex
from timellm.errors import CheckpointError, ConfigError
from timellm.files.tensorfile import read_tensors, write_tensors
from timellm.forecasters.ridge.forecaster import Ridge
from timellm.forecasters.start_rules import StartRules
from timellm.forecasters.started import Start, begin_at
from timellm.forecasters.time_llm.kept import LINEAR_PATH, path_config
from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.fitted import FittedRun
from timellm.training import loop
from timellm.training.checkpoint import ADAPTER, CONFIG, START_ADAPTER, load_config, read_adapter
from timellm.training.progress import never_stop
from timellm.training.state import StateFile, has_state
from timellm.training.step import TrainingWindows

DLINEAR = {
    "kind": "dlinear", "moving_average": 5, "context": 48, "horizon": 12, "steps": 6, "batch_size": 8,
    "validations": 2, "validation_windows": 40, "learning_rate": 0.01, "device": "cpu",
}  # fmt: skip
LLM = SMALL | {"linear_path": "fixed", "linear_maps": "shared", "linear_features": "plain", "device": "cpu"}


@pytest.fixture(scope="module")
def target_csv(tmp_path_factory):
    """One hourly channel of another name, with another rhythm beside the daily one."""
    rows = np.arange(460)
    noise = np.random.default_rng(3).normal(0, 0.3, len(rows))
    frame = pd.DataFrame({"date": pd.date_range("2022-05-01", periods=len(rows), freq="h")})
    frame["sales"] = 300 + 40 * (np.sin(rows * 2 * np.pi / 24) + np.sin(rows * 2 * np.pi / 8) / 2 + noise)
    path = tmp_path_factory.mktemp("target") / "target.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def dlinear_run(tmp_path_factory, hourly_csv):
    folder = tmp_path_factory.mktemp("started") / "dlinear"
    timellm.fit(RunConfig.create(hourly_csv, **DLINEAR), run_dir=folder)
    return folder


@pytest.fixture(scope="module")
def llm_run(tmp_path_factory, hourly_csv, tiny_backbone):
    """Adapters whose head is not zero: a run that kept no step is given a head that says something."""
    folder = tmp_path_factory.mktemp("started") / "llm"
    timellm.fit(RunConfig.create(hourly_csv, backbone=str(tiny_backbone), **LLM), run_dir=folder)
    return shipped(folder, folder.parent / "adapters", head=0.01)


def shipped(run: Path, to: Path, *, head: float) -> Path:
    """The adapters of a run alone, as a package would bring them, with a head of random numbers."""
    to.mkdir()
    config, tensors = load_config(run), read_adapter(run)
    drawn = torch.Generator().manual_seed(4)
    size = tensors["head.linear.weight"].shape
    tensors["head.linear.weight"] = head * torch.randn(size, generator=drawn)
    (to / CONFIG).write_text(config.to_json())
    write_tensors(to / ADAPTER, tensors, facts={CONFIG: config.to_json()})
    return to


def llm_config(path, backbone, **settings) -> RunConfig:
    return RunConfig.create(path, backbone=str(backbone), **LLM | settings)


class Killed(Exception):
    """What stands here for a process that ends."""


def test_training_begins_at_the_trained_weights(dlinear_run, target_csv, tmp_path):
    heard = []
    config = RunConfig.create(target_csv, **DLINEAR, start_from=str(dlinear_run))
    result = timellm.fit(config, run_dir=tmp_path / "run", on_progress=heard.append)
    first = next(one for one in heard if one.validation_loss is not None)
    assert first.done == 0
    # By hand: the other run's weights on this table's validation windows.
    prepared = PreparedData.of(load_table(config.data), config)
    index = prepared.windows("validation").evenly(40)
    other = FittedRun.load(dlinear_run).forecaster
    actual = np.stack([prepared.values[o : o + 12, c] for c, o in zip(index.channel, index.origin, strict=True)])
    error = (other.predict(prepared, index) - actual) / prepared.scaler.scale[index.channel, None]
    assert first.validation_loss == pytest.approx(np.square(error).mean(), rel=1e-5)
    assert result.summary["started_from"] == {"folder": "dlinear", "tables": ["hourly"], "left": []}
    assert "Training began at the adapters in dlinear, trained on hourly." in result.summary["notes"]


def test_weights_from_the_start_stay_unless_a_step_is_surely_better(dlinear_run, hourly_csv, tmp_path):
    """With a rate that is far too large, none is: the run is the one it began at."""
    config = RunConfig.create(hourly_csv, **DLINEAR | {"learning_rate": 1.0}, start_from=str(dlinear_run))
    result = timellm.fit(config, run_dir=tmp_path / "run")
    assert result.summary["best_step"] == 0
    assert not any("they are no test" in note for note in result.summary["notes"]), "its test part was not learned from"
    for name, weight in read_adapter(dlinear_run).items():
        assert torch.equal(read_adapter(tmp_path / "run")[name], weight), name


@pytest.mark.parametrize("end_at", [0, 1, 4])
def test_killed_run_goes_on_exactly_when_what_it_began_at_is_gone(
    llm_run, target_csv, tiny_backbone, tmp_path, monkeypatch, end_at
):
    start = tmp_path / "start"
    shutil.copytree(llm_run, start)
    config = llm_config(target_csv, tiny_backbone, start_from=str(start), attention_dropout=0.1)
    whole = timellm.fit(config, run_dir=tmp_path / "whole")
    monkeypatch.setattr(StateFile, "due", lambda _: True)

    def on_progress(progress) -> None:
        trained = progress.learning_rate is not None or progress.validation_loss is not None
        if progress.done == end_at and trained:
            raise Killed

    with pytest.raises(Killed):
        timellm.fit(config, run_dir=tmp_path / "cut", on_progress=on_progress)
    assert has_state(tmp_path / "cut") is (end_at > 0)
    if has_state(tmp_path / "cut"):
        shutil.rmtree(start)
    torch.manual_seed(99)
    again = timellm.fit(config, run_dir=tmp_path / "cut")
    one, other = read_adapter(tmp_path / "whole"), read_adapter(tmp_path / "cut")
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    for name in ("best_step", "steps", "started_from", "adds_nothing", "best_validation_loss", "test"):
        assert again.summary[name] == whole.summary[name], name
    assert [note for note in again.summary["notes"] if "began" in note] != []


def test_bad_adapters_leave_the_run_as_good_as_its_ridge(llm_run, target_csv, tiny_backbone, tmp_path):
    bad = tmp_path / "bad"
    run = tmp_path / "run"
    shutil.copytree(llm_run, bad)
    tensors, config = read_adapter(bad), load_config(bad)
    tensors["head.linear.bias"] = torch.full_like(tensors["head.linear.bias"], 50.0)
    write_tensors(bad / ADAPTER, tensors, facts={CONFIG: config.to_json()})
    heard = []
    asked = llm_config(target_csv, tiny_backbone, start_from=str(bad), learning_rate=1e-6)
    result = timellm.fit(asked, run_dir=run, on_progress=heard.append)
    first = next(one for one in heard if one.validation_loss is not None)
    assert first.validation_loss > 10, "step 0 is judged with a share of what was taken"
    assert result.summary["best_step"] == 0 and result.summary["adds_nothing"]
    folder = RunFolder(run)
    prepared = folder.prepared()
    index, forecast_WH = folder.test_windows(prepared)
    ridge = Ridge.load(run, path_config(folder.config()), file=LINEAR_PATH)
    np.testing.assert_allclose(forecast_WH, ridge.predict(prepared, index), rtol=1e-5)
    errors = np.square((forecast_WH - ridge.predict(prepared, index)) / prepared.scaler.scale[0])
    assert result.summary["best_validation_loss"] < 10 and errors.max() < 1e-8


@pytest.mark.parametrize(("by", "kept", "adds_nothing"), [(1.0, 0.5, False), (-1.0, 0.0, True)])
def test_start_is_kept_only_if_surely_better_than_what_it_adds_to(by, kept, adds_nothing):
    """The base is wrong by one; with a rate of nothing, either the start or the base alone is what training keeps."""
    values = np.random.default_rng(0).normal(size=(400, 1))

    def base(index: WindowIndex) -> np.ndarray:
        return np.stack([values[o : o + 4, 0] - 1 for o in index.origin])

    source = WindowSource(values, context=8, horizon=4, base=base)
    index = WindowIndex(np.zeros(200, np.int64), np.arange(20, 220), 0)
    network, saved = Shift(by), []

    def save() -> None:
        saved.append(float(network.by.detach()))

    config = TrainingConfig(steps=2, batch_size=4, learning_rate=1e-12, validations=1, device="cpu")
    result = loop.train(
        network, TrainingWindows(source, index, index), config, save_best=save,
        on_progress=lambda _: None, should_stop=never_stop, validate_first=True, adds_first=True,
    )  # fmt: skip
    assert saved[0] == 0.0 and saved[-1] == pytest.approx(kept)
    assert result.best_step == 0 and result.adds_nothing is adds_nothing
    assert float(network.by.detach()) == pytest.approx(by), "training itself goes on from what was taken"


def test_another_horizon_takes_all_but_the_head(llm_run, target_csv, tiny_backbone, tmp_path):
    config = llm_config(target_csv, tiny_backbone, start_from=str(llm_run), horizon=6)
    result = timellm.fit(config, run_dir=tmp_path / "run")
    notes = [note for note in result.summary["notes"] if note.startswith("Not taken")]
    assert notes == ["Not taken from them: head, because they forecast 12 rows and this run 6."]
    taken, _ = read_tensors(tmp_path / "run" / START_ADAPTER, remedy="")
    theirs = read_adapter(llm_run)
    assert taken.keys() == {name for name in theirs if not name.startswith("head.")}
    assert all(torch.equal(taken[name], theirs[name]) for name in taken)


def test_what_belongs_to_a_table_begins_anew(llm_run, target_csv, tiny_backbone, tmp_path):
    levels = {"quantiles": (0.1, 0.5, 0.9), "linear_path": "weighted"}
    config = llm_config(target_csv, tiny_backbone, start_from=str(llm_run), **levels)
    result = timellm.fit(config, run_dir=tmp_path / "run")
    taken, _ = read_tensors(tmp_path / "run" / START_ADAPTER, remedy="")
    assert not [name for name in taken if name.startswith(("quantile_head", "linear_share"))]
    assert any("quantiles (), now (0.1, 0.5, 0.9)" in note for note in result.summary["notes"])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"context": 56}, "read a context of 48 rows, and this run 56; set context=48"),
        ({"layers": 1}, "were trained with layers=2, and this run has layers=1; set layers=2"),
        ({"linear_path": "none"}, "trained with linear_path=fixed, and this run has linear_path=none"),
        ({"prompt_style": "none"}, "were trained with prompt_style=compact"),
    ],
)
def test_adapters_of_another_network_are_refused_before_anything_is_written(
    llm_run, target_csv, tiny_backbone, tmp_path, settings, said
):
    config = llm_config(target_csv, tiny_backbone, start_from=str(llm_run), **settings)
    with pytest.raises(ConfigError, match=said):
        timellm.fit(config, run_dir=tmp_path / "run")
    assert not (tmp_path / "run" / CONFIG).exists()


def test_another_kind_and_a_missing_folder_are_refused(dlinear_run, target_csv, tiny_backbone, tmp_path):
    with pytest.raises(ConfigError, match="are of 'dlinear', and this run is 'time_llm'; set the forecaster"):
        timellm.fit(llm_config(target_csv, tiny_backbone, start_from=str(dlinear_run)), run_dir=tmp_path / "run")
    config = RunConfig.create(target_csv, **DLINEAR, start_from=str(tmp_path / "nothing"))
    with pytest.raises(ConfigError, match="there is no such folder"):
        timellm.fit(config, run_dir=tmp_path / "run")


def test_weights_that_are_all_made_for_the_horizon_are_refused(dlinear_run, target_csv, tmp_path):
    config = RunConfig.create(target_csv, **DLINEAR | {"horizon": 6}, start_from=str(dlinear_run))
    with pytest.raises(ConfigError, match="all their weights are made for that; set horizon=12"):
        timellm.fit(config, run_dir=tmp_path / "run")
    assert not (tmp_path / "run" / START_ADAPTER).exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda tensors: tensors.pop("trend.bias"), "'trend.bias' is missing in one of them"),
        (lambda tensors: tensors.update({"trend.bias": torch.zeros(3)}), "'trend.bias' is missing .* or has another"),
        (lambda tensors: tensors.update({"trend.bias": torch.full((12,), np.nan)}), "not finite, in 'trend.bias'"),
    ],
    ids=["missing", "other-size", "not-finite"],
)
def test_adapters_that_do_not_fit_are_never_taken_in_part(dlinear_run, target_csv, tmp_path, change, said):
    config = load_config(dlinear_run)
    tensors = read_adapter(dlinear_run)
    change(tensors)
    (tmp_path / "start").mkdir()
    (tmp_path / "start" / CONFIG).write_text(config.to_json())
    write_tensors(tmp_path / "start" / ADAPTER, tensors, facts={CONFIG: config.to_json()})
    network = FittedRun.load(dlinear_run).forecaster.network
    before = {name: one.clone() for name, one in network.state_dict().items()}
    asked = RunConfig.create(target_csv, **DLINEAR, start_from=str(tmp_path / "start"))
    with pytest.raises(CheckpointError, match=said):
        begin_at(network, asked, tmp_path, source=tmp_path / "start", rules=StartRules())
    assert all(torch.equal(before[name], one) for name, one in network.state_dict().items())
    assert Start.read(tmp_path) is None


def test_copy_of_the_start_belongs_to_the_weights(dlinear_run, target_csv, tmp_path):
    config = RunConfig.create(target_csv, **DLINEAR, start_from=str(dlinear_run))
    timellm.fit(config, run_dir=tmp_path / "run")
    tensors, facts = read_tensors(tmp_path / "run" / START_ADAPTER, remedy="")
    facts.pop("sha256", None)
    write_tensors(tmp_path / "run" / START_ADAPTER, {name: one + 1 for name, one in tensors.items()}, facts=facts)
    with pytest.raises(CheckpointError, match=r"start_adapter\.safetensors was changed after the weights were trained"):
        FittedRun.load(tmp_path / "run")


def test_command_keeps_the_folder_by_its_whole_path(dlinear_run, target_csv, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(dlinear_run.parent)
    small = [word for name, value in DLINEAR.items() if name != "kind" for word in ("--set", f"{name}={value}")]
    words = ["fit", str(target_csv), "--run-dir", str(tmp_path / "run"), "--model", "dlinear", *small, "--json"]
    assert main([*words, "--set", "start_from=dlinear"]) == 0
    assert json.loads(capsys.readouterr().out)["summary"]["started_from"]["folder"] == "dlinear"
    assert load_config(tmp_path / "run").trained.start_from == str(dlinear_run)


def test_rows_of_the_test_part_that_were_learned_from_are_said(dlinear_run, hourly_csv, tmp_path):
    earlier = RunConfig.create(hourly_csv, **DLINEAR, start_from=str(dlinear_run), split="200/60/140")
    result = timellm.fit(earlier, run_dir=tmp_path / "run")
    # The run it began at has learned from rows up to 320 of 400, and this test part begins at row 260.
    said = "The weights from dlinear were learned from 60 rows that are in this test part"
    assert any(note.startswith(said) for note in result.summary["notes"])
