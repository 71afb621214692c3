"""Finding runs among many, scrubbing through one's pinned windows, comparing two, and finding all of it again."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import expect

from timellm.config import RunConfig
from timellm.data.prepared import PreparedData
from timellm.data.samples import samples
from timellm.data.table import load_table
from timellm.forecasting.quick import QuickForecasters
from timellm.forecasting.validation import write_references
from timellm.jobs.store.process import this_process
from timellm.jobs.store.run import Run
from timellm.training.pinned import PinnedWindows
from timellm.training.progress import Progress

_SOON_MS = 15_000
_ROW, _TICK_X, _CELL_X = 35, 18, 150  # pixels of the painted grid


@pytest.fixture
def two(server) -> Iterator[tuple[Run, Run]]:
    """Two finished runs with curves and, in the first, pinned windows; forty others before them."""
    store = server.store()
    config = RunConfig.create(samples()[0].path, steps=40, horizon=24, context=48)
    for number in range(40):
        store.finish(store.create_run(config, name=f"Sweep {number}").id, "stopped")
    yield tuple(_finished(store, config.updated(layers=layers), f"Layers {layers}") for layers in (4, 5))
    for run in store.runs():  # the next test has runs of these names, too
        if run.name.startswith(("Sweep ", "Layers ")):
            store.delete(run.id)


def _finished(store, config: RunConfig, name: str) -> Run:
    run = store.create_run(config, name=name)
    assert store.claim(run.id, process=this_process())
    for step in (10, 20, 30, 40):
        loss = 0.9 - step / 100 - config.model.layers / 100
        store.record(run.id, Progress("training", step, 40, train_loss=loss, validation_loss=loss))
    prepared = PreparedData.of(load_table(config.data), config)
    validated = prepared.windows("validation").evenly(30)
    pinned = PinnedWindows(run.run_dir, prepared, validated, count=2, steps_per_epoch=20.0)
    quick = QuickForecasters.fit(prepared, run.run_dir).rows
    write_references(run.run_dir, prepared, quick, validated=validated, pinned=pinned.positions)
    for step in (10, 20, 30, 40):
        pinned.add(step, np.full((30, 24), 1 / step, np.float32))
    return store.finish(run.id, "finished", summary={"skill": 0.1, "test": {"mae": 10 / config.model.layers}})


def test_runs_are_found_opened_scrubbed_and_compared(watched, two, shoot):
    one, other = two
    page = watched.open("runs")
    page.get_by_placeholder("name, tag, note").press_sequentially("layers")
    expect(page.get_by_text(re.compile(r"^2 of \d+ runs: “layers”"))).to_be_visible(timeout=_SOON_MS)
    expect(page).to_have_url(re.compile("q=layers"))
    table = page.get_by_test_id("stDataFrame").filter(visible=True).first
    table.click(position={"x": _CELL_X, "y": 2 * _ROW + 17})
    expect(page.get_by_role("heading", name="Layers 4")).to_be_visible(timeout=_SOON_MS)
    expect(page).to_have_url(re.compile(one.id))

    page.get_by_role("tab", name="Pinned windows").click()
    slider = page.get_by_role("slider")
    expect(slider).to_have_attribute("aria-valuetext", re.compile("step 40, epoch 2.0"))
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    expect(slider).to_have_attribute("aria-valuetext", re.compile("step 10, epoch 0.50"))
    expect(page.get_by_test_id("stVegaLiteChart").locator("visible=true")).to_have_count(2, timeout=_SOON_MS)
    watched.settled()
    shoot("pinned")
    watched.assert_no_trouble_shown()

    for row in (1, 2):
        table.click(position={"x": _TICK_X, "y": row * _ROW + 17})
        watched.settled()
    shoot("runs-search")
    page.get_by_role("link", name="Compare 2 runs").click()
    expect(page.get_by_role("heading", name="Compare")).to_be_visible(timeout=_SOON_MS)
    page.reload()  # the ids are in the address
    expect(page.get_by_role("row", name=re.compile("Test MAE")).first).to_contain_text("2.000 best", timeout=_SOON_MS)
    expect(page.get_by_role("row", name=re.compile("Layers used"))).to_be_visible()
    assert one.id in page.url and other.id in page.url
    watched.settled()
    shoot("compare")
    watched.assert_no_trouble_shown()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    rows = list(csv.reader(io.StringIO(download.value.path().read_text())))
    assert set(rows[0][2:]) == {one.id, other.id}

    page.get_by_role("link", name="Layers 5").click()
    expect(page.get_by_role("heading", name="Layers 5")).to_be_visible(timeout=_SOON_MS)
    page.reload()
    expect(page.get_by_role("heading", name="Layers 5")).to_be_visible(timeout=_SOON_MS)
    assert f"run={other.id}" in page.url


def test_runs_are_compared_by_keyboard_alone(watched, two):
    page = watched.open("runs")
    opener = page.get_by_role("button", name="Choose runs to compare")
    opener.focus()
    page.keyboard.press("Enter")
    box = page.get_by_role("combobox", name="Runs to compare")
    expect(box).to_be_visible(timeout=_SOON_MS)
    for name in ("Layers 4", "Layers 5"):
        box.focus()
        page.keyboard.type(name)
        page.keyboard.press("Enter")
        watched.settled()
    page.keyboard.press("Escape")
    link = page.get_by_role("link", name="Compare 2 runs")
    expect(link).to_be_visible(timeout=_SOON_MS)
    link.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Compare")).to_be_visible(timeout=_SOON_MS)
    expect(page.get_by_text("Layers 5").first).to_be_visible(timeout=_SOON_MS)
