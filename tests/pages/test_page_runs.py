"""The runs screen: what it shows of each state, and what it lets one do."""

import json
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from timellm.config import RunConfig
from timellm.data.prepared import PreparedData
from timellm.data.samples import find_sample
from timellm.data.table import load_table
from timellm.files.sealed import write_sealed_json
from timellm.forecasting.quick import QuickForecasters
from timellm.forecasting.validation import write_references
from timellm.jobs.local.actions import label
from timellm.jobs.store.process import this_process
from timellm.jobs.store.schema import curves, runs
from timellm.training.pinned import PINNED, PinnedWindows
from timellm.training.progress import Progress
from timellm.workspace import PROJECT, workspace


def button(app, label):
    return next(one for one in app.button if one.label == label)


def test_running_run_shows_phase_bar_time_left_and_curves(open_page, queued, store):
    assert store.claim(queued.id, process=this_process())
    store.record(queued.id, Progress("training", 10, 20, fraction=0.5, eta_s=90, train_loss=0.8, windows_per_s=12.5))
    app = open_page("runs", run=queued.id)
    assert not app.exception
    assert 0 < app.progress[0].value < 100
    assert app.progress[0].text == "Training, step 10 of 20 · at most 1 min 30 s left"
    assert app.get("vega_lite_chart")
    assert {metric.label: metric.value for metric in app.metric}["Windows a second"] == "12.5"


def test_bar_stays_below_the_end_until_the_run_has_ended(open_page, queued, store):
    store.claim(queued.id, process=this_process())
    store.record(queued.id, Progress("evaluating", 100, 100, fraction=1.0, eta_s=0))
    app = open_page("runs", run=queued.id)
    assert app.progress[0].value < 100


def test_stop_asks_first_and_then_requests_it(open_page, queued, store):
    store.claim(queued.id, process=this_process())
    app = open_page("runs", run=queued.id)
    button(app, "Stop").click().run()
    assert not store.get(queued.id).stop_requested
    button(app, "Stop and keep the best so far").click().run()
    assert not app.exception
    assert store.get(queued.id).stop_requested
    assert "keep" in app.progress[0].text or "kept" in app.progress[0].text


def test_delete_asks_first_and_then_removes_row_and_folder(open_page, finished, store):
    app = open_page("runs", run=finished.id)
    button(app, "Delete").click().run()
    assert finished.run_dir.is_dir()
    button(app, "Delete the run").click().run()
    assert not app.exception
    assert not finished.run_dir.exists()
    assert store.runs() == ()


def test_failed_run_shows_its_cause(open_page, failed):
    app = open_page("runs", run=failed.id)
    assert "no connection" in app.error[0].value
    assert button(app, "Run again")


def test_run_again_starts_a_new_run_with_the_same_settings(open_page, failed, monkeypatch, store):
    monkeypatch.setattr("timellm.jobs.local.launcher.launch", lambda run, *, store: 0)
    app = open_page("runs", run=failed.id)
    button(app, "Run again").click().run()
    assert not app.exception
    newest = store.runs()[0]
    assert newest.id != failed.id
    assert newest.config == failed.config
    assert app.query_params["run"] == newest.id


def test_table_lists_every_run_with_its_state_as_a_word(open_page, queued, failed, finished):
    app = open_page("runs")
    listed = app.dataframe[0].value
    assert set(listed["State"]) == {"queued", "failed", "finished"}
    assert listed.loc[listed["State"] == "finished", "Skill"].item() == 25


def test_finished_run_leads_to_its_results(open_page, finished):
    app = open_page("runs", run=finished.id)
    assert [link.label for link in app.page_link] == ["Compare", "**Forecast**", "**Metrics**", "**Attention**"]
    assert not app.progress


def ended(store, config, name):
    run = store.create_run(config, name=name)
    return store.finish(run.id, "finished", summary={"skill": 0.1})


def test_run_leads_only_to_what_its_forecaster_has(open_page, finished, store):
    trained = finished.config.updated(kind="dlinear", moving_average=5, steps=4, validations=2)
    shown = {}
    for name, config in (
        ("ridge", finished.config.updated(kind="ridge")),
        ("dlinear", trained),
        ("linear", finished.config.updated(reprogramming="linear")),
        ("prototypes", finished.config),
    ):
        app = open_page("runs", run=ended(store, config, name).id)
        assert not app.exception
        shown[name] = (
            "**Attention**" in [link.label for link in app.page_link],
            "Pinned windows" in [tab.label for tab in app.tabs],
        )
    assert shown == {
        "ridge": (False, False), "dlinear": (False, True), "linear": (False, True), "prototypes": (True, True),
    }  # fmt: skip


