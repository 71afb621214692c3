"""The view of the prompt: exact tokens at once, everything that runs the language model on a button, hostile texts."""

from __future__ import annotations

import json
import shutil

import pytest

import timellm
from tests.conftest import SMALL
from timellm.files.sealed import read_sealed_json, write_sealed_json
from timellm.ui.seeing.prompt import NOTHING_ADDED
from timellm.ui.seeing.prompt_tokens import seen

DESCRIPTION = "Load of a <b>town</b> $x$ [a](http://b) \u202e."


@pytest.fixture(scope="module")
def tiny_run(tmp_path_factory, backbones):
    """A folder of a real run on a tiny backbone, and its configuration."""
    from tests.pages.conftest import hourly_csv

    table = tmp_path_factory.mktemp("tables") / "plant.csv"
    table.write_bytes(hourly_csv())
    changes = SMALL | {"steps": 3, "validations": 1}
    config = timellm.RunConfig.create(
        table, backbone=str(backbones["llama"]), description=DESCRIPTION, prompt_calendar=True, **changes
    )
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    timellm.fit(config, run_dir=folder)
    return folder, config


@pytest.fixture
def run(tiny_run, store):
    """It in the store."""
    folder, config = tiny_run
    made = store.create_run(config, name="Prompted")
    shutil.copytree(folder, made.run_dir, dirs_exist_ok=True)
    return store.finish(made.id, "finished", summary={"skill": 0.1})


def shown(app) -> str:
    return " ".join(one.value for one in (*app.markdown, *app.caption, *app.info, *app.warning, *app.error))


def button(app, label):
    return next(one for one in app.button if one.label == label)


def test_prompt_is_shown_at_once_and_nothing_is_loaded(open_page, run, monkeypatch):
    monkeypatch.setattr("timellm.explain.prompted.PromptedRun.open", _never)
    monkeypatch.setattr("timellm.explain.prompt_attention.PromptAttentionReader.open", _never)
    app = open_page("attention", run=run.id, view="Prompt")
    assert not app.exception and not app.error
    assert "tokens**" in shown(app) and "cached" in shown(app)
    drawn = "".join(one.proto.body for one in app.get("html"))
    assert "&lt;" in drawn and "<b>" not in drawn and "\u202e" not in drawn and r"\u202e" in drawn


def _never(*given, **named):
    raise AssertionError("the language model was loaded without a press of a button")


def test_changed_prompt_is_forecast_beside_the_own_one_and_undone(open_page, run):
    app = open_page("attention", run=run.id, view="Prompt")
    minimum = next(one for one in app.text_input if one.label == "Minimum")
    before = minimum.value
    button(app, "Forecast with this prompt").click().run()
    assert "The prompt is as it was" in shown(app) and not app.get("plotly_chart")
    next(one for one in app.text_input if one.label == "Minimum").set_value("<i>-99</i> `x`")
    button(app, "Forecast with this prompt").click().run()
    assert not app.exception and not app.error
    assert "on average" in shown(app)
    names = {trace["name"] for trace in json.loads(app.get("plotly_chart")[0].proto.spec)["data"]}
    assert names == {"Measured", "Own prompt", "Changed prompt", "Change"}
    button(app, "As it was").click().run()
    assert next(one for one in app.text_input if one.label == "Minimum").value == before
    assert not app.exception and not app.get("plotly_chart")


def test_too_long_prompt_says_what_the_limit_is(open_page, run):
    app = open_page("attention", run=run.id, view="Prompt")
    app.text_area[0].set_value("x1" * 1999)
    button(app, "Forecast with this prompt").click().run()
    assert not app.exception and "reads at most 2,048" in app.error[0].value
    button(app, "As it was").click().run()
    assert not app.error


def test_sentences_are_left_out_on_the_button_and_kept(open_page, run, monkeypatch):
    app = open_page("attention", run=run.id, view="Prompt")
    assert not app.dataframe
    button(app, "Leave out each sentence in turn").click().run()
    assert not app.exception and not app.error
    table = app.dataframe[0].value
    assert {"Task", "Calendar", "Minimum", "Lags", "The whole prompt"} <= set(table["part"])
    assert table[table["kind"] == ""]["change"].is_monotonic_decreasing
    monkeypatch.setattr("timellm.explain.prompted.PromptedRun.open", _never)
    app = open_page("attention", run=run.id, view="Prompt")
    assert app.dataframe[0].value.equals(table), "another session sees it without work"


def test_attention_is_read_on_the_button(open_page, run):
    app = open_page("attention", run=run.id, view="Prompt")
    button(app, "Read the attention").click().run()
    assert not app.exception and not app.error
    assert "attention to the first token" in shown(app) and "Sinks here: " in shown(app)
    bars, heat = (json.loads(one.proto.spec)["data"][0] for one in app.get("plotly_chart"))
    assert bars["type"] == "bar" and heat["type"] == "heatmap"
    assert not any("<" in label for label in bars["y"])
    next(one for one in app.toggle if one.label == "Leave out the attention sinks").set_value(True).run()
    next(one for one in app.selectbox if one.label == "Layer").select_index(2).run()
    assert not app.exception
    fewer = json.loads(app.get("plotly_chart")[1].proto.spec)["layout"]["yaxis"]["ticktext"]
    assert fewer[0] != "‹"


def test_run_that_keeps_step_0_says_that_the_prompt_moves_nothing(open_page, run):
    path = run.run_dir / "summary.json"
    write_sealed_json(path, read_sealed_json(path) | {"adds_nothing": True})
    app = open_page("attention", run=run.id, view="Prompt")
    assert app.warning[0].value == NOTHING_ADDED
    labels = {one.label for one in app.button}
    assert "Read the attention" in labels and "Leave out each sentence in turn" not in labels
    assert not app.text_area and "tokens**" in shown(app)


def test_runs_without_a_prompt_say_so(open_page, finished, store):
    config = finished.config.updated(prompt_style="none")
    run = store.create_run(config, name="Without")
    shutil.copytree(finished.run_dir, run.run_dir, dirs_exist_ok=True)
    store.finish(run.id, "finished", summary={"skill": 0.1})
    app = open_page("attention", run=run.id, view="Prompt")
    assert not app.exception and "trained without a prompt" in app.info[0].value


def test_backbone_that_is_not_here_is_named(open_page, finished, monkeypatch):
    monkeypatch.setattr("timellm.forecasters.time_llm.tokenizer.is_ready", lambda name: False)
    app = open_page("attention", run=finished.id, view="Prompt")
    assert not app.exception and "not on this machine" in app.error[0].value


def test_signs_that_cannot_be_seen_are_written_out():
    assert seen("a\n\u202eb\x00") == r"a↵\u202eb\x00"
