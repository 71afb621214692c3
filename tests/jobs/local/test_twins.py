"""Twins of a run: each has one part replaced, they wait in the queue as one group, and are found and judged again."""

from __future__ import annotations

import itertools
import json
import shutil

import pytest

import timellm
from timellm.cli import main
from timellm.config import RunConfig
from timellm.errors import ConfigError, DataError
from timellm.forecasters.time_llm.twins import TWINS, twin_configs
from timellm.forecasting.artifacts import RunFolder
from timellm.jobs.local.actions import label
from timellm.jobs.local.twins import Original, find_twins, progress_words, report, start_twins
from timellm.jobs.store.process import this_process
from timellm.jobs.worker import work

NAMES = [twin.name for twin in TWINS]


@pytest.fixture(autouse=True)
def no_runner(monkeypatch):
    """The tests do the runner's work themselves."""
    monkeypatch.setattr("timellm.jobs.local.launcher.start_runner", lambda store: this_process())


@pytest.fixture(scope="module")
def trained(hourly_csv, tiny_backbone, tmp_path_factory):
    """The folder of a finished run."""
    from tests.conftest import SMALL

    config = RunConfig.create(hourly_csv, backbone=str(tiny_backbone), **SMALL)
    return timellm.fit(config, run_dir=tmp_path_factory.mktemp("runs") / "plant").run_dir


def work_all(store):
    """Train what waits, in the order of the queue."""
    done = []
    while due := store.due():
        work(due[0], store=store, fit=timellm.pipeline.fit)
        done.append(store.get(due[0]))
    return done


def test_each_twin_differs_from_the_run_in_its_part_alone():
    config = RunConfig.create("a.csv", seed=7, steps=33)
    found = twin_configs(config)
    assert list(found) == NAMES
    for twin in TWINS[:-1]:
        changed = found[twin.name].differences(config)
        assert {name: new for name, (new, _) in changed.items()} == dict(twin.settings)
    ridge = found["linear-path"]
    assert (ridge.kind, ridge.data, ridge.task) == ("ridge", config.data, config.task)


def test_twin_that_would_equal_the_run_is_left_out_and_random_weights_are_stored_plainly():
    config = RunConfig.create("a.csv", prompt_style="none", quantization="4bit")
    found = twin_configs(config)
    assert list(found) == NAMES[1:]
    assert {one.model.quantization for name, one in found.items() if one.kind == "time_llm"} == {"none", "4bit"}
    assert found["random-weights"].model.quantization == "none"


def test_twins_of_a_run_with_a_time_budget_make_its_steps():
    config = RunConfig.create("a.csv", minutes=5, steps=1_000_000, prompt_style="none")
    with pytest.raises(ConfigError, match=r"time budget of 5 minutes.*let it finish first"):
        twin_configs(config)
    found = twin_configs(config, steps=123)
    assert list(found) == NAMES[1:]
    assert {(one.trained.steps, one.trained.minutes) for one in found.values() if one.training} == {(123, None)}


@pytest.mark.parametrize(
    ("settings", "features"),
    [
        ({}, "auto"),
        ({"linear_features": "level", "linear_maps": "by_channel"}, "level"),
        ({"linear_features": "plain"}, "plain"),
        ({"linear_features": "plain", "prompt_calendar": True}, "calendar"),
        ({"linear_features": "plain", "prompt_calendar": True, "prompt_style": "none"}, "plain"),
    ],
)
def test_linear_twin_is_the_run_s_linear_path_and_is_told_the_calendar_if_the_prompt_is(settings, features):
    config = RunConfig.create("a.csv", **settings)
    ridge = twin_configs(config)["linear-path"].forecaster
    assert (ridge.linear_features, ridge.linear_maps) == (features, config.model.linear_maps)


@pytest.mark.parametrize(
    ("settings", "why"),
    [({"kind": "dlinear"}, "'dlinear', which has no language model"), ({"body": "none"}, "the run is a twin itself")],
)
def test_only_a_run_with_a_language_model_has_twins(settings, why):
    with pytest.raises(ConfigError, match=why):
        twin_configs(RunConfig.create("a.csv", **settings))


def test_run_that_began_at_trained_adapters_has_no_twins():
    with pytest.raises(ConfigError, match="began at trained adapters"):
        twin_configs(RunConfig.create("a.csv", start_from="/somewhere"))


