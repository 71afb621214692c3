"""The Attention page's views over many windows, and of runs without attention: what they show and say."""

from __future__ import annotations

import json
import re

import numpy as np
import pyarrow as pa
import pytest

from tests.pages.conftest import config_for, fill
from tests.pages.test_page_states import text as shown_text
from timellm.files.parquetfile import write_parquet
from timellm.forecasters.registry import kind_of
from timellm.forecasters.time_llm.attention_history import ATTENTION_HISTORY
from timellm.forecasting.artifacts import RunFolder
from timellm.training.checkpoint import save_config

VIEWS = (
    "Heatmap",
    "Dictionary",
    "Heads",
    "When",
    "Side by side",
    "Over training",
    "Is it faithful?",
    "Prompt",
    "Linear path",
)


def text(app) -> str:
    """What is read on the page: without the backslashes that keep words from being taken for Markdown."""
    return re.sub(r"\\([^\w\s])", r"\1", shown_text(app))


def chart(app, number=0):
    return json.loads(app.get("plotly_chart")[number].proto.spec)


def opened(open_page, run, view, **choices):
    app = open_page("attention", run=run.id, view=view, **choices)
    assert not app.exception and not app.error, text(app)
    return app


def labels(app):
    return [button.proto.label for button in app.get("download_button")]


@pytest.fixture
def run_of_kind(table_id, store):
    """A finished run of a kind without a network."""

    def make(kind: str, **settings):
        run = store.create_run(config_for(table_id).updated(kind=kind, **settings), name=f"A {kind}")
        fill(RunFolder(run.run_dir), config_for(table_id))
        save_config(run.run_dir, run.config)
        kind_of(kind).load().fit(RunFolder(run.run_dir).prepared(), job_of(run))
        return store.finish(run.id, "finished", summary={"skill": 0.1})

    return make


def job_of(run):
    from timellm.forecasters.protocol import FitJob

    return FitJob(run.config, run.run_dir)


_ELSEWHERE = ("Heatmap", "Dictionary", "Is it faithful?", "Prompt")
"""Views with tests of their own."""


@pytest.mark.parametrize("view", [view for view in VIEWS if view not in _ELSEWHERE])
def test_every_view_says_how_to_read_it_and_can_be_taken_along(open_page, finished, view):
    if view == "Over training":
        keep_history(finished)
    app = opened(open_page, finished, view)
    assert app.pills(key="view").options == list(VIEWS)
    assert app.get("plotly_chart") and len(text(app)) > 300
    assert labels(app) == ["Download PNG", "Download SVG", "Download PDF", "Download CSV"]


@pytest.mark.parametrize("view", VIEWS[2:6])
def test_run_that_keeps_step_0_is_said_to_explain_nothing(open_page, finished, view):
    keep_history(finished)
    RunFolder(finished.run_dir).save_summary({"adds_nothing": True})
    assert "The language model adds nothing to this run's forecasts" in text(opened(open_page, finished, view))


def test_heads_are_shown_for_the_window_and_for_the_test_period(open_page, finished):
    app = opened(open_page, finished, "Heads")
    assert "Window to 2024-01-17 15:00: heads attend to" in text(app) and "mean cosine of" in text(app)
    assert len(chart(app)["data"]) == 2
    app.segmented_control(key="over").set_value("Test period").run()
    assert "Mean of 69 of 69 windows of the test period: heads attend to" in text(app)


def test_hours_are_compared_with_all_patches(open_page, finished):
    app = opened(open_page, finished, "When")
    assert "lie between 22:00 and 05:59" in text(app)
    assert "too few to call any difference sure" in text(app)
    app.selectbox(key="from").set_value(8).run()
    app.selectbox(key="to").set_value(9).run()
    assert not app.exception and "lie between 08:00 and 09:59" in text(app)
    assert chart(app)["data"][0]["name"] == "May be chance"


def test_patterns_are_stated_as_rules(open_page, finished):
    app = opened(open_page, finished, "When", when="Rise")
    assert "it correlates with time by 0.7 or more" in text(app) and "patches in 69 of 69 windows" in text(app)


def test_patches_like_a_chosen_one_are_compared(open_page, finished):
    app = opened(open_page, finished, "When", when="Like one patch")
    assert "are like patch 3 (correlation of 0.8 or more)" in text(app)
    app.slider(key="patch").set_value(2).run()
    app.select_slider(key="limit").set_value(0.95).run()
    assert not app.exception and "are like patch 2 (correlation of 0.95 or more)" in text(app)


def test_condition_that_every_patch_meets_is_said_in_a_panel(open_page, finished):
    app = open_page("attention", run=finished.id, view="When", when="Month", month="January")
    assert not app.exception
    assert "so there is nothing to compare" in text(app)


def test_two_channels_are_compared(open_page, finished):
    app = opened(open_page, finished, "Side by side")
    assert "are the same (by chance it would be" in text(app) and "over 24 prototypes" in text(app)
    assert chart(app)["layout"]["yaxis"]["title"]["text"] == "price"


