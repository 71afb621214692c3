"""What a training begins with, on the set-up page: other tables or a run; kept, told, and refused before a start."""

from __future__ import annotations

import json

import pytest

from tests.pages.conftest import config_for, hourly_csv
from timellm.data.samples import samples
from timellm.data.uploads import delete_upload, save_upload, table_path
from timellm.sizing.machine import Budget, MachineFacts
from timellm.ui import fit, measuring
from timellm.ui.settings import as_file
from timellm.workspace import workspace

FACTS = MachineFacts("one", None, "bfloat16", {"float32": 170.0, "bfloat16": 900.0}, 15.0, 420.0, 40.0)


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A machine that has been measured, with 16 GiB, 12 of them free; runs are written and not started."""
    monkeypatch.setattr(measuring, "known_facts", lambda: FACTS)
    monkeypatch.setattr(fit, "budget", lambda *_, **__: Budget(12 * 1024, 16 * 1024))
    monkeypatch.setattr("timellm.jobs.local.launcher.launch", lambda run, *, store: 0)


@pytest.fixture
def other_id(home) -> str:
    """Another table, longer and with a value missing."""
    return save_upload("Other site.csv", content=hourly_csv(600, missing=3)).name


def key(table_id: str, name: str) -> str:
    return f"setting/{table_id}/{name}"


def start_button(app):
    return next(button for button in app.button if button.label == "Start fine-tuning")


def captions(app) -> str:
    return "\n".join(one.value for one in app.caption)


def with_small_windows(app, table_id):
    app.number_input(key=key(table_id, "context")).set_value(48)
    app.number_input(key=key(table_id, "horizon")).set_value(12).run()
    return app


def begin_with(app, table_id, choice):
    app.segmented_control(key=key(table_id, "begin")).set_value(choice).run()
    assert not app.exception
    return app


def on_tables(open_page, table_id, *chosen):
    """The page with a small run on these other tables first."""
    app = begin_with(with_small_windows(open_page("finetune", table=table_id), table_id), table_id, "Other tables")
    if chosen:
        app.multiselect(key=key(table_id, "begin-tables")).set_value(list(chosen)).run()
    assert not app.exception
    return app


def test_new_weights_are_the_usual_beginning(open_page, table_id, store):
    app = open_page("finetune", table=table_id)
    assert app.segmented_control(key=key(table_id, "begin")).value == "New weights"
    start_button(app).click().run()
    (run,) = store.runs()
    assert (run.config.trained.pretrain, run.config.trained.start_from) == ((), "")


def test_run_is_pre_trained_on_the_chosen_tables_and_its_page_says_so(open_page, table_id, other_id, store):
    sample = f"sample:{samples()[0].key}"
    app = on_tables(open_page, table_id)
    assert start_button(app).disabled and "Choose a table to pre-train on" in captions(app)
    assert table_id not in app.multiselect(key=key(table_id, "begin-tables")).options
    app = on_tables(open_page, table_id, other_id, sample)
    app.number_input(key=key(table_id, "begin-steps")).set_value(7).run()
    table = next(one.value for one in app.dataframe if "Share" in one.value)
    assert table["Table"].tolist() == ["Other site", samples()[0].title] and table["Rows"][0] == "600"
    start_button(app).click().run()
    assert not app.exception
    (run,) = store.runs()
    assert run.config.trained.pretrain == (str(table_path(other_id)), str(table_path(sample)))
    assert run.config.trained.pretrain_steps == 7
    assert "Trains first on Other site, " in captions(app) and "for at most 7 steps" in captions(app)
    told = {"steps": 7, "best_step": 5, "tables": [{"table": "a", "share": 0.25}, {"table": "b", "share": 0.75}]}
    store.finish(run.id, "stopped", summary={"pretraining": told})
    ended = captions(open_page("runs", run=run.id)).replace("\\", "")
    assert "Trained first on Other site (25% of the windows), " in ended and "7 steps, the best at step 5" in ended
    changed = next(one.value for one in open_page("runs", run=run.id).dataframe if "Default" in one.value)
    shown = dict(zip(changed["Setting"], changed["This run"], strict=True))
    assert shown["Pre-train on"] == f"Other site, {samples()[0].key}", "no path of the server"
    assert str(workspace().root) not in as_file(run.config)


def test_time_and_memory_of_the_pre_training_are_told(open_page, table_id, other_id):
    app = with_small_windows(open_page("finetune", table=table_id), table_id)
    before = next(one.proto.text for one in app.get("progress"))
    assert "pre-training" not in captions(app).split("Loading", 1)[1].split("\n")[0]
    app = on_tables(open_page, table_id, other_id)
    app.number_input(key=key(table_id, "begin-steps")).set_value(5000).run()
    assert "pre-training" in captions(app).split("Loading", 1)[1].split("\n")[0]
    assert next(one.proto.text for one in app.get("progress")) != before


def test_choices_survive_a_new_session_a_preset_and_are_undone_by_the_reset(open_page, table_id, other_id):
    app = on_tables(open_page, table_id, other_id)
    app.number_input(key=key(table_id, "begin-steps")).set_value(9).run()
    later = open_page("finetune", table=table_id)
    next(one for one in later.button if one.key == "finetune/preset/laptop").click().run()
    assert later.multiselect(key=key(table_id, "begin-tables")).value == [other_id]
    assert later.number_input(key=key(table_id, "begin-steps")).value == 9
    next(one for one in later.button if one.label == "Reset to defaults").click().run()
    assert not later.exception
    assert later.segmented_control(key=key(table_id, "begin")).value == "New weights"


def test_damaged_draft_of_the_beginning_leaves_new_weights(open_page, table_id, other_id):
    on_tables(open_page, table_id, other_id)
    (file,) = workspace().drafts.glob("*.json")
    file.write_text(json.dumps({"choices": {"begin": 7, "begin-tables": [3], "begin-steps": -1, "begin-run": {}}}))
    later = open_page("finetune", table=table_id)
    assert not later.exception
    assert later.segmented_control(key=key(table_id, "begin")).value == "New weights"


def test_settings_of_a_pre_trained_run_are_copied_into_the_form(open_page, table_id, other_id, store):
    tables = (str(table_path(other_id)),)
    run = store.create_run(config_for(table_id).updated(pretrain=tables, pretrain_steps=7), name="Two tables")
    store.finish(run.id, "stopped")
    runs = open_page("runs", run=run.id)
    next(one for one in runs.button if one.label == "Change settings and run").click().run()
    assert not runs.exception
    assert runs.multiselect(key=key(table_id, "begin-tables")).value == [other_id]
    assert runs.number_input(key=key(table_id, "begin-steps")).value == 7
    start_button(runs).click().run()
    assert store.runs()[0].config.trained.pretrain == tables


def test_table_that_was_deleted_is_said_to_be_gone(open_page, table_id, other_id, store):
    on_tables(open_page, table_id, other_id)
    delete_upload(other_id)
    app = open_page("finetune", table=table_id)
    assert not app.exception
    assert app.multiselect(key=key(table_id, "begin-tables")).value == [other_id]
    assert any("other-site (not here)" in one for one in app.multiselect(key=key(table_id, "begin-tables")).options)
    assert start_button(app).disabled
    assert "other-site, a table of 'pretrain': " in captions(app).replace("\\", "").replace("\u2060", "")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"prompt_calendar": True}, "the prompt is asked to tell the time"),
        ({"split": "300/40/60"}, None),
    ],
)
def test_what_does_not_go_with_other_tables_is_said_before_the_start(open_page, table_id, other_id, change, said):
    app = on_tables(open_page, table_id, other_id)
    app.segmented_control(key="face").set_value("Advanced").run()
    for name, value in change.items():
        widget = app.toggle if isinstance(value, bool) else app.text_input
        widget(key=key(table_id, name)).set_value(value).run()
    assert not app.exception
    assert start_button(app).disabled == (said is not None)
    assert said is None or said in captions(app)


def test_table_too_short_for_the_windows_is_refused_with_its_name(open_page, table_id, home):
    short = save_upload("Short.csv", content=hourly_csv(70)).name
    app = on_tables(open_page, table_id, short)
    assert start_button(app).disabled
    assert "Short, a table of 'pretrain': the " in captions(app).replace("\\", "")


def small(app, table_id, **settings):
    """The form with the settings of `config_for`."""
    app.segmented_control(key="face").set_value("Advanced").run()
    wanted = {"context": 48, "horizon": 12, "d_model": 8, "d_ff": 4, "heads": 2, "prototypes": 24} | settings
    for name, value in wanted.items():
        app.number_input(key=key(table_id, name)).set_value(value)
    return app.run()


def test_training_begins_at_a_run_that_fits(open_page, other_id, finished, store):
    app = small(open_page("finetune", table=other_id), other_id, horizon=24)
    begin_with(app, other_id, "A run")
    assert start_button(app).disabled and "Choose a run to start from" in captions(app)
    box = app.selectbox(key=key(other_id, "begin-run"))
    assert box.options == [f"Finished run ({finished.id[-5:]}) · Plant load"]
    box.select(finished.id).run()
    assert not app.exception
    assert "So its head, which is made for 12 rows, is not taken" in captions(app)
    start_button(app).click().run()
    assert not app.exception
    run = store.runs()[0]
    assert run.config.trained.start_from == str(finished.run_dir.resolve())
    assert "Training begins at the adapters of" in captions(app)
    next(one for one in app.button if one.label == "Finished run").click().run()
    assert app.query_params["run"] == finished.id
    store.finish(run.id, "stopped")
    again = open_page("runs", run=run.id)
    next(one for one in again.button if one.label == "Change settings and run").click().run()
    assert again.selectbox(key=key(other_id, "begin-run")).value == finished.id


def test_run_that_does_not_fit_is_not_offered_and_the_page_says_why(open_page, other_id, finished):
    app = small(open_page("finetune", table=other_id), other_id, context=64)
    begin_with(app, other_id, "A run")
    assert "No finished run of Time-LLM fits these settings" in captions(app)
    why = "\n".join(one.value for one in app.markdown).replace("\\", "")
    assert "Its adapters read a context of 48 rows, and this run 64; set context=48:" in why
    assert "- Finished run" in captions(app)
    assert start_button(app).disabled


def test_run_that_fits_no_more_or_is_gone_is_refused_before_the_start(open_page, other_id, finished, store):
    app = small(open_page("finetune", table=other_id), other_id)
    begin_with(app, other_id, "A run")
    app.selectbox(key=key(other_id, "begin-run")).select(finished.id).run()
    assert not start_button(app).disabled
    app.number_input(key=key(other_id, "d_model")).set_value(16).run()
    assert start_button(app).disabled
    assert "were trained with d_model=8, and this run has d_model=16" in captions(app).replace("\\", "")
    app.number_input(key=key(other_id, "d_model")).set_value(8).run()
    store.delete(finished.id)
    app.run()
    assert not app.exception
    assert start_button(app).disabled
    assert "there is no such folder" in captions(app)


def test_first_run_has_nothing_to_start_from(open_page, table_id):
    app = begin_with(open_page("finetune", table=table_id), table_id, "A run")
    assert "There is no finished run of Time-LLM here yet" in captions(app)
    assert start_button(app).disabled


def test_forecaster_that_is_fitted_at_once_begins_with_nothing(open_page, table_id, other_id, store):
    app = on_tables(open_page, table_id, other_id)
    app.selectbox(key=key(table_id, "kind")).select("ridge").run()
    assert not app.exception
    assert not any(one.label == "Start from other data or another run" for one in app.expander)
    start_button(app).click().run()
    assert store.runs()[0].config.training is None


def test_cluster_takes_no_other_tables(open_page, table_id, other_id, monkeypatch):
    monkeypatch.setenv("TIMELLM_RAY", "http://127.0.0.1:9")  # nothing listens there, and nothing is asked of it
    app = on_tables(open_page, table_id, other_id)
    app.segmented_control(key=key(table_id, "where")).set_value("Cluster").run()
    assert start_button(app).disabled
    assert "a run on a cluster takes one file with it" in captions(app)
