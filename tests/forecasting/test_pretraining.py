"""Pre-training on several tables: one list of windows, shares of tables, and a run that begins at what was learned."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

import timellm
from tests.conftest import SMALL
from timellm.cli import main
from timellm.config import RunConfig
from timellm.data.joined import JoinedTables
from timellm.data.joined_settings import balanced
from timellm.data.prepared import PreparedData
from timellm.data.table import load_table
from timellm.errors import CheckpointError, ConfigError, DataError
from timellm.forecasters.start_rules import PRETRAINED
from timellm.forecasting.transfer import config_elsewhere, score_elsewhere
from timellm.training.checkpoint import ADAPTER, START_ADAPTER, load_config, read_adapter
from timellm.training.state import StateFile, has_state

LLM = SMALL | {"linear_path": "fixed", "linear_maps": "shared", "linear_features": "plain", "device": "cpu"}


def written(path, rows: int, names: tuple[str, ...], frequency: str, seed: int):
    noise = np.random.default_rng(seed).normal(0, 0.3, (len(names), rows))
    frame = pd.DataFrame({"date": pd.date_range("2020-01-01", periods=rows, freq=frequency)})
    for number, name in enumerate(names):
        frame[name] = 10.0 ** (number + 1) * (3 + np.sin(np.arange(rows) * 2 * np.pi / 24) + noise[number])
    frame.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """A large hourly table of three channels, and a small daily one of one."""
    place = tmp_path_factory.mktemp("pretraining")
    return (
        written(place / "big.csv", 900, ("a", "b", "c"), "h", 1),
        written(place / "small.csv", 200, ("x",), "D", 2),
    )


@pytest.fixture(scope="module")
def asked(tables, hourly_csv, tiny_backbone):
    names = tuple(map(str, tables))
    return RunConfig.create(hourly_csv, backbone=str(tiny_backbone), **LLM, pretrain=names, pretrain_steps=6)


def joined_of(tables, config) -> tuple[JoinedTables, list[PreparedData]]:
    config = config.updated(pretrain=(), pretrain_steps=None)
    each = [PreparedData.of(load_table(RunConfig.create(path).data), config) for path in tables]
    return JoinedTables.join(each, config), each


def test_windows_of_joined_tables_are_those_of_each_on_its_own_scale(tables, asked):
    joined, each = joined_of(tables, asked)
    source = joined.source()
    gathered = 0
    for part in ("training", "validation"):
        index, begin = joined.windows(part), 0
        for one in each:
            own = one.source()
            end = begin + len(one.values)
            mine = np.flatnonzero((index.origin >= begin) & (index.origin < end))
            channel, origin = index.channel[mine], index.origin[mine] - begin
            for left, right in zip(
                source.gather(index.channel[mine], origin=index.origin[mine]),
                own.gather(channel, origin=origin),
                strict=True,
            ):
                assert torch.equal(left, right) and torch.isfinite(left).all()
            allowed = one.windows(part)
            pairs = set(zip(allowed.channel.tolist(), allowed.origin.tolist(), strict=True))
            assert set(zip(channel.tolist(), origin.tolist(), strict=True)) <= pairs
            gathered += len(mine)
            begin = end + asked.task.horizon
    assert gathered == len(joined.windows("training")) + len(joined.windows("validation"))


def test_large_table_does_not_drown_a_small_one(tables, asked):
    joined, each = joined_of(tables, asked)
    have = [len(one.windows("training")) for one in each]
    assert balanced([400, 100]) == [333, 167] and balanced([50]) == [50]
    assert [count for _, count in joined.counts] == balanced(have)
    small = joined.windows("training").origin >= len(each[0].values)
    shares = np.sqrt(have) / np.sqrt(have).sum()
    assert small.mean() == pytest.approx(shares[1], abs=0.01) and shares[1] > 3 * have[1] / sum(have)
    assert len(np.unique(joined.windows("training").origin[small])) == have[1], "all of them, again and again"
    validation = joined.windows("validation").origin >= len(each[0].values)
    assert validation.sum() == min(8, len(each[1].windows("validation")))
    with pytest.raises(DataError, match="no test part"):
        joined.windows("test")


def test_run_begins_at_what_was_learned_on_the_tables(asked, tmp_path):
    result = timellm.fit(asked, run_dir=tmp_path / "run")
    summary, before = result.summary, tmp_path / "run" / PRETRAINED
    assert [one["table"] for one in summary["pretraining"]["tables"]] == ["big", "small"]
    assert sum(one["share"] for one in summary["pretraining"]["tables"]) == pytest.approx(1)
    assert summary["pretraining"]["steps"] == 6 and summary["steps"] <= 8
    assert "Training began at the adapters in pretrained, trained on big + small." in summary["notes"]
    assert (tmp_path / "run" / START_ADAPTER).is_file() and not has_state(before)
    assert load_config(before).forecaster.linear_maps == "shared"


def test_reports_of_both_trainings_follow_each_other(asked, tmp_path):
    told = []
    timellm.fit(asked, run_dir=tmp_path / "run", on_progress=told.append)
    phases = [one.phase for number, one in enumerate(told) if not number or one.phase != told[number - 1].phase]
    assert phases == ["loading", "pretraining", "training", "evaluating"]
    first, second = ([one for one in told if one.phase == phase] for phase in ("pretraining", "training"))
    assert {one.total for one in first if one.learning_rate is not None} == {6}
    assert {one.total for one in second} == {8}
    assert max(one.fraction for one in first) == 1 and any(one.message.startswith("Loading") for one in first)
    begun = [one for one in first if one.eta_s is not None]
    rest = 8 * 8 / begun[-1].windows_per_s
    assert begun and begun[-1].eta_s >= rest, "the training that follows is part of the time that is left"


def test_adapters_of_several_tables_are_scored_on_one_that_they_have_not_seen(asked, hourly_csv, tmp_path):
    timellm.fit(asked, run_dir=tmp_path / "run")
    before = tmp_path / "run" / PRETRAINED
    (tmp_path / "scored").mkdir()
    found = score_elsewhere(before, config_elsewhere(before, hourly_csv, {}), tmp_path / "scored")
    assert found is not None and found.scores.own == "Time-LLM from big + small"
    assert found.scores.error(found.scores.own, "mae") > 0


@pytest.mark.parametrize("phase", ["pre-training", "training"])
def test_killed_run_goes_on_to_the_same_weights(asked, tmp_path, monkeypatch, phase):
    timellm.fit(asked, run_dir=tmp_path / "whole")
    monkeypatch.setattr(StateFile, "due", lambda _: True)
    cut = tmp_path / "cut"

    def on_progress(progress) -> None:
        there = has_state(cut if phase == "training" else cut / PRETRAINED)
        if there and progress.done == 3 and progress.learning_rate is not None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        timellm.fit(asked, run_dir=cut, on_progress=on_progress)
    torch.manual_seed(99)
    timellm.fit(asked, run_dir=cut)
    for folder in (".", PRETRAINED):
        one, other = read_adapter(tmp_path / "whole" / folder), read_adapter(cut / folder)
        assert all(torch.equal(one[name], other[name]) for name in one), folder


def test_table_that_was_changed_meanwhile_is_refused(asked, tables, tmp_path, monkeypatch):
    monkeypatch.setattr(StateFile, "due", lambda _: True)
    moved = [shutil.copy(path, tmp_path / path.name) for path in tables]
    config = asked.updated(pretrain=tuple(map(str, moved)))

    def on_progress(progress) -> None:
        if progress.done == 3 and progress.learning_rate is not None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        timellm.fit(config, run_dir=tmp_path / "run", on_progress=on_progress)
    frame = pd.read_csv(moved[1])
    frame.loc[5, "x"] += 1
    frame.to_csv(moved[1], index=False)
    with pytest.raises(CheckpointError, match="a table of 'pretrain' was changed"):
        timellm.fit(config, run_dir=tmp_path / "run")


def test_what_joined_tables_do_not_have_is_refused(asked, tables, tmp_path):
    with pytest.raises(ConfigError, match="the prompt is asked to tell the time"):
        timellm.fit(asked.updated(prompt_calendar=True), run_dir=tmp_path / "one")
    assert not list((tmp_path / "one").glob("*.json")), "nothing is left of it"
    with pytest.raises(DataError, match="small, a table of 'pretrain':"):
        timellm.fit(asked.updated(context=190, patch_length=16), run_dir=tmp_path / "two")
    with pytest.raises(ConfigError, match="start_from and pretrain both say"):
        asked.updated(start_from="somewhere")
    with pytest.raises(ConfigError, match="pretrain_steps is given without pretrain"):
        asked.updated(pretrain=())


def test_command_takes_tables_and_resumes_a_pre_training_that_was_stopped(tables, hourly_csv, tmp_path, capsys):
    small = {"context": 48, "horizon": 12, "moving_average": 5, "steps": 4, "validations": 2, "batch_size": 8}
    words = [word for name, value in small.items() for word in ("--set", f"{name}={value}")]
    fit = ["fit", str(hourly_csv), "--run-dir", str(tmp_path / "run"), "--model", "dlinear", *words]
    assert main([*fit, "--pretrain", *map(str, tables), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)["summary"]
    assert [one["table"] for one in summary["pretraining"]["tables"]] == ["big", "small"]
    assert load_config(tmp_path / "run").trained.pretrain == tuple(map(str, tables))
    config = load_config(tmp_path / "run")
    stopping = []
    stopped = timellm.fit(
        config, run_dir=tmp_path / "cut", on_progress=stopping.append,
        should_stop=lambda: any(one.learning_rate is not None for one in stopping),
    )  # fmt: skip
    assert stopped.stopped and stopped.summary == {} and has_state(tmp_path / "cut" / PRETRAINED)
    assert main(["resume", str(tmp_path / "cut"), "--json"]) == 0
    one, other = read_adapter(tmp_path / "run"), read_adapter(tmp_path / "cut")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_command_resumes_a_run_that_was_killed_before_the_first_state_of_its_own_table(tables, hourly_csv, tmp_path):
    small = {"context": 48, "horizon": 12, "moving_average": 5, "steps": 4, "validations": 2, "batch_size": 8}
    config = RunConfig.create(hourly_csv, kind="dlinear", **small, pretrain=tuple(map(str, tables)))
    timellm.fit(config, run_dir=tmp_path / "whole")

    def on_progress(progress) -> None:
        if progress.phase == "training" and progress.learning_rate is not None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        timellm.fit(config, run_dir=tmp_path / "cut", on_progress=on_progress)
    assert (tmp_path / "cut" / ADAPTER).is_file() and not has_state(tmp_path / "cut")
    assert main(["resume", str(tmp_path / "cut"), "--json"]) == 0
    one, other = read_adapter(tmp_path / "whole"), read_adapter(tmp_path / "cut")
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert main(["resume", str(tmp_path / "cut")]) != 0, "it has finished"


def test_table_that_holds_the_test_part_is_said(hourly_csv, tmp_path):
    small = {"kind": "dlinear", "context": 48, "horizon": 12, "moving_average": 5, "steps": 2, "validations": 1}
    config = RunConfig.create(hourly_csv, **small, pretrain=(str(hourly_csv),), split="50%/10%/40%")
    assert timellm.fit(config, run_dir=tmp_path / "run").summary["notes"][0].startswith("Training began")
    longer = written(tmp_path / "longer.csv", 900, ("a",), "h", 1)
    pd.read_csv(longer).iloc[:600].to_csv(tmp_path / "shorter.csv", index=False)
    config = RunConfig.create(tmp_path / "shorter.csv", **small, pretrain=(str(longer),))
    notes = timellm.fit(config, run_dir=tmp_path / "leaking").summary["notes"]
    assert any(note.startswith("The weights from longer were learned from 120 rows") for note in notes)
