"""The set-up screen: it says what is missing, keeps choices, and starts exactly what it shows."""

import re
import sys

import pytest

from timellm.forecasters.registry import OFFERED
from timellm.ui import keys


@pytest.fixture
def launched(monkeypatch):
    """Runs are written and not started; the launcher has its own tests."""
    monkeypatch.setattr("timellm.jobs.local.launcher.launch", lambda run, *, store: 0)


def start_button(app):
    return next(button for button in app.button if button.label == "Start fine-tuning")


def test_start_without_a_table_is_disabled_and_says_why(open_page):
    app = open_page("finetune")
    assert start_button(app).disabled
    assert any("Choose a table first" in caption.value for caption in app.caption)


def test_start_writes_the_run_that_the_form_shows_and_goes_to_watch_it(open_page, table_id, launched, store):
    app = open_page("finetune", table=table_id)
    app.number_input(key=f"setting/{table_id}/horizon").set_value(24)
    app.number_input(key=f"setting/{table_id}/steps").set_value(7)
    app.segmented_control(key=f"setting/{table_id}/quantization").set_value("4bit")
    app.multiselect(key=f"setting/{table_id}/channels").set_value(["load"])
    app.text_input(key=f"setting/{table_id}/name").set_value("My run").run()
    start_button(app).click().run()
    assert not app.exception
    (run,) = store.runs()
    assert run.name == "My run"
    assert (run.config.model.horizon, run.config.trained.steps) == (24, 7)
    assert run.config.model.quantization == "4bit"
    assert run.config.data.channels == ("load",)
    assert "Plant load" in run.config.data.description
    assert app.query_params["run"] == run.id
    assert app.title[0].value == "Runs"


def test_window_longer_than_the_training_part_disables_start_with_the_reason(open_page, table_id):
    app = open_page("finetune", table=table_id)
    app.number_input(key=f"setting/{table_id}/context").set_value(500).run()
    assert not app.exception
    assert start_button(app).disabled
    assert any("training part has 240 rows" in caption.value for caption in app.caption)


def test_settings_chosen_for_a_short_table_are_shown_with_their_reasons(open_page, table_id):
    app = open_page("finetune", table=table_id)
    (chosen,) = (one for one in app.expander if one.label == "Also chosen for this table")
    assert "with 70%/10%/20% the validation part has 40 rows" in chosen.caption[0].value
    assert chosen.caption[0].value.startswith("**Train / validation / test: 60%/20%/20%.**")


def test_time_budget_takes_the_place_of_steps(open_page, table_id, launched, store):
    app = open_page("finetune", table=table_id)
    app.segmented_control(key=f"setting/{table_id}/limit").set_value("Minutes").run()
    app.number_input(key=f"setting/{table_id}/minutes").set_value(2.5).run()
    start_button(app).click().run()
    (run,) = store.runs()
    assert run.config.trained.minutes == 2.5


def test_advanced_face_offers_every_setting_and_lists_what_differs(open_page, table_id):
    app = open_page("finetune", table=table_id)
    app.segmented_control(key="face").set_value("Advanced").run()
    assert not app.exception
    app.number_input(key=f"setting/{table_id}/learning_rate").set_value(0.005).run()
    changed = app.dataframe[0].value
    assert "Learning rate" in changed["Setting"].tolist()
    app.segmented_control(key="face").set_value("Simple").run()  # out of sight, still in force
    assert "Learning rate" in app.dataframe[0].value["Setting"].tolist()


def test_choices_survive_a_visit_to_another_page(open_page, table_id):
    app = open_page("finetune", table=table_id)
    app.number_input(key=f"setting/{table_id}/horizon").set_value(17).run()
    app.switch_page("data.py").run()
    app.switch_page("finetune.py").run()
    assert app.query_params["table"] == table_id
    assert app.number_input(key=f"setting/{table_id}/horizon").value == 17


def test_another_backbone_must_be_named(open_page, table_id):
    app = open_page("finetune", table=table_id)
    app.selectbox(key=f"setting/{table_id}/catalogue").select("another model").run()
    assert start_button(app).disabled
    assert any("Name a backbone first" in caption.value for caption in app.caption)


def test_code_of_a_backbone_is_run_only_with_a_warning_and_for_that_one_alone(open_page, table_id):
    app = open_page("finetune", table=table_id)
    app.segmented_control(key="face").set_value("Advanced").run()
    assert not app.warning
    app.toggle(key=f"setting/{table_id}/trust_remote_code").set_value(True).run()
    assert "smollm2-135m** will run on this machine, with all your rights" in app.warning[0].value
    app.segmented_control(key="face").set_value("Simple").run()  # out of sight, still in force
    assert app.warning
    app.selectbox(key=f"setting/{table_id}/catalogue").select("all-minilm-l6-v2").run()
    assert not app.warning and not app.exception
    app.segmented_control(key="face").set_value("Advanced").run()
    assert app.toggle(key=f"setting/{table_id}/trust_remote_code").value is False


