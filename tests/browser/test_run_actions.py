"""What is done to runs in a real browser: resuming one whose processes were all killed, carrying one elsewhere."""

from __future__ import annotations

import os
import re
import signal
import time
import zipfile

import pytest
import torch
from playwright.sync_api import TimeoutError, expect
from safetensors.torch import load_file

from tests.browser.conftest import Watched, screenshots, serving
from tests.conftest import SMALL
from timellm.config import RunConfig
from timellm.data.samples import samples
from timellm.forecasting.artifacts import RunFolder
from timellm.jobs.local.launcher import start_run
from timellm.jobs.local.lease import runner_of
from timellm.jobs.store.run import log_tail

_SOON_MS = 30_000
_LONG = {"steps": 600, "validations": 30, "patience": 1000}


def wait_for(store, run_id, condition, *, timeout_s=240):
    """The run once the condition holds of it."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if condition(run := store.get(run_id)):
            return run
        time.sleep(0.05)
    raise AssertionError(f"still {run.state} in phase {run.phase}:\n{log_tail(run.log_file)}")


def test_run_whose_server_runner_and_worker_were_killed_is_resumed_on_the_page(
    browser, tmp_path, hourly_csv, tiny_backbone, monkeypatch
):
    monkeypatch.delenv("TIMELLM_STORE", raising=False)
    config = RunConfig.create(hourly_csv, backbone=str(tiny_backbone), **(SMALL | _LONG))
    with serving(tmp_path) as server:
        store = server.store()
        left_alone = start_run(config, name="Left alone", store=store)
        killed = start_run(config, name="Killed half-way", store=store)
        wait_for(store, left_alone.id, lambda run: run.state == "finished")
        run = wait_for(store, killed.id, lambda run: run.phase == "training" and run.done > 100)
        runner = runner_of(store.database)
        for pid in (server.pid, run.pid, runner.pid):
            os.kill(pid, signal.SIGKILL)
    assert store.get(killed.id).state == "running", "nobody was left to say otherwise"
    with serving(tmp_path) as server:
        watched = Watched(browser.new_page(viewport={"width": 1440, "height": 900}), server.url)
        page = watched.open(f"runs?run={killed.id}")
        expect(page.get_by_text("This run failed")).to_be_visible(timeout=_SOON_MS)
        expect(page.get_by_text(re.compile("its process ended without writing an ending"))).to_be_visible()
        screenshots(page, "run-lost")
        page.get_by_role("button", name="Resume").click()
        ended = wait_for(store, killed.id, lambda run: run.attempt == 2 and not run.active)
        assert (ended.state, ended.attempt) == ("finished", 2), log_tail(ended.log_file)
        expect(page.get_by_text("This run failed")).to_have_count(0, timeout=_SOON_MS)
        expect(page.get_by_role("link", name="Forecast").last).to_be_visible(timeout=_SOON_MS)
        watched.assert_no_trouble_shown()
        page.close()
    ours, theirs = (load_file(store.get(one.id).run_dir / "adapter.safetensors") for one in (killed, left_alone))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert RunFolder(ended.run_dir).scores().to_dict() == RunFolder(store.get(left_alone.id).run_dir).scores().to_dict()
    kinds = [event.kind for event in store.events(killed.id)]
    assert kinds == [
        "queued", "started", "loading", "training", "failed", "resumed", "started", "loading", "training",
        "evaluating", "finished",
    ]  # fmt: skip


@pytest.fixture
def ended(server):
    """A run that failed and has left a log."""
    store = server.store()
    run = store.create_run(RunConfig.create(samples()[0].path, steps=40), name="Carried *run*")
    run.run_dir.mkdir(parents=True)
    run.log_file.write_text("what it said\n")
    yield store.finish(run.id, "failed", error="of no interest here")
    for one in store.runs():
        if one.name == run.name:
            store.delete(one.id)


def test_run_is_exported_and_imported_on_the_page(watched, server, ended, tmp_path, shoot):
    page = watched.open(f"runs?run={ended.id}")
    page.get_by_test_id("stMainBlockContainer").get_by_role("button", name="More").click()
    link = page.get_by_role("link", name=re.compile("Export, about"))
    expect(link).to_be_visible(timeout=_SOON_MS)
    shoot("run-more")
    with page.expect_download() as download:
        link.click()
    archive = tmp_path / download.value.suggested_filename
    download.value.save_as(archive)
    assert archive.name == f"{ended.id}.zip"
    names = zipfile.ZipFile(archive).namelist()
    assert {"manifest.json", "run.json", "files/log.txt"} <= set(names)
    assert any(name.startswith("table/") for name in names)
    assert not [path for path in ended.run_dir.parent.iterdir() if path.name.startswith(".export")]

    page.keyboard.press("Escape")
    page.get_by_role("button", name="Import a run").click()
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(str(archive))
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text(f"There is a run {ended.id} here already")).to_be_visible(timeout=_SOON_MS)
    expect(page.get_by_text("Carried *run* was imported.")).to_be_visible()
    assert ended.id not in page.url
    shoot("run-imported")
    watched.assert_no_trouble_shown()

    archive.write_bytes(archive.read_bytes()[:-30])
    page.get_by_role("button", name="Import a run").click()
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(str(archive))
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text("That was not imported")).to_be_visible(timeout=_SOON_MS)

    page.keyboard.press("Escape")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete the run").click()
    expect(page.get_by_role("dialog")).to_have_count(0, timeout=_SOON_MS)
    assert [run.id for run in server.store().runs() if run.name == ended.name] == [ended.id]


@pytest.fixture
def ridge(server):
    """A finished ridge run on a bundled table."""
    store = server.store()
    run = start_run(RunConfig.create(samples()[0].path, kind="ridge", horizon=24), name="A ridge", store=store)
    yield wait_for(store, run.id, lambda run: not run.active)
    for one in store.runs():
        if one.name == run.name:
            store.delete(one.id)


def test_finished_ridge_is_exported_imported_and_shows_the_same_results(watched, server, ridge, tmp_path, shoot):
    assert ridge.state == "finished", log_tail(ridge.log_file)
    page = watched.open(f"runs?run={ridge.id}")
    shoot("ridge-run")
    page.get_by_test_id("stMainBlockContainer").get_by_role("button", name="More").click()
    with page.expect_download() as download:
        page.get_by_role("link", name=re.compile("Export, about")).click()
    archive = tmp_path / "ridge.zip"
    download.value.save_as(archive)
    assert {"files/ridge.safetensors", "files/scores.json"} <= set(zipfile.ZipFile(archive).namelist())

    page.keyboard.press("Escape")
    page.get_by_role("button", name="Import a run").click()
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(str(archive))
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text("A ridge was imported.")).to_be_visible(timeout=_SOON_MS)
    shoot("ridge-imported")
    (imported,) = (run for run in server.store().runs() if run.name == ridge.name and run.id != ridge.id)
    for screen in ("forecast", "metrics"):
        shown = []
        for run in (ridge, imported):
            watched.open(f"{screen}?run={run.id}")
            expect(page.get_by_test_id("stVegaLiteChart").or_(page.locator(".js-plotly-plot")).first).to_be_visible(
                timeout=_SOON_MS
            )
            watched.settled()
            watched.assert_no_trouble_shown()
            shown.append(_whole_text(page).replace(imported.id, ridge.id))
        assert shown[0] == shown[1]
        shoot(f"ridge-{screen}")


def _whole_text(page) -> str:
    """The text of the screen once it has stopped growing: on a busy machine the last parts are drawn late."""
    text, still = "", 0
    for _ in range(60):
        before, text = text, page.get_by_test_id("stMain").inner_text()
        still = still + 1 if text == before else 0
        if still == 3:
            break
        page.wait_for_timeout(500)
    return text


@pytest.mark.parametrize("width", [1440, 800, 390])
def test_tools_of_the_table_cover_no_button(watched, ended, width):
    # Before the page opens: a table that is resized while it is being drawn may stay without a width.
    watched.page.set_viewport_size({"width": width, "height": 900})
    page = watched.open(f"runs?run={ended.id}")
    frame = page.get_by_test_id("stDataFrame").first
    for _ in range(3):  # on a busy machine a data frame may find no width until its page is opened again
        try:
            frame.hover(timeout=8000)
            break
        except TimeoutError:
            watched.open(f"runs?run={ended.id}")
    tools = page.get_by_test_id("stElementToolbar").first
    expect(tools).to_be_visible(timeout=_SOON_MS)
    mine = tools.bounding_box()
    for button in (
        page.get_by_test_id("stMain").get_by_test_id("stPopover").or_(page.get_by_test_id("stPageLink")).all()
    ):
        box = button.bounding_box()
        beside = box["x"] >= mine["x"] + mine["width"] or box["x"] + box["width"] <= mine["x"]
        apart = box["y"] >= mine["y"] + mine["height"] or box["y"] + box["height"] <= mine["y"]
        assert beside or apart, f"the tools cover '{button.inner_text()}' at {width} pixels"
