"""Presets on the set-up screen: one click sets the form, changes are counted, and the same click undoes them."""

import pytest


@pytest.fixture
def form(open_page, table_id):
    """The set-up screen with every setting on it."""
    app = open_page("finetune", table=table_id)
    app.segmented_control(key="face").set_value("Advanced").run()
    assert not app.exception
    return app


def choose(app, name):
    app.button(key=f"finetune/preset/{name}").click().run()
    assert not app.exception


def state(app):
    """What the closed picker says."""
    (popover,) = app.get("popover")
    return popover.proto.popover.label.removeprefix("Preset: ")


def changes(app):
    """The table of changes below the picker."""
    return [row for table in app.dataframe if "Preset" in table.value for row in table.value.to_dict("records")]


def test_untouched_form_is_the_laptop_preset(form):
    assert state(form) == "Laptop CPU"
    assert changes(form) == []


def test_choosing_a_preset_sets_every_widget_it_names(form, table_id):
    choose(form, "paper")
    assert state(form) == "Paper"
    shown = {
        "number_input": {"layers": 32, "context": 512, "d_ff": 128, "batch_size": 192, "learning_rate": 4e-4},
        "selectbox": {"backbone_dtype": "bfloat16", "schedule": "cosine", "catalogue": "huggyllama/llama-7b"},
        "segmented_control": {"prototype_source": "map", "optimizer": "adam", "limit": "Steps"},
        "toggle": {"round_patches": True, "gradient_checkpointing": False},
    }  # fmt: skip
    for kind, settings in shown.items():
        for name, value in settings.items():
            assert getattr(form, kind)(key=f"setting/{table_id}/{name}").value == value, name


def test_changes_are_counted_and_undone_by_the_same_click(form, table_id):
    choose(form, "6gb")
    form.number_input(key=f"setting/{table_id}/layers").set_value(9)
    form.segmented_control(key=f"setting/{table_id}/limit").set_value("Minutes").run()
    assert state(form) == "6 GB GPU, 2 changed"
    assert changes(form) == [
        {"Setting": "Layers used", "This run": "9", "Preset": "18"},
        {"Setting": "Time budget, minutes", "This run": "5", "Preset": "not set"},
    ]
    choose(form, "6gb")
    assert state(form) == "6 GB GPU"
    assert form.number_input(key=f"setting/{table_id}/layers").value == 18
    assert form.segmented_control(key=f"setting/{table_id}/limit").value == "Steps"


def test_another_preset_takes_nothing_along_from_the_last(form, table_id):
    choose(form, "paper")
    choose(form, "laptop")
    assert state(form) == "Laptop CPU"
    assert form.selectbox(key=f"setting/{table_id}/catalogue").value == "smollm2-135m"
    assert form.segmented_control(key=f"setting/{table_id}/prototype_source").value == "direct"
    assert form.number_input(key=f"setting/{table_id}/clip_norm").value == 1.0


def test_what_is_asked_stays_whatever_the_preset(form, table_id):
    form.number_input(key=f"setting/{table_id}/horizon").set_value(7)
    form.number_input(key=f"setting/{table_id}/seed").set_value(3)
    form.multiselect(key=f"setting/{table_id}/channels").set_value(["load"]).run()
    choose(form, "24gb")
    assert state(form) == "24 GB GPU", "the horizon and the seed are no change of a preset"
    assert form.number_input(key=f"setting/{table_id}/horizon").value == 7
    assert form.number_input(key=f"setting/{table_id}/seed").value == 3
    assert form.multiselect(key=f"setting/{table_id}/channels").value == ["load"]


def test_holidays_and_notes_stay_unless_the_paper_is_repeated(form, table_id):
    typed = {"holiday_country": "AU-VIC", "dated_notes": "2024-01-26 a works holiday"}
    country, notes = (f"setting/{table_id}/{name}" for name in typed)
    form.text_input(key=country).set_value(typed["holiday_country"])
    form.text_area(key=notes).set_value(typed["dated_notes"])
    form.toggle(key=f"setting/{table_id}/prompt_calendar").set_value(True).run()
    assert state(form) == "Laptop CPU, 1 changed", "what is known of the data is no change of a preset"
    choose(form, "6gb")
    assert (form.text_input(key=country).value, form.text_area(key=notes).value) == tuple(typed.values())
    assert not form.toggle(key=f"setting/{table_id}/prompt_calendar").value
    choose(form, "paper")
    assert (form.text_input(key=country).value, form.text_area(key=notes).value) == ("", "")
    form.text_input(key=country).set_value("AU").run()
    assert changes(form) == [{"Setting": "Holiday country", "This run": "AU", "Preset": "not set"}]


def test_settings_out_of_sight_are_set_and_started_too(open_page, table_id, store, monkeypatch):
    monkeypatch.setattr("timellm.jobs.local.launcher.launch", lambda run, *, store: 0)
    app = open_page("finetune", table=table_id)
    choose(app, "6gb")
    next(button for button in app.button if button.label == "Start fine-tuning").click().run()
    (run,) = store.runs()
    assert (run.config.model.backbone, run.config.model.quantization) == ("Qwen/Qwen2.5-3B", "4bit")
    assert (run.config.trained.accumulation, run.config.trained.steps) == (4, 500)


def test_choice_survives_a_visit_to_another_page(form):
    choose(form, "24gb")
    form.switch_page("data.py").run()
    form.switch_page("finetune.py").run()
    assert state(form) == "24 GB GPU"


def test_invalid_settings_can_be_undone(form, table_id):
    form.number_input(key=f"setting/{table_id}/stride").set_value(17).run()
    assert state(form) == "Laptop CPU"
    choose(form, "laptop")
    assert form.number_input(key=f"setting/{table_id}/stride").value == 8