def test_tab_that_a_run_does_not_have_is_left_for_one_that_it_has(open_page, finished, store):
    ridge = ended(store, finished.config.updated(kind="ridge"), "A ridge")
    app = open_page("runs", run=ridge.id, tab="Pinned windows")
    assert not app.exception
    assert any("asks for the tab “Pinned windows”, which is not here" in one.value for one in app.info)
    assert [tab.label for tab in app.tabs] == ["Progress", "Settings", "History"]


def test_failed_run_is_resumed_in_its_folder(open_page, failed, monkeypatch, store):
    launched = []
    monkeypatch.setattr("timellm.jobs.local.launcher.launch", lambda run, *, store: launched.append(run.id))
    assert not any(one.label == "Resume" for one in open_page("runs", run=failed.id).button)
    failed.run_dir.mkdir(parents=True, exist_ok=True)
    failed.state_file.write_bytes(b"where it stood")
    app = open_page("runs", run=failed.id)
    button(app, "Resume").click().run()
    assert not app.exception
    assert launched == [failed.id]
    assert store.get(failed.id).state == "queued"
    assert failed.state_file.exists()


def test_failed_run_starts_over_in_place(open_page, failed, monkeypatch, store):
    monkeypatch.setattr("timellm.jobs.local.launcher.launch", lambda run, *, store: 0)
    failed.run_dir.mkdir(parents=True, exist_ok=True)
    failed.state_file.write_bytes(b"where it stood")
    app = open_page("runs", run=failed.id)
    button(app, "Start over in place").click().run()
    assert not app.exception
    assert store.get(failed.id).state == "queued"
    assert not failed.state_file.exists()


def test_stop_now_ends_a_run_without_evaluation(open_page, queued, store):
    store.claim(queued.id, process=this_process())
    app = open_page("runs", run=queued.id)
    button(app, "Stop").click().run()
    button(app, "Stop at once, without results").click().run()
    assert not app.exception
    assert store.get(queued.id).state == "stopped"
    assert "without evaluation" in app.dataframe[-1].value["Detail"].iloc[-1]


def test_name_tags_and_note_are_saved(open_page, failed, store):
    app = open_page("runs", run=failed.id)
    field = {one.label: one for one in app.text_input}
    field["Name"].input("A better name")
    field["Tags"].input("paper, wide")
    app.text_area[0].input("Ask *nobody* about this one")
    button(app, "Save").click().run()
    assert not app.exception
    now = store.get(failed.id)
    assert (now.name, now.tags, now.note) == ("A better name", ("paper", "wide"), "Ask *nobody* about this one")
    assert "A better name" in app.header[0].value
    assert any("nobody" in one.value for one in app.caption)


def test_settings_of_a_run_fill_the_form(open_page, failed, table_id):
    app = open_page("runs", run=failed.id)
    button(app, "Change settings and run").click().run()
    assert not app.exception
    assert app.title[0].value == "Fine-tune"
    numbers = {one.label: one.value for one in app.number_input}
    assert numbers["Context, rows"] == failed.config.model.context == 48
    assert numbers["Horizon, rows"] == failed.config.model.horizon == 12
    assert app.query_params["table"] == table_id


def test_settings_of_a_run_on_a_sample_where_earlier_versions_kept_it_fill_the_form(open_page, store):
    old = PROJECT / "data" / "samples" / find_sample("seattle-weather").path.name
    run = store.create_run(RunConfig.create(old))
    config = json.loads(run.config.to_json())
    config["data"]["path"] = str(old)  # a new run names the file itself
    with store.database.writing() as connection:
        connection.execute(sa.update(runs).values(config=json.dumps(config), state="failed"))
    app = open_page("runs", run=run.id)
    button(app, "Change settings and run").click().run()
    assert not app.exception
    assert app.query_params["table"] == "sample:seattle-weather"


def test_run_whose_table_is_gone_says_so_instead_of_filling_the_form(open_page, failed):
    Path(failed.config.data.path).unlink()
    app = open_page("runs", run=failed.id)
    button(app, "Change settings and run").click().run()
    assert not app.exception
    assert "is not among the tables here" in app.error[0].value


