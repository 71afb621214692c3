"""The Metrics page asks whether the language model earns its cost: before the twins, while they work, and after."""

import pytest

from tests.pages.conftest import fill
from timellm.forecasting.artifacts import RunFolder
from timellm.jobs.local.actions import label
from timellm.jobs.local.twins import Original, find_twins, start_twins

QUESTION = "Is the language model earning its cost?"


def button(app, label):
    return next(one for one in app.button if one.label == label)


def twins_of(run, store):
    return find_twins(Original.of(run.run_dir, name=run.name), store)


def finish(one, store):
    """Fill a twin's folder with the scores that every run of these tests has, and end it."""
    fill(RunFolder(one.run.run_dir), one.run.config.updated(kind="time_llm"))
    RunFolder(one.run.run_dir).save_summary({"model": "Time-LLM", "seconds": 3.0, "memory_mib": 500.0})
    store.finish(one.run.id, "finished", summary={"model": "Time-LLM", "seconds": 3.0, "memory_mib": 500.0})


@pytest.fixture
def started(finished, store):
    """The finished run with all twins in the queue."""
    start_twins(Original.of(finished.run_dir, name=finished.name), store)
    return twins_of(finished, store)


def test_one_click_puts_the_twins_into_the_queue(open_page, finished, store):
    app = open_page("metrics", run=finished.id)
    assert QUESTION in [one.value for one in app.header]
    assert any("Train 7 twins of this run" in one.value for one in app.markdown)
    button(app, "Train the twins").click().run()
    assert not app.exception and not app.error
    assert [run.name for run in store.waiting()][:2] == ["No prompt: Finished run", "No reprogramming: Finished run"]
    assert len(store.waiting()) == 7
    assert not any(one.label == "Train the twins" for one in app.button)


def test_twins_at_work_are_counted(open_page, finished, store, started):
    finish(started[-1], store)
    app = open_page("metrics", run=finished.id)
    assert not app.exception and not app.error
    assert app.get("progress")[0].proto.text == "1 of 7 twins have finished, 6 waiting."
    states = next(one.value for one in app.dataframe if "State" in one.value.columns)
    assert states["State"].tolist() == ["waiting"] * 6 + ["finished"]


def test_finished_twins_have_a_table_and_a_sentence(open_page, finished, store, started):
    for one in started:
        finish(one, store)
    app = open_page("metrics", run=finished.id)
    assert not app.exception and not app.error
    said = next(one.value for one in app.warning if "linear path" in one.value).replace("\\", "")
    assert said.startswith("No: the linear path alone is as good: the MSE is ")
    table = next(one.value for one in app.dataframe if "change" in one.value.columns)
    assert table["twin"].tolist() == ["This run", *(one.twin.title for one in started)]
    assert table["change"].tolist()[1:] == pytest.approx([0.0] * 7) and table["seconds"].tolist()[1:] == [3.0] * 7
    board = next(one.value for one in app.dataframe if "rank" in one.value.columns)
    assert [name for name in board["model"] if name.startswith("Time-LLM")] == ["Time-LLM (this run)"]


def test_failed_twin_says_why_and_can_be_trained_again(open_page, finished, store, started):
    store.finish(started[0].run.id, "failed", error="the disk is full")
    for one in started[1:]:
        finish(one, store)
    app = open_page("metrics", run=finished.id)
    assert not app.exception
    assert any("No prompt failed: the disk is full" in one.value.replace("\\", "") for one in app.caption)
    assert any("The sentence leaves them out." in one.value for one in app.caption)
    table = next(one.value for one in app.dataframe if "change" in one.value.columns)
    assert len(table) == 7 and "No prompt" not in table["twin"].tolist()
    button(app, "Train what is missing").click().run()
    assert not app.exception and [run.id for run in store.waiting()] == [started[0].run.id]


def test_all_twins_failed_leaves_no_sentence(open_page, finished, store, started):
    for one in started:
        store.finish(one.run.id, "failed", error="no memory")
    app = open_page("metrics", run=finished.id)
    assert not app.exception and not app.error
    assert sum("failed: no memory" in one.value.replace("\\", "") for one in app.caption) == 7
    assert not any("change" in one.value.columns for one in app.dataframe)


def test_twins_whose_table_is_gone_are_not_started_and_the_page_says_so(open_page, finished, store):
    app = open_page("metrics", run=finished.id)
    table = RunFolder(finished.run_dir).config().data.path
    (finished.run_dir / "config.json").write_text(
        RunFolder(finished.run_dir).config().updated(path=table + ".gone").to_json()
    )
    button(app, "Train the twins").click().run()
    assert any("The twins were not started" in one.value and "put it back" in one.value for one in app.error)
    assert not store.waiting()


def test_damaged_twin_spoils_nothing_else(open_page, finished, store, started):
    for one in started:
        finish(one, store)
    (started[2].run.run_dir / "window_errors.parquet").unlink()
    app = open_page("metrics", run=finished.id)
    assert not app.exception
    assert any("The twins cannot be compared" in one.value and "Random weights" in one.value for one in app.error)
    assert any("rank" in one.value.columns for one in app.dataframe) and app.get("plotly_chart")


@pytest.mark.parametrize("settings", [{"kind": "ridge"}, {"body": "attention"}])
def test_run_without_a_language_model_is_not_asked(open_page, finished, store, settings):
    run = store.create_run(finished.config.updated(**settings), name="Other")
    fill(RunFolder(run.run_dir), finished.config)
    label(store, run.id, tags=["mine"], note="")
    store.finish(run.id, "finished", summary={"skill": 0.1})
    app = open_page("metrics", run=run.id)
    assert not app.exception
    assert QUESTION not in [one.value for one in app.header]
