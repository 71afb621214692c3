"""Each screen in its empty, ready and failed state: no exception, and a sentence on what to do next."""

import pytest
from streamlit.testing.v1 import AppTest

PAGES = ("overview", "data", "finetune", "runs", "forecast", "metrics", "attention")
RESULT_PAGES = ("forecast", "metrics", "attention")


def text(app: AppTest) -> str:
    """Everything on the page that is written in words."""
    parts = [
        element.value
        for kind in ("title", "header", "markdown", "caption", "info", "error")
        for element in app.get(kind)
    ]
    return "\n".join(str(part) for part in parts)


@pytest.mark.parametrize("page", PAGES)
def test_page_without_any_table_or_run_says_what_to_do_next(open_page, page):
    app = open_page(page)
    assert not app.exception
    assert not app.error
    assert not app.warning
    if page != "data":
        assert any("data.py" in link.proto.page or link.proto.page == "data" for link in app.page_link)


@pytest.mark.parametrize("page", PAGES)
def test_page_with_a_finished_run_is_ready(open_page, finished, table_id, page):
    app = open_page(page, table=table_id, run=finished.id)
    assert not app.exception
    assert not app.error
    assert not app.warning
    assert "Choose a table" not in text(app)


@pytest.mark.parametrize("page", RESULT_PAGES)
def test_result_page_of_a_run_stopped_with_a_checkpoint_shows_it(open_page, stopped, page):
    app = open_page(page, run=stopped.id)
    assert not app.exception
    assert not app.error
    assert app.get("plotly_chart")


@pytest.mark.parametrize("page", RESULT_PAGES)
def test_result_page_of_a_run_stopped_before_its_first_checkpoint_says_so(open_page, queued, store, page):
    store.request_stop(queued.id)
    app = open_page(page, run=queued.id)
    assert not app.exception
    assert "stopped before its first checkpoint" in app.info[0].value


@pytest.mark.parametrize("page", RESULT_PAGES)
def test_result_page_of_a_failed_run_says_why_and_leads_to_its_log(open_page, failed, page):
    app = open_page(page, run=failed.id)
    assert not app.exception
    assert "no connection" in app.error[0].value
    assert app.page_link[0].label == "See its log"


@pytest.mark.parametrize("page", RESULT_PAGES)
def test_result_page_of_a_waiting_run_leads_to_where_it_is_watched(open_page, queued, page):
    app = open_page(page, run=queued.id)
    assert not app.exception
    assert "when the run has ended" in text(app)
    assert app.page_link[0].label == "Watch the run"


@pytest.mark.parametrize("page", RESULT_PAGES)
def test_result_page_of_a_damaged_run_stays_usable(open_page, finished, page):
    for name in ("table.json", "scores.json"):
        (finished.run_dir / name).write_text("{")
    app = open_page(page, run=finished.id)
    assert not app.exception
    assert "is damaged" in app.error[0].value
    assert app.selectbox[0].label == "Run"


@pytest.mark.parametrize("page", (*RESULT_PAGES, "runs"))
def test_page_of_a_run_that_is_gone_says_so_once(open_page, finished, page):
    app = open_page(page, run="20200101-0000-zzzzz")
    assert not app.exception
    assert not app.error
    assert "There is no run 20200101-0000-zzzzz" in text(app).replace("\\", "")
    assert page == "runs" or [link.label for link in app.page_link] == ["All runs"]
    app.run()  # the id is forgotten, so the next visit shows the newest run
    assert not app.error
    assert app.query_params["run"] == finished.id


@pytest.mark.parametrize("page", RESULT_PAGES)
def test_run_that_is_deleted_while_its_page_is_open_leaves_a_way_on(open_page, finished, store, page):
    app = open_page(page, run=finished.id)
    store.delete(finished.id)
    app.run()
    assert not app.exception
    assert not app.error
    assert f"There is no run {finished.id}" in text(app).replace("\\", "")


def test_compared_run_that_is_deleted_while_the_page_is_open_is_left_out(open_page, finished, stopped, store):
    app = open_page("compare", runs=f"{finished.id},{stopped.id}")
    assert not app.error
    store.delete(stopped.id)
    app.run()
    assert not app.exception
    assert not app.error
    assert "Left out, because there is no such run" in text(app)


@pytest.mark.parametrize(("page", "what"), [("forecast", "forecast"), ("metrics", "metrics"), ("attention", "heatmap")])
def test_sentence_on_what_is_missing_is_a_sentence(open_page, failed, queued, page, what):
    said = text(open_page(page, run=failed.id))
    assert f"so it has no {'attention ' * (page == 'attention')}{what}" in said
    said = text(open_page(page, run=queued.id))
    assert f"shows the {'attention ' * (page == 'attention')}{what} when the run has ended" in said


@pytest.mark.parametrize("page", RESULT_PAGES)
def test_sentence_of_a_page_without_results_is_as_wide_as_the_page(open_page, failed, page):
    app = open_page(page, run=failed.id)
    assert app.error
    assert not any(column.error or column.get("page_link") for column in app.columns), "it was squeezed into a column"


@pytest.mark.parametrize("page", RESULT_PAGES)
def test_sentence_of_a_page_without_any_run_is_as_wide_as_the_page(open_page, page):
    app = open_page(page)
    assert "There is no run yet" in text(app)
    assert not any(column.markdown for column in app.columns), "it was squeezed into a column"