def test_waiting_run_shows_its_place_and_is_moved(open_page, queued, store):
    other = store.create_run(queued.config, name="The *other* one")
    app = open_page("runs", run=other.id)
    assert "Place 2 of 2 in the queue, behind **Waiting run**." in [one.value for one in app.caption]
    assert button(app, "Down").disabled
    button(app, "First").click().run()
    assert not app.exception
    assert [run.id for run in store.waiting()] == [other.id, queued.id]
    assert button(app, "Up").disabled
    button(app, "Down").click().run()
    assert [run.id for run in store.waiting()] == [queued.id, other.id]


def test_waiting_run_is_withdrawn(open_page, queued, store):
    app = open_page("runs", run=queued.id)
    button(app, "Withdraw").click().run()
    assert not app.exception
    assert store.get(queued.id).state == "stopped"


def test_waiting_run_goes_back_to_the_form_and_is_saved(open_page, queued, store):
    app = open_page("runs", run=queued.id)
    button(app, "Edit").click().run()
    app.switch_page("finetune.py").run()  # the harness would go back to the page it was at
    horizon = next(one for one in app.number_input if one.label == "Horizon, rows")
    horizon.set_value(6).run()
    button(app, "Save the waiting run").click().run()
    assert not app.exception
    (run,) = store.runs()
    assert (run.id, run.state, run.name) == (queued.id, "queued", "Waiting run")
    changed = queued.config.updated(horizon=6)
    assert (run.config.model, run.config.trained) == (changed.model, changed.training)
    assert [event.kind for event in store.events(run.id)] == ["queued", "edited"]


def test_form_starts_a_run_of_its_own_when_the_waiting_one_has_begun(open_page, queued, store):
    app = open_page("runs", run=queued.id)
    button(app, "Edit").click().run()
    app.switch_page("finetune.py").run()
    assert button(app, "Leave it as it is")
    store.claim(queued.id, process=this_process())
    app.run()
    assert not app.exception
    assert button(app, "Start fine-tuning")
    assert store.get(queued.id).config == queued.config


def search_box(app):
    return app.text_input[0]


def test_search_narrows_the_table_and_says_by_how_much(open_page, queued, failed, finished):
    app = open_page("runs")
    search_box(app).set_value("finished run").run()
    assert not app.exception
    assert app.dataframe[0].value["Run"].tolist() == ["Finished run"]
    assert any(one.value.startswith("1 of 3 runs: “finished run”.") for one in app.caption)


def test_filters_come_from_the_address(open_page, queued, failed, finished, store):
    label(store, failed.id, tags=["paper"], note="")
    app = open_page("runs", tag="paper")
    assert app.dataframe[0].value["Run"].tolist() == ["Failed run"]
    app = open_page("runs", sort="By name")
    assert app.dataframe[0].value["Run"].tolist() == ["Failed run", "Finished run", "Waiting run"]


def test_search_that_finds_nothing_offers_to_clear_it(open_page, queued, failed):
    app = open_page("runs", q="no such *thing*")
    assert "None of 2 runs matches “no such" in app.info[0].value
    button(app, "Clear search and filters").click().run()
    assert not app.exception
    assert len(app.dataframe[0].value) == 2


def test_running_run_shows_the_baseline_to_beat_and_its_whole_log(open_page, queued, store):
    assert store.claim(queued.id, process=this_process())
    store.record(queued.id, Progress("training", 10, 20, fraction=0.5, train_loss=0.8, validation_loss=0.7))
    queued.run_dir.mkdir(parents=True, exist_ok=True)
    (queued.run_dir / "validation_baselines.json").write_text('{"Seasonal naive": 0.6, "Last value": 2.5}')
    queued.log_file.write_text("".join(f"line {i}\n" for i in range(3000)))
    app = open_page("runs", run=queued.id)
    assert not app.exception
    spec = json.loads(app.get("vega_lite_chart")[0].proto.spec)
    assert spec["encoding"]["color"]["scale"]["domain"][-1] == "Seasonal naive"
    assert app.code[-1].value.splitlines()[-1] == "line 2999"
    assert any(one.proto.label == "Download the whole log" for one in app.get("download_button"))


