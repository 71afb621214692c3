"""Addresses: what is shown is part of them, and what they ask for in vain is said in one sentence."""

from __future__ import annotations

import pytest

from tests.pages.conftest import config_for, fill
from timellm.forecasting.artifacts import RunFolder


def notes(app) -> str:
    return "\n".join(one.value for one in app.info).replace("\\", "")


@pytest.mark.parametrize(
    ("page", "views", "named"),
    [
        ("forecast", {"channel": "gone"}, "channel “gone”"),
        ("forecast", {"show": "Test period", "cutoff": "1e30"}, "cut-off “1e30”"),
        ("forecast", {"show": "nothing"}, "view “nothing”"),
        ("attention", {"patch": "99999999999999999999999999"}, "patch “99999999999999999999999999”"),
        ("attention", {"patch": "1e400"}, "patch “1e400”"),
        ("attention", {"patch": "nan"}, "patch “nan”"),
        ("attention", {"prototypes": "x"}, "number of prototypes “x”"),
        ("attention", {"head": "99"}, "head “99”"),
        ("attention", {"view": "Tea"}, "view “Tea”"),
        ("forecast", {"parts": "Tea"}, "parts of the forecast “Tea”"),
        ("attention", {"until": "1e30"}, "window “1e30”"),
        ("metrics", {"metric": "<b>x</b>"}, "metric “<b>x</b>”"),
        ("runs", {"tab": "7"}, "tab “7”"),
    ],
)
def test_what_is_not_offered_is_said_in_one_sentence(open_page, finished, page, views, named):
    app = open_page(page, run=finished.id, **views)
    assert not app.exception and not app.error
    assert f"The address asks for the {named}, which is not here; the page shows " in notes(app)
    app.run()
    assert "The address asks" not in notes(app)


def test_face_that_is_not_there_is_said(open_page, table_id):
    app = open_page("finetune", table=table_id, face="Wild")
    assert "settings “Wild”" in notes(app)


@pytest.mark.parametrize(
    ("page", "views"),
    [
        ("forecast", {"show": "Test period", "channel": "price"}),
        ("attention", {"channel": "price", "patch": "2", "head": "Head 2"}),
        ("metrics", {"metric": "MASE"}),
        ("runs", {"tab": "Settings"}),
        ("forecast", {"show": "Future"}),  # the default
        ("attention", {"head": "Mean of all heads"}),
    ],
)
def test_what_is_offered_is_shown_without_a_word(open_page, finished, page, views):
    app = open_page(page, run=finished.id, **views)
    assert not app.exception
    assert "The address asks" not in notes(app)
    for box in app.selectbox:
        if box.label == "Channel" and "channel" in views:
            assert box.value == views["channel"]
    for control in app.segmented_control:
        if control.label == "Show":
            assert control.value == views.get("show", "Future")


def test_choice_that_another_run_has_not_gives_way_to_its_default(open_page, finished, table_id, store):
    shorter = store.create_run(config_for(table_id).updated(context=24), name="Shorter")
    fill(RunFolder(shorter.run_dir), shorter.config)
    store.finish(shorter.id, "finished", summary={"skill": 0.1})
    app = open_page("attention", run=finished.id)
    last = int(app.slider(key="patch").max)
    app.slider(key="patch").set_value(last).run()
    app.switch_page("metrics.py").run()
    app.switch_page("attention.py").run()
    assert app.slider(key="patch").value == last, "the choice holds on the way to another page and back"
    app.selectbox(key="attention/run").set_value(shorter.id).run()
    assert not app.exception
    assert app.slider(key="patch").max < last and app.slider(key="patch").value == app.slider(key="patch").max // 2


@pytest.mark.parametrize(
    "page", ["forecast", "metrics", "attention", "runs", "finetune", "compare", "data", "overview", "benchmarks"]
)
@pytest.mark.parametrize("value", ["1e400", "nan", "99999999999999999999999", "\x00", "<script>"])
def test_no_id_in_an_address_ends_in_a_traceback(open_page, finished, page, value):
    app = open_page(page, run=value, table=value, runs=value, roles=value)
    assert not app.exception