def test_two_runs_are_compared_by_number_or_by_name(open_page, finished, store, table_id):
    app = opened(open_page, finished, "Side by side", against="Another run")
    assert "no other run with attention" in text(app)
    other = store.create_run(config_for(table_id).updated(seed=3), name="Other run")
    fill(RunFolder(other.run_dir), other.config)
    store.finish(other.id, "finished", summary={"skill": 0.1})
    app = opened(open_page, finished, "Side by side", against="Another run")
    assert "the correlation is 1.00" in text(app) and "matched by" not in text(app)
    third = store.create_run(config_for(table_id).updated(prototype_start="map"), name="Third run")
    fill(RunFolder(third.run_dir), third.config)
    store.finish(third.id, "finished", summary={"skill": 0.1})
    app = open_page("attention", run=finished.id, view="Side by side", against="Another run", other=third.id)
    assert "share 1 of their nearest words" in text(app)  # every prototype of these tests is called "price"


def keep_history(run) -> None:
    rows = {
        "step": pa.array([0, 10, 20]), "windows": pa.array([2] * 3),
        "effective": pa.array([[20.0, 18.0], [12.0, 11.0], [8.0, 6.0]], pa.list_(pa.float32())),
        "top_share": pa.array([[0.5, 0.5], [0.6, 0.7], [0.8, 0.9]], pa.list_(pa.float32())),
        "prototype": pa.array([list(range(24))] * 3, pa.list_(pa.int32())),
        "attention": pa.array([np.full(24, 1 / 24), np.arange(24) / 276, np.arange(24) / 276], pa.list_(pa.float32())),
    }  # fmt: skip
    write_parquet(run.run_dir / ATTENTION_HISTORY, pa.table(rows))


def test_attention_over_training_is_shown_and_said(open_page, finished):
    keep_history(finished)
    app = opened(open_page, finished, "Over training")
    assert "From step 0 to step 20, a patch's attention went from 19 to 7 of 24 prototypes" in text(app)
    assert "from 50.0% to 85.0%" in text(app) and "The run keeps step 20" in text(app)
    assert [line["name"] for line in chart(app, 0)["data"]] == ["Head 1", "Head 2"]
    assert chart(app, 1)["data"][0]["name"].startswith("24: price")


def test_run_of_an_earlier_version_has_no_attention_over_training(open_page, finished):
    app = opened(open_page, finished, "Over training")
    assert "kept nothing of its attention while it trained" in text(app) and not app.get("plotly_chart")


def test_damaged_history_is_a_panel(open_page, finished):
    (finished.run_dir / ATTENTION_HISTORY).write_bytes(b"PAR1")
    app = open_page("attention", run=finished.id, view="Over training")
    assert not app.exception and "attention_history.parquet is damaged" in app.error[0].value.replace("\\", "")


def test_ridge_shows_its_weights_and_the_runs_page_leads_there(open_page, run_of_kind):
    run = run_of_kind("ridge", linear_features="calendar", linear_maps="by_channel")
    app = open_page("attention", run=run.id)
    assert not app.exception and not app.error and not app.segmented_control
    assert "no attention over text prototypes" in text(app) and "What the calendar says" in text(app)
    assert app.selectbox(key="map").options == ["All channels", "load", "price"]
    assert app.selectbox(key="map").value == "load", "the chosen channel has a map of its own"
    links = [link.proto.label for link in open_page("runs", run=run.id).get("page_link")]
    assert "**Weights**" in links and "**Attention**" not in links


def test_kind_with_nothing_to_show_says_so(open_page, run_of_kind):
    run = run_of_kind("naive")
    app = open_page("attention", run=run.id)
    assert not app.exception and not app.get("plotly_chart")
    assert "neither attention over text prototypes nor a linear map" in text(app)
    links = [link.proto.label for link in open_page("runs", run=run.id).get("page_link")]
    assert "**Weights**" not in links and "**Attention**" not in links


def test_run_whose_patches_a_linear_map_rewrites_shows_its_linear_path(open_page, finished, store):
    run = store.create_run(finished.config.updated(reprogramming="linear"), name="Linear")
    fill(RunFolder(run.run_dir), finished.config)
    save_config(run.run_dir, run.config)
    store.finish(run.id, "finished", summary={"skill": 0.1})
    app = open_page("attention", run=run.id)
    assert not app.exception
    assert "Its patches are rewritten by a linear map" in text(app)


def test_run_without_a_linear_path_is_not_offered_one(open_page, finished, store):
    run = store.create_run(finished.config.updated(linear_path="none"), name="Alone")
    fill(RunFolder(run.run_dir), finished.config)
    save_config(run.run_dir, run.config)
    store.finish(run.id, "finished", summary={"skill": 0.1})
    app = opened(open_page, run, "Heads")
    assert app.pills(key="view").options == list(VIEWS[:-1])
