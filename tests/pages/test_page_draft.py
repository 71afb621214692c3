"""What was chosen on the set-up page is there after a reload and on a later visit; damaged drafts end no page."""

from __future__ import annotations

import json

import pytest

from timellm.workspace import workspace


def setting(table_id: str, name: str) -> str:
    return f"setting/{table_id}/{name}"


def draft_file():
    (file,) = workspace().drafts.glob("*.json")
    return file


def number(app, table_id, name):
    return app.number_input(key=setting(table_id, name)).value


def button(app, label):
    return next((one for one in app.button if one.label == label), None)


def test_nothing_is_kept_where_nothing_was_chosen(open_page, table_id):
    app = open_page("finetune", table=table_id)
    assert button(app, "Reset to defaults") is None
    assert not [file for file in workspace().drafts.glob("*.json") if json.loads(file.read_text())["choices"]]


def test_choices_of_both_faces_and_the_face_survive_a_new_session(open_page, table_id):
    app = open_page("finetune", table=table_id)
    app.number_input(key=setting(table_id, "horizon")).set_value(17)
    app.multiselect(key=setting(table_id, "channels")).set_value(["price"])
    app.segmented_control(key=setting(table_id, "quantization")).set_value("8bit")
    app.text_input(key=setting(table_id, "name")).set_value("Mine").run()
    app.segmented_control(key=setting(table_id, "limit")).set_value("Minutes").run()
    app.number_input(key=setting(table_id, "minutes")).set_value(2.5).run()
    app.segmented_control(key="face").set_value("Advanced").run()
    app.number_input(key=setting(table_id, "learning_rate")).set_value(0.005)
    app.segmented_control(key=setting(table_id, "missing")).set_value("interpolate").run()
    assert not app.exception

    later = open_page("finetune", table=table_id)  # another session, as after a reload
    assert not later.exception
    assert later.segmented_control(key="face").value == "Advanced"
    assert number(later, table_id, "horizon") == 17 and number(later, table_id, "minutes") == 2.5
    assert number(later, table_id, "learning_rate") == 0.005
    assert later.multiselect(key=setting(table_id, "channels")).value == ["price"]
    assert later.segmented_control(key=setting(table_id, "quantization")).value == "8bit"
    assert later.text_input(key=setting(table_id, "name")).value == "Mine"
    assert later.segmented_control(key=setting(table_id, "missing")).value == "interpolate"


def test_reset_brings_every_default_back_for_good(open_page, table_id):
    app = open_page("finetune", table=table_id)
    usual = number(app, table_id, "horizon"), number(app, table_id, "layers")
    app.number_input(key=setting(table_id, "horizon")).set_value(17)
    app.number_input(key=setting(table_id, "layers")).set_value(2)
    app.text_input(key=setting(table_id, "name")).set_value("Mine").run()
    button(app, "Reset to defaults").click().run()
    assert not app.exception
    assert (number(app, table_id, "horizon"), number(app, table_id, "layers")) == usual
    assert app.text_input(key=setting(table_id, "name")).value == ""
    assert button(app, "Reset to defaults") is None
    later = open_page("finetune", table=table_id)
    assert (number(later, table_id, "horizon"), number(later, table_id, "layers")) == usual


def test_consent_to_run_code_is_never_kept(open_page, table_id):
    app = open_page("finetune", table=table_id)
    app.segmented_control(key="face").set_value("Advanced").run()
    app.toggle(key=setting(table_id, "trust_remote_code")).set_value(True).run()
    assert "trust" not in draft_file().read_text()
    assert not open_page("finetune", table=table_id).warning


@pytest.mark.parametrize(
    "content",
    [
        "{", "[]", "null", '{"choices": 7}', "[" * 5000, '{"choices": {"horizon": 1e400}}',
        '{"choices": {"horizon": "many", "layers": 999999, "quantization": "1bit", "channels": ["gone"], "steps": true,'
        ' "catalogue": 5, "minutes": -1, "name": [], "preset": "none", "workers": 1e9, "limit": {}, "where": 3,'
        ' "learning_rate": "x", "unknown": 1, "face": 4, "split": {}, "table": "x"}}',
    ],
)  # fmt: skip
def test_damaged_draft_leaves_the_defaults(open_page, table_id, content):
    app = open_page("finetune", table=table_id)
    usual = number(app, table_id, "horizon")
    app.number_input(key=setting(table_id, "horizon")).set_value(17).run()
    draft_file().write_text(content)
    later = open_page("finetune", table=table_id)
    assert not later.exception
    assert number(later, table_id, "horizon") == usual
    assert later.segmented_control(key="face").value == "Simple"


def test_folder_that_cannot_be_written_costs_only_the_keeping(open_page, table_id):
    workspace().drafts.parent.mkdir(parents=True, exist_ok=True)
    workspace().drafts.write_text("a file where the folder would be")
    app = open_page("finetune", table=table_id)
    app.number_input(key=setting(table_id, "horizon")).set_value(17).run()
    assert not app.exception
    assert number(app, table_id, "horizon") == 17
    assert any("are lost when the page is closed" in one.value for one in app.caption)


def test_settings_of_a_run_are_not_mixed_with_the_draft(open_page, table_id, finished):
    app = open_page("finetune", table=table_id)
    app.number_input(key=setting(table_id, "layers")).set_value(2)
    app.text_input(key=setting(table_id, "name")).set_value("Mine").run()
    runs = open_page("runs", run=finished.id)
    next(one for one in runs.button if one.label == "Change settings and run").click().run()
    assert not runs.exception
    assert number(runs, table_id, "layers") == finished.config.model.layers != 2
    assert runs.text_input(key=setting(table_id, "name")).value == ""