def test_damaged_baselines_leave_the_curves_in_view(open_page, failed, store, queued):
    assert store.claim(queued.id, process=this_process())
    store.record(queued.id, Progress("training", 10, 20, fraction=0.5, train_loss=0.8))
    queued.run_dir.mkdir(parents=True, exist_ok=True)
    (queued.run_dir / "validation_baselines.json").write_text("{")
    app = open_page("runs", run=queued.id)
    assert not app.exception
    assert "no baseline" in app.error[0].value
    assert app.get("vega_lite_chart")


def keep_pinned(run, steps):
    """Pinned windows of a run as its training keeps them, with a forecast that is wrong by 10 - step."""
    prepared = PreparedData.of(load_table(run.config.data), run.config)
    validated = prepared.windows("validation").evenly(20)
    pinned = PinnedWindows(run.run_dir, prepared, validated, count=2, steps_per_epoch=4.0)
    run.run_dir.mkdir(parents=True, exist_ok=True)
    quick = QuickForecasters.fit(prepared, run.run_dir).rows
    write_references(run.run_dir, prepared, quick, validated=validated, pinned=pinned.positions)
    rows = validated.origin[:, None] + np.arange(12)
    for step in steps:
        wrong = (prepared.values[rows, validated.channel[:, None]] + 10 - step).astype(np.float32)
        mean, scale = (array[validated.channel, None] for array in (prepared.scaler.mean, prepared.scaler.scale))
        pinned.add(step, (wrong - mean) / scale)


def test_pinned_windows_are_scrubbed_through(open_page, finished):
    keep_pinned(finished, [2, 4, 6])
    app = open_page("runs", run=finished.id)
    assert not app.exception
    said = [one.value for one in app.caption if "Error " in one.value]
    assert len(said) == 2 and all("Error 4.00, its lowest" in one for one in said)
    app.select_slider[0].set_value(0).run()
    assert not app.exception
    said = [one.value for one in app.caption if "Error " in one.value]
    assert all("Error 8.00, lowest 4.00 at step 6" in one for one in said)


def test_new_validation_is_followed_only_when_the_newest_was_in_view(open_page, queued, store):
    keep_pinned(queued, [2])
    app = open_page("runs", run=queued.id)
    assert any(one.value.startswith("step 2, epoch 0.50. Later validations") for one in app.caption)
    keep_pinned_more(queued, app, [2, 4])
    assert app.select_slider[0].value == 1
    app.select_slider[0].set_value(0).run()
    keep_pinned_more(queued, app, [2, 4, 6])
    assert not app.exception
    assert app.select_slider[0].value == 0


def keep_pinned_more(run, app, steps):
    (run.run_dir / PINNED).unlink()
    keep_pinned(run, steps)
    app.run()


def test_run_without_pinned_windows_says_why(open_page, finished, queued, store):
    app = open_page("runs", run=finished.id)
    assert any("an earlier version made it" in one.value for one in app.caption)
    app = open_page("runs", run=queued.id)
    assert any("appear here with the first validation" in one.value for one in app.caption)


def test_damaged_pinned_windows_leave_the_rest_of_the_page(open_page, finished):
    keep_pinned(finished, [2, 4])
    (finished.run_dir / PINNED).write_bytes(b"PAR1")
    app = open_page("runs", run=finished.id)
    assert not app.exception
    assert "The pinned windows of this run cannot be shown" in app.error[0].value
    assert any(one.label == "All settings" for one in app.expander)


def test_run_with_every_setting_at_its_default_says_so_and_prints_nothing_else(open_page, table_id, store):
    run = store.create_run(RunConfig.create(workspace().uploads / table_id), name="Usual")
    app = open_page("runs", run=run.id)
    assert not app.exception
    assert any(one.value == "Every setting is at its default." for one in app.markdown)
    assert not app.get("help_info")


def test_run_that_is_gone_is_named_and_the_list_is_shown(open_page, finished, failed, store):
    store.delete(failed.id)
    app = open_page("runs", run=failed.id)
    assert not app.exception and not app.error
    assert f"There is no run {failed.id} here" in app.info[0].value
    assert app.dataframe[0].value["Run"].tolist() == ["Finished run"]
    assert app.header[0].value == "Finished run"
    store.delete(finished.id)
    app = open_page("runs", run=finished.id)
    assert f"There is no run {finished.id} here" in app.info[0].value
    assert any("There is no run yet" in one.value for one in app.markdown)


