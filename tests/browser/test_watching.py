"""Watching a run in a real browser: what the store says appears by itself, and a stop is asked for once more.

This process plays the worker, so that each moment of the run can be looked at.
"""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from timellm.config import RunConfig
from timellm.data.samples import samples
from timellm.jobs.store.process import this_process
from timellm.jobs.store.run import Run
from timellm.jobs.store.run_store import Store
from timellm.training.progress import Progress

_SOON_MS = 15_000


@pytest.fixture
def store(server) -> Store:
    """The store of the server under test."""
    return server.store()


@pytest.fixture
def running(store) -> Run:
    """A run that this process works on."""
    run = store.create_run(RunConfig.create(samples()[0].path, steps=40), name="Watched run")
    assert store.claim(run.id, process=this_process())
    yield store.get(run.id)
    if store.get(run.id).active:
        store.finish(run.id, "failed", error="the test ended")


def test_progress_and_the_end_appear_without_a_reload(watched, store, running):
    page = watched.open(f"runs?run={running.id}")
    expect(page.get_by_text("Starting", exact=True)).to_be_visible(timeout=_SOON_MS)
    store.record(running.id, Progress("training", 10, 40, fraction=0.25, eta_s=75, train_loss=0.9, validation_loss=0.8))
    expect(page.get_by_text("Training, step 10 of 40 · at most 1 min 15 s left")).to_be_visible(timeout=_SOON_MS)
    chart = page.get_by_test_id("stVegaLiteChart")
    expect(chart).to_be_visible()
    chart.evaluate("element => element.dataset.first = 'yes'")
    store.record(running.id, Progress("training", 20, 40, fraction=0.5, eta_s=50, train_loss=0.7, validation_loss=0.6))
    expect(page.get_by_text("Training, step 20 of 40 · at most 50 s left")).to_be_visible(timeout=_SOON_MS)
    assert chart.get_attribute("data-first") == "yes", "the chart was taken down and put up again"
    store.finish(running.id, "failed", error="column 'load', line 7: 'two' is not a number")
    expect(page.get_by_text("Column 'load', line 7: 'two' is not a number")).to_be_visible(timeout=_SOON_MS)
    expect(page.get_by_role("button", name="Run again")).to_be_visible()
    watched.assert_no_trouble_shown()


def test_stop_is_confirmed_while_the_page_goes_on_ticking(watched, store, running):
    store.record(running.id, Progress("training", 10, 40, fraction=0.25, eta_s=75, validation_loss=0.8))
    page = watched.open(f"runs?run={running.id}")
    page.get_by_role("button", name="Stop", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    store.record(running.id, Progress("training", 11, 40, fraction=0.28, eta_s=72))
    page.wait_for_timeout(2500)  # two ticks
    expect(dialog).to_be_visible()
    assert not store.get(running.id).stop_requested
    dialog.get_by_role("button", name="Stop and keep the best so far").click()
    expect(dialog).to_have_count(0)
    expect(page.get_by_text(re.compile("best checkpoint is kept"))).to_be_visible(timeout=_SOON_MS)
    assert store.get(running.id).stop_requested
    store.finish(running.id, "stopped", summary={"skill": 0.1})
    expect(page.get_by_role("button", name="Delete")).to_be_visible(timeout=_SOON_MS)


def test_choosing_a_cell_shows_that_run(watched, store, running):
    other = store.create_run(RunConfig.create(samples()[0].path), name="The other run")
    store.finish(other.id, "failed", error="of no interest here")
    page = watched.open(f"runs?run={running.id}")
    expect(page.get_by_role("heading", name="Watched run")).to_be_visible()
    table = page.get_by_test_id("stDataFrame").filter(visible=True).first  # hidden ones may come before it
    row = [run.id for run in store.runs()].index(other.id)
    table.click(position={"x": 150, "y": 35 + 35 * row + 17})  # the grid is painted, so there is no row to ask for
    expect(page.get_by_role("heading", name="The other run")).to_be_visible(timeout=_SOON_MS)
    assert other.id in page.url


def test_log_grows_without_jumping_and_is_downloaded_whole(watched, store, running):
    running.run_dir.mkdir(parents=True, exist_ok=True)
    running.log_file.write_text("".join(f"line {i}\n" for i in range(800)))
    page = watched.open(f"runs?run={running.id}")
    page.get_by_text("Log", exact=True).click()
    box = page.locator("[data-testid=stVerticalBlock]", has=page.get_by_test_id("stCode")).last
    expect(box).to_contain_text("line 799", timeout=_SOON_MS)
    box.scroll_into_view_if_needed()  # below a long table of runs
    expect(box.get_by_text("line 799")).to_be_in_viewport()
    page.get_by_text("Follow the end").click()
    watched.settled()
    box.hover()
    page.mouse.wheel(0, -4000)  # as somebody who reads further up
    page.wait_for_timeout(1000)
    before = box.evaluate("element => element.scrollTop")
    with running.log_file.open("a") as log:
        log.write("and one more\n")
    expect(box).to_contain_text("and one more", timeout=_SOON_MS)
    page.wait_for_timeout(300)
    assert abs(box.evaluate("element => element.scrollTop") - before) < 2
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the whole log").click()
    assert download.value.path().read_text() == running.log_file.read_text()
    watched.assert_no_trouble_shown()
