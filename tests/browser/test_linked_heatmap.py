"""Series and heatmap are linked in the browser: by pointing, by a click, by a span, and by the keyboard."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from matplotlib.image import imread
from playwright.sync_api import expect

from tests.pages.conftest import config_for, fill, hourly_csv
from timellm.data.uploads import save_upload
from timellm.forecasting.artifacts import RunFolder

PATCHES = 6
_SERIES, _HEAT, _ROW = (40, 190), 224, 22  # pixels from the chart's top


@pytest.fixture
def chart(server, watched, monkeypatch):
    """The page of a finished run with two heads and 24 prototypes, and where its chart lies."""
    monkeypatch.setenv("TIMELLM_HOME", str(server.home))
    store, table = server.store(), save_upload("Plant load.csv", content=hourly_csv()).name
    run = store.create_run(config_for(table), name="To look into")
    fill(RunFolder(run.run_dir), run.config)
    store.finish(run.id, "finished", summary={"skill": 0.25})
    page = watched.open(f"attention?run={run.id}")
    canvas = page.get_by_test_id("stECharts").or_(page.locator("canvas")).first
    expect(canvas).to_be_visible(timeout=30_000)
    canvas.scroll_into_view_if_needed()
    yield page
    store.delete(run.id)


def place(page, patch, down):
    """Pixels of a patch's column, `down` pixels below the chart's top."""
    box = page.locator("canvas").first.bounding_box()
    cells = 4, 4 + 8 * PATCHES  # rows of the context that the columns cover; it has 48
    row = 0.73 * box["width"] / cells[1]
    return box["x"] + 0.24 * box["width"] + row * (cells[0] + 8 * (patch - 0.5)), box["y"] + down


def series(page):
    """The part of the chart above the heatmap, as pixels."""
    box = page.locator("canvas").first.bounding_box()
    clip = {"x": box["x"], "y": box["y"] + _SERIES[0], "width": box["width"], "height": _SERIES[1] - _SERIES[0]}
    return imread(io.BytesIO(page.screenshot(clip=clip)))[..., :3]


def test_pointing_at_a_cell_lights_the_rows_of_its_patch_on_the_series(chart, watched):
    chart.mouse.move(*place(chart, 2, _HEAT + 5 * _ROW + 11))
    chart.wait_for_timeout(500)
    first = series(chart)
    chart.mouse.move(*place(chart, 5, _HEAT + 5 * _ROW + 11))
    chart.wait_for_timeout(500)
    changed = np.flatnonzero(np.abs(first - series(chart)).max(axis=(0, 2)) > 0.1)
    box = chart.locator("canvas").first.bounding_box()
    for patch, side in ((2, changed[0]), (5, changed[-1])):
        middle, half = place(chart, patch, 0)[0] - box["x"], 0.73 * box["width"] / 52 * 8  # a patch has 16 rows
        edge = middle - half if patch == 2 else middle + half
        assert abs(side - edge) < 6


def test_clicked_cell_is_chosen_and_the_keyboard_goes_on_from_there(chart, watched):
    label = chart.get_by_test_id("stSlider").filter(has_text="Patch")
    chart.mouse.click(*place(chart, 5, _HEAT + 3 * _ROW + 11))
    expect(chart.get_by_text("Patch 5 of 6,")).to_be_visible(timeout=20_000)
    sentence = chart.get_by_text(re.compile("gives prototype"))
    chosen = re.search(r"prototype (\d+)", sentence.inner_text()).group(1)
    expect(chart.get_by_label("Prototype", exact=True)).to_have_value(re.compile(f"^{chosen}: "))
    assert "patch=5" in chart.url
    label.get_by_role("slider").focus()
    chart.keyboard.press("ArrowRight")
    expect(chart.get_by_text("Patch 6 of 6,")).to_be_visible(timeout=20_000)
    expect(sentence).to_contain_text(f"prototype {chosen} ")
    watched.settled()
    chart.mouse.click(*place(chart, 5, _HEAT + 3 * _ROW + 11))  # the cell that the browser already has as chosen
    expect(chart.get_by_text("Patch 5 of 6,")).to_be_visible(timeout=20_000)


def test_span_of_the_series_names_the_patches_that_it_touches(chart, watched):
    box = chart.locator("canvas").first.bounding_box()
    chart.mouse.click(box["x"] + 14, box["y"] + 14)  # the tool that draws a span
    begin, end = place(chart, 3.2, 100), place(chart, 3.9, 120)  # of rows that only patches 3 and 4 have
    chart.mouse.move(*begin)
    chart.mouse.down()
    chart.mouse.move((begin[0] + end[0]) / 2, begin[1], steps=4)
    chart.mouse.move(*end, steps=4)
    chart.mouse.up()
    expect(chart.get_by_text("The span touches patches 3 to 4,")).to_be_visible(timeout=20_000)
