"""The report is offered wherever a run's results are, made when it is asked for, and refused with its reason."""

from __future__ import annotations

import pytest

from timellm.forecasting.artifacts import RunFolder


@pytest.mark.parametrize("page", ["forecast", "metrics"])
def test_report_is_offered_on_a_page_of_results(open_page, finished, page):
    app = open_page(page, run=finished.id)
    assert not app.exception and app.button(key=f"{page}/make-report").label == "Make the report"


def test_report_is_made_when_it_is_asked_for(open_page, finished):
    app = open_page("runs", run=finished.id)
    assert not app.exception and not [one for one in app.get("download_button") if "report" in one.label]
    app.button(key="runs/make-report").click().run()
    assert not app.exception and not app.error
    _, html, script = app.session_state["report/made"]
    assert RunFolder(finished.run_dir).verdict("mae").sentence()[:40] in html and "Attention</h2>" in html
    assert finished.name in html and "timellm.RunConfig.create" in script
    labels = [one.label for one in app.get("download_button")]
    assert any(one.startswith("Download the report") for one in labels)
    assert "Download a Python program that repeats the run" in labels


def test_report_of_compared_runs_has_no_program(open_page, finished, stopped):
    app = open_page("compare", runs=f"{finished.id},{stopped.id}")
    app.button(key="compare/make-report").click().run()
    assert not app.exception and not app.error
    _, html, script = app.session_state["report/made"]
    assert "Comparison of 2 runs" in html and script == ""


def test_report_of_another_run_is_not_offered(open_page, finished, stopped):
    app = open_page("forecast", run=finished.id)
    app.button(key="forecast/make-report").click().run()
    next(box for box in app.selectbox if box.label == "Run").set_value(stopped.id).run()
    assert not app.exception
    assert not any(one.label.startswith("Download the report") for one in app.get("download_button"))


def test_report_of_a_damaged_run_is_refused_with_its_reason(open_page, finished):
    app = open_page("runs", run=finished.id)
    (finished.run_dir / "table.json").write_text("{")
    app.button(key="runs/make-report").click().run()
    assert not app.exception
    assert "table.json is damaged" in app.error[0].value.replace("\\", "")
