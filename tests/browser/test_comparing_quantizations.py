"""Comparing quantizations in a real browser: the page stays usable while it is measured, and shows what came of it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.test_main_job import fill_number

pytestmark = pytest.mark.timeout(600)
# Four processes that load torch, on two shared cores.
_MEASURED_MS = 480_000


def test_measurement_ticks_beside_a_usable_page_and_ends_in_a_table(watched, tiny_backbone, shoot):
    page = watched.open("finetune?table=sample:melbourne-pedestrians")
    watched.choose("Backbone", "Another model (id or folder)")
    page.get_by_label("Hugging Face model id or local folder").fill(str(tiny_backbone))
    page.get_by_label("Hugging Face model id or local folder").press("Tab")
    fill_number(page, "Layers used", 1)
    fill_number(page, "Context, rows", 48)
    watched.settled()
    expander = page.get_by_test_id("stExpander").filter(has_text="Compare quantizations")
    expander.locator("summary").click()
    expander.get_by_role("button", name="Measure").click()
    expect(expander.get_by_role("button", name="Cancel")).to_be_visible(timeout=60_000)
    # The page looks every two seconds: it can miss a precision that a fast machine is done with in less.
    measured = re.compile(r"(float32|bfloat16|8bit|4bit): ")
    expect(expander.get_by_test_id("stProgress").get_by_text(measured)).to_be_visible(timeout=60_000)
    fill_number(page, "Horizon, rows", 24)
    watched.settled()  # the page answers meanwhile: the measurement can still be cancelled
    shoot("receipt-measuring")
    expander.get_by_role("button", name="Cancel").click()
    expect(expander.get_by_role("button", name="Measure")).to_be_visible(timeout=60_000)

    expander.get_by_role("button", name="Measure").click()
    expect(expander.get_by_role("table")).to_be_visible(timeout=_MEASURED_MS)  # by itself, without another click
    expect(expander.get_by_text("bfloat16", exact=True)).to_be_visible()
    expect(expander.get_by_text("on this machine")).to_be_visible()
    expect(expander.get_by_role("button", name="Measure again")).to_be_visible()
    watched.settled()
    shoot("receipt")
    watched.assert_no_trouble_shown()