def test_twins_wait_as_one_group_and_are_trained_one_after_another(store, trained):
    original = Original.of(trained)
    assert all(one.run is None for one in find_twins(original, store))
    placed = start_twins(original, store)
    assert [one.twin.name for one in placed] == NAMES
    assert [run.id for run in store.waiting()] == [one.run.id for one in placed]
    assert {one.run.tags for one in placed} == {("twins of plant",)}
    assert next(one.run.name for one in placed) == "No prompt: plant"
    assert progress_words(placed) == "0 of 7 twins have finished, 7 waiting."
    assert report(original, placed) is None
    start_twins(original, store)
    assert len(store.runs()) == 7, "those that are there are not started anew"

    done = work_all(store)
    assert [run.state for run in done] == ["finished"] * 7
    assert all(earlier.ended <= later.started for earlier, later in itertools.pairwise(done))
    placed = find_twins(original, store)
    assert progress_words(placed) == "7 of 7 twins have finished."
    found = report(original, placed)
    assert [row.name for row in found.rows] == ["run", *NAMES]
    folders = [trained, *(one.run.run_dir for one in placed)]
    for row, folder in zip(found.rows, map(RunFolder, folders), strict=True):
        scores = folder.scores()
        assert row.mse == pytest.approx(scores.error(scores.own, "mse_scaled"), rel=1e-5), row.name
        assert row.mae == pytest.approx(scores.error(scores.own, "mae_scaled"), rel=1e-5), row.name
        assert (row.seconds, row.memory_mib) == (folder.summary()["seconds"], folder.summary()["memory_mib"])
    assert found.answer == "too little", "80 rows of test hold fewer than 8 horizons"


def test_failed_twin_is_told_and_started_again_when_asked(store, trained, capsys, monkeypatch):
    monkeypatch.setattr("timellm.jobs.store.run_store.Store.open", lambda *_: store)
    first = start_twins(Original.of(trained), store)[0].run
    store.finish(first.id, "failed", error="the disk is full")
    assert main(["twins", str(trained)]) == 0
    said = capsys.readouterr().out
    assert "0 of 7 twins have finished, 6 waiting, 1 failed." in said and "No prompt failed: the disk is full" in said
    assert store.get(first.id).state == "failed"
    assert main(["twins", str(trained), "--again"]) == 0
    assert "7 waiting." in capsys.readouterr().out and store.get(first.id).state == "queued"


def test_verb_shows_a_table_and_a_sentence_and_the_same_as_json(store, trained, capsys, monkeypatch):
    monkeypatch.setattr("timellm.jobs.store.run_store.Store.open", lambda *_: store)
    for one in start_twins(Original.of(trained), store):
        if one.twin.name in ("attention", "linear-path"):
            work_ids = one.run.id
            store.request_stop(one.run.id) if one.twin.name == "attention" else None
        else:
            store.request_stop(one.run.id)
    assert work_all(store)[0].id == work_ids
    assert main(["twins", str(trained)]) == 0
    text = capsys.readouterr().out
    assert "1 of 7 twins have finished, 6 stopped." in text
    assert any(line.startswith("Linear path alone") for line in text.splitlines()) and "Too little to tell" in text
    assert main(["twins", str(trained), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["state"] for one in found["twins"]] == ["stopped"] * 6 + ["finished"]
    assert found["report"]["answer"] == "too little"
    assert [row["name"] for row in found["report"]["rows"]] == ["run", "linear-path"]


def test_twins_of_a_run_of_the_workspace_have_its_name(store, trained, capsys, monkeypatch):
    monkeypatch.setattr("timellm.jobs.store.run_store.Store.open", lambda *_: store)
    run = store.create_run(RunFolder(trained).config(), name="Plant load")
    store.finish(run.id, "finished")
    shutil.copytree(trained, run.run_dir)
    assert main(["twins", str(run.run_dir), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["tag"] == f"twins of {run.id}"
    assert store.get(found["twins"][0]["run"]).name == "No prompt: Plant load"


def test_tag_alone_or_settings_alone_make_no_twin(store, trained):
    original = Original.of(trained)
    config = twin_configs(original.config)["attention"]
    store.create_run(config)
    other = store.create_run(config.updated(seed=5))
    label(store, other.id, tags=[original.tag], note="")
    assert all(one.run is None for one in find_twins(original, store))
    label(store, other.id, tags=[], note="")
    same = store.create_run(config)
    label(store, same.id, tags=["mine", original.tag], note="")
    assert [one.run.id for one in find_twins(original, store) if one.run] == [same.id]


def test_twins_of_a_run_whose_table_is_gone_are_refused(store, trained, tmp_path):
    folder = tmp_path / "moved"
    shutil.copytree(trained, folder)
    config = RunFolder(folder).config().updated(path=str(tmp_path / "gone.csv"))
    (folder / "config.json").write_text(config.to_json())
    with pytest.raises(DataError, match=r"gone\.csv is no longer there, and its twins are trained on it; put it back"):
        start_twins(Original.of(folder), store)
    assert not store.runs()


def test_twins_of_a_stopped_run_are_refused(trained, tmp_path):
    folder = tmp_path / "stopped"
    shutil.copytree(trained, folder)
    (folder / "training_state.safetensors").write_bytes(b"")
    with pytest.raises(ConfigError, match="was stopped, and its twins would make more steps than it did; resume it"):
        Original.of(folder)
