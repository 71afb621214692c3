"""Windows on the set-up page and after a failure: counted before the start, and one click mends what gaps cost."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.pages.conftest import config_for
from timellm.data.uploads import save_upload
from timellm.workspace import workspace


def gappy_csv(rows: int = 1095, share: float = 0.014) -> bytes:
    """Three years of days with some cells missing here and there, by a fixed seed."""
    random, days = np.random.default_rng(7), np.arange(rows)
    frame = pd.DataFrame({"date": pd.date_range("2021-01-01", periods=rows, freq="D")})
    for name in ("load", "price"):
        values = 50 + 10 * np.sin(days * 2 * np.pi / 7) + random.normal(0, 1, rows)
        frame[name] = np.where(random.random(rows) < share, np.nan, values.round(3))
    return frame.to_csv(index=False).encode()


@pytest.fixture
def gappy(home) -> str:
    """The id of a daily table with 1.4 % of its cells missing."""
    return save_upload("Shop.csv", content=gappy_csv()).name


@pytest.fixture
def launched(monkeypatch):
    """Runs are written and not started."""
    monkeypatch.setattr("timellm.jobs.local.launcher.launch", lambda run, *, store: 0)


def start_button(app):
    return next(button for button in app.button if button.label == "Start fine-tuning")


def button(app, label):
    return next(one for one in app.button if one.label == label)


def captions(app) -> str:
    return "\n".join(one.value for one in app.caption)


def long_window(open_page, table_id):
    """The page with a context that no run of days without a gap has room for."""
    app = open_page("finetune", table=table_id)
    app.number_input(key=f"setting/{table_id}/context").set_value(300).run()
    assert not app.exception
    return app


def test_windows_of_a_whole_table_are_counted_and_nothing_is_offered(open_page, table_id):
    app = open_page("finetune", table=table_id)
    assert "Windows: " in captions(app) and "Left out" not in captions(app)
    assert not [one for one in app.button if one.label == "Fill gaps"]


def test_table_whose_windows_all_touch_a_gap_cannot_be_started_and_says_what_helps(open_page, gappy):
    app = long_window(open_page, gappy)
    assert start_button(app).disabled
    assert "Fill the gaps or lower the context" in captions(app)
    assert "part is without a missing value" in captions(app)
    assert "interpolate" not in captions(app), "the simple face shows no such setting"
    assert "Left out, because they touch a missing value: " in captions(app)


def test_one_click_fills_the_gaps_and_the_run_can_start(open_page, gappy, launched, store):
    app = long_window(open_page, gappy)
    button(app, "Fill gaps").click().run()
    assert not app.exception
    assert not start_button(app).disabled
    assert "Gaps in what the model sees are filled" in captions(app)
    start_button(app).click().run()
    (run,) = store.runs()
    assert run.config.task.missing == "interpolate" and run.config.model.context == 300


def test_filling_can_be_undone(open_page, gappy):
    app = long_window(open_page, gappy)
    button(app, "Fill gaps").click().run()
    button(app, "Do not fill gaps").click().run()
    assert start_button(app).disabled


def test_a_context_that_works_is_offered_and_chosen_with_one_click(open_page, gappy):
    app = long_window(open_page, gappy)
    shorter = next(one for one in app.button if one.label.startswith("Context, rows "))
    context = int(shorter.label.split()[-1])
    shorter.click().run()
    assert app.number_input(key=f"setting/{gappy}/context").value == context < 300
    assert not start_button(app).disabled


def test_simple_face_names_no_setting_that_it_does_not_show(open_page, table_id):
    app = open_page("finetune", table=table_id)
    context = app.number_input(key=f"setting/{table_id}/context")
    assert context.min == 16, "a shorter context than a patch is not offered where patches are not shown"
    app.segmented_control(key="face").set_value("Advanced").run()
    app.number_input(key=f"setting/{table_id}/patch_length").set_value(400).run()
    assert start_button(app).disabled
    app.segmented_control(key="face").set_value("Simple").run()
    assert not app.exception
    button(app, "Show all settings").click().run()
    assert app.segmented_control(key="face").value == "Advanced"


@pytest.fixture
def failed_for_gaps(gappy, store):
    """A run that failed because no window was without a gap, as one from the command line does."""
    config = config_for(gappy).updated(context=300)
    run = store.create_run(config, name="Gaps")
    return store.finish(
        run.id, "failed", cause="data", error="every window of the validation part touches a missing value"
    )


def test_failed_run_offers_the_remedy_first_and_starts_with_it(open_page, failed_for_gaps, launched, store):
    app = open_page("runs", run=failed_for_gaps.id)
    assert not app.exception
    again = button(app, "Fill the gaps and start again")
    assert again.proto.type == "primary"
    again.click().run()
    assert not app.exception
    newest = store.runs()[0]
    assert newest.id != failed_for_gaps.id and newest.config.task.missing == "interpolate"
    assert newest.config.model.context == 300
    assert app.query_params["run"] == newest.id


def test_run_that_failed_for_another_cause_offers_no_filling(open_page, failed, store):
    app = open_page("runs", run=failed.id)
    assert not [one for one in app.button if "Fill" in one.label]


def test_failed_run_whose_table_is_gone_can_still_be_looked_at(open_page, failed_for_gaps, gappy):
    (workspace().uploads / gappy).unlink()
    app = open_page("runs", run=failed_for_gaps.id)
    assert not app.exception
    assert not [one for one in app.button if "Fill" in one.label]