def test_run_deleted_in_another_tab_while_it_is_watched_is_named(open_page, queued, finished, store):
    app = open_page("runs", run=queued.id)
    store.request_stop(queued.id)
    store.delete(queued.id)
    app.run()
    assert not app.exception and not app.error
    assert f"There is no run {queued.id} here" in app.info[0].value


def test_settings_and_files_of_a_run_show_no_server_path(open_page, finished, home):
    app = open_page("runs", run=finished.id)
    shown = [one.value for kind in ("markdown", "caption") for one in app.get(kind)]
    shown += [one.value.to_csv() for one in app.dataframe]
    assert any("Plant load" in one for one in shown)
    assert not any(str(home) in one for one in shown)


def test_stop_dialog_says_what_each_way_does_to_the_results(open_page, queued, store):
    def said():
        app = open_page("runs", run=queued.id)
        button(app, "Stop").click().run()
        assert not app.exception
        assert [one.label for one in app.button if one.label in ("Keep training", "Go on", "Stop now")] == [
            "Keep training"
        ]
        return "\n".join(one.value for one in app.caption)

    store.claim(queued.id, process=this_process())
    assert "there will be no results" in said() and "can only start over" in said()
    store.record(queued.id, Progress("training", 3, 20, fraction=0.1, train_loss=0.8))
    queued.run_dir.mkdir(parents=True, exist_ok=True)
    queued.state_file.write_bytes(b"where it stood")
    assert "forecast, metrics and attention are there" in said() and "continues from the last saved step" in said()


def test_columns_without_a_value_are_left_out_and_equal_names_are_told_apart(open_page, queued, table_id, store):
    twin = store.create_run(queued.config, name=queued.name)
    listed = open_page("runs").dataframe[0].value
    assert "Skill" not in listed and "Tags" not in listed and "Best validation MSE" not in listed
    assert listed["Run"].tolist() == [f"Waiting run ({run_id[-5:]})" for run_id in (twin.id, queued.id)]
    label(store, queued.id, tags=["paper"], note="")
    assert "Tags" in open_page("runs").dataframe[0].value


def test_runs_are_ticked_by_name_too(open_page, finished, failed):
    app = open_page("runs")
    box = next(one for one in app.multiselect if one.label == "Runs to compare")
    box.set_value([finished.id, failed.id]).run()
    assert not app.exception
    assert any(link.label == "Compare 2 runs" for link in app.page_link)


@pytest.mark.parametrize("odd", [float("inf"), float("nan")])
def test_run_whose_numbers_are_no_numbers_is_shown(open_page, finished, store, odd):
    numbers = {"seconds": odd, "skill": odd, "best_step": 3, "best_validation_loss": odd, "test": {"mae": odd}}
    kept = json.dumps(
        numbers
        | {"memory_mib": odd, "test_windows": odd, "steps": odd, "training_seconds": odd, "evaluation_seconds": odd}
    )
    measured = dict.fromkeys(("train_loss", "validation_loss", "best_validation_loss", "memory_mib", "eta_s"), odd)
    with store.database.writing() as connection:  # as an earlier version, or PostgreSQL, may hold them
        connection.execute(sa.update(runs).values(summary=kept, windows_per_s=odd, **measured))
        rows = [{"run_id": finished.id, "step": step, "train_loss": odd, "validation_loss": odd} for step in (1, 2)]
        connection.execute(sa.insert(curves), [*rows, {**rows[0], "step": 3, "train_loss": 0.5}])
    write_sealed_json(finished.run_dir / "validation_baselines.json", {"Seasonal naive": 0.5})
    other = store.create_run(finished.config, name="Another")
    for page in ("overview", "runs", "forecast", "metrics", "attention", "finetune"):
        assert not open_page(page, run=finished.id).exception, page
    assert not open_page("compare", runs=f"{finished.id},{other.id}").exception


def test_damaged_outcome_of_one_run_hides_no_other(open_page, finished, stopped, store):
    with store.database.writing() as connection:
        connection.execute(sa.update(runs).where(runs.c.id == stopped.id).values(summary="[" * 5000))
    assert "cannot be read from the store: it is nested" in store.get(stopped.id).summary["notes"][0]
    for page in ("overview", "runs"):
        app = open_page(page, run=finished.id)
        assert not app.exception
        assert not app.error