def test_code_of_a_backbone_cannot_be_switched_on_where_the_operator_has_not_agreed(open_page, table_id, monkeypatch):
    monkeypatch.setenv("TIMELLM_REACHED_BY_OTHERS", "1")
    app = open_page("finetune", table=table_id)
    app.segmented_control(key="face").set_value("Advanced").run()
    toggle = app.toggle(key=f"setting/{table_id}/trust_remote_code")
    assert toggle.disabled
    assert "TIMELLM_ALLOW_REMOTE_CODE=1" in toggle.help
    # A browser can send what no widget offers, and the form can be filled with a run's settings.
    app.session_state[f"setting/{table_id}/trust_remote_code"] = True
    app.run()
    assert not app.exception
    assert app.toggle(key=f"setting/{table_id}/trust_remote_code").value is False
    monkeypatch.setenv("TIMELLM_ALLOW_REMOTE_CODE", "1")
    app.run()
    assert not app.toggle(key=f"setting/{table_id}/trust_remote_code").disabled


def test_usual_name_says_what_differs_from_the_usual_settings(open_page, table_id):
    app = open_page("finetune", table=table_id)
    name = next(one for one in app.text_input if one.label == "Name")
    assert name.placeholder == "Plant load, SmolLM2 135M Instruct"
    next(one for one in app.number_input if one.label == "Steps at most").set_value(30).run()
    assert next(one for one in app.text_input if one.label == "Name").placeholder.endswith(", Steps at most 30")


def test_notes_are_written_in_lines_and_what_the_prompt_says_is_shown(open_page, table_id, launched, store):
    app = open_page("finetune", table=table_id)
    app.segmented_control(key="face").set_value("Advanced").run()
    notes = app.text_area(key=f"setting/{table_id}/dated_notes")
    app.toggle(key=f"setting/{table_id}/prompt_calendar").set_value(True)
    notes.set_value("2024-01-01 New year\n1.2.2024 Fair").run()
    assert not app.exception and start_button(app).disabled
    said = [caption.value.replace("\\", "") for caption in app.caption]
    assert any("'dated_notes', line 2 begins with '1.2.2024', which is no date" in text for text in said)
    assert not app.error, "the split is not to blame"

    notes.set_value("2024-01-01 New year").run()
    assert not start_button(app).disabled
    said = [caption.value.replace("\\", "") for caption in app.caption]
    assert any("Of the time after the table's end: The forecast begins on " in text for text in said)
    start_button(app).click().run()
    (run,) = store.runs()
    assert run.config.model.prompt_calendar and run.config.model.dated_notes == "2024-01-01 New year"


def test_missing_holidays_are_told_before_the_start(open_page, table_id, monkeypatch):
    monkeypatch.setitem(sys.modules, "holidays", None)
    app = open_page("finetune", table=table_id)
    app.segmented_control(key="face").set_value("Advanced").run()
    app.text_input(key=f"setting/{table_id}/holiday_country").set_value("AU").run()
    assert not app.exception
    assert any("needs the package holidays" in error.value for error in app.error)


@pytest.mark.parametrize("face", keys.FACES)
def test_every_forecaster_can_be_chosen(open_page, table_id, face):
    app = open_page("finetune", table=table_id, face=face)
    assert next(one for one in app.segmented_control if one.label == "Settings").value == face
    for kind in OFFERED:
        app.selectbox(key=f"setting/{table_id}/kind").set_value(kind).run()
        assert not app.exception, kind
        assert not start_button(app).disabled or OFFERED[kind].extra, kind


def test_exact_prompt_of_one_window_is_shown_with_its_token_count_on_request(open_page, table_id, tiny_backbone):
    app = open_page("finetune", table=table_id)
    app.selectbox(key=f"setting/{table_id}/catalogue").select("another model").run()
    app.text_input(key=f"setting/{table_id}/other-backbone").set_value(str(tiny_backbone)).run()
    app.number_input(key=f"setting/{table_id}/layers").set_value(1)
    shows = f"setting/{table_id}/prompt_preview"
    assert not any("tokens**" in caption.value for caption in app.caption)
    app.toggle(key=shows).set_value(True).run()
    assert not app.exception
    (said,) = [caption.value for caption in app.caption if "tokens**" in caption.value]
    assert said.startswith("load, the last window of the test part")
    drawn = "".join(block.proto.body for block in app.get("html"))
    assert "Plant" in re.sub("<[^>]+>", "", drawn)  # the description
    app.number_input(key=f"setting/{table_id}/context").set_value(500).run()
    assert not app.exception
    assert any("500" in caption.value for caption in app.caption)
