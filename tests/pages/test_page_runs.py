"""The runs screen: what it shows of each state, and what it lets one do."""

from timellm.jobs.process import this_process
from timellm.training.progress import Progress


def button(app, label):
    return next(one for one in app.button if one.label == label)


def test_running_run_shows_phase_bar_time_left_and_curves(open_page, queued, store):
    assert store.claim(queued.id, process=this_process())
    store.record(queued.id, Progress("training", 10, 20, fraction=0.5, eta_s=90, train_loss=0.8, windows_per_s=12.5))
    app = open_page("runs", run=queued.id)
    assert not app.exception
    assert 0 < app.progress[0].value < 100
    assert app.progress[0].text == "Training, step 10 of 20 · 1 min 30 s left"
    assert app.get("vega_lite_chart")
    assert {metric.label: metric.value for metric in app.metric}["Throughput"] == "12.5 windows/s"


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
    button(app, "Stop the run").click().run()
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
    monkeypatch.setattr("timellm.jobs.launcher.launch", lambda run, *, store: 0)
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
    assert [link.label for link in app.page_link] == ["**Forecast**", "**Metrics**", "**Attention**"]
    assert not app.progress
