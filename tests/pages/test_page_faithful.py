"""Is attention faithful? The view with nothing to work out, before work, when it fails, and with its answer."""

from __future__ import annotations

import json

import pytest

import timellm
from tests.pages.conftest import config_for
from timellm.errors import CheckpointError
from timellm.explain.answer import ADDS_NOTHING
from timellm.forecasting.artifacts import RunFolder
from timellm.ui.words import plain

VIEW = "Is it faithful?"


def opened(open_page, run):
    app = open_page("attention", run=run.id)
    app.get("button_group")[0].set_value(VIEW).run()
    assert not app.exception
    return app


def press(app, label: str = "Work it out"):
    return next(button for button in app.button if button.label == label).click().run()


def texts(app) -> str:
    return " ".join(one.value for kind in ("markdown", "caption", "info", "error") for one in app.get(kind))


def test_view_says_no_at_once_where_the_language_model_adds_nothing(open_page, finished):
    folder = RunFolder(finished.run_dir)
    folder.save_summary({"adds_nothing": True})
    app = opened(open_page, finished)
    assert app.info[-1].value == plain(ADDS_NOTHING.sentence)
    assert not any(button.label == "Work it out" for button in app.button)


def test_view_asks_before_it_loads_a_language_model(open_page, finished, monkeypatch):
    monkeypatch.setattr("timellm.explain.faithfulness.faithfulness", lambda *_, **__: pytest.fail("nobody asked"))
    app = opened(open_page, finished)
    assert "64 test windows" in texts(app)
    assert "stops the work" in texts(app)
    assert not app.get("plotly_chart")


def test_failure_is_said_and_another_can_be_started(open_page, finished, monkeypatch):
    def fail(*_, **__):
        raise CheckpointError("adapter.safetensors is damaged; start the run again")

    monkeypatch.setattr("timellm.explain.faithfulness.faithfulness", fail)
    app = press(opened(open_page, finished))
    assert "could not be worked out" in texts(app)
    assert "dapter.safetensors is damaged" in texts(app)
    assert not app.exception
    app = press(app)  # would wait for ever if the failed work still counted as under way
    assert "could not be worked out" in texts(app)


@pytest.fixture
def trained(table_id, store, tiny_backbone):
    """A finished run whose language model does the work."""
    small = {"linear_path": "none", "layers": 1, "steps": 4, "validations": 1, "validation_windows": 8, "batch_size": 4}
    run = store.create_run(config_for(table_id).updated(backbone=str(tiny_backbone), **small), name="Real run")
    timellm.fit(run.config, run_dir=run.run_dir)
    return store.finish(run.id, "finished", summary={})


def test_answer_is_worked_out_once_and_shown_with_its_curves(open_page, trained, monkeypatch):
    app = press(opened(open_page, trained))
    assert not app.exception
    said = app.info[0].value
    assert said.partition("\\:")[0] in ("Yes", "Partly", "No")
    assert "The forecast of load after" in texts(app)
    assert "has no linear path" in texts(app)
    charts = [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]
    assert len(charts) == 2
    assert {trace.get("name") for trace in charts[0]["data"]} >= {"most attended", "random", "least attended"}
    monkeypatch.setattr("timellm.explain.faithfulness.faithfulness", lambda *_, **__: pytest.fail("it is kept"))
    groups = app.get("button_group")
    groups[-1].set_value("patches").run()
    assert not app.exception
    assert app.info[0].value == said
    assert "patches" in json.loads(app.get("plotly_chart")[0].proto.spec)["layout"]["xaxis2"]["title"]["text"]
    next(box for box in app.selectbox if box.label == "Channel").set_value("price").run()
    assert "The window chosen above was not measured" in texts(app)
    press(app, "Measure this window")
    assert not app.exception
    assert "The forecast of price after" in texts(app)
    again = opened(open_page, trained)
    assert again.info[0].value == said
