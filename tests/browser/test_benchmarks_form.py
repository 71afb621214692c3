"""The form of the Benchmarks page in a real browser: it follows the experiment, and its address shows it again."""

from __future__ import annotations

import re
from urllib.parse import quote_plus

from playwright.sync_api import Page, expect

_SOON_MS = 30_000


def chips(page: Page, pattern: re.Pattern[str]):
    """The field whose choices are these."""
    return page.get_by_test_id("stMultiSelect").filter(has_text=pattern)


def field(page: Page, label: str):
    return page.get_by_role("textbox", name=label, exact=True)


def test_form_follows_the_experiment_and_its_address_shows_it_again(watched, tmp_path):
    (tmp_path / "sets").mkdir()
    page = watched.open("benchmarks")
    watched.choose("Experiment", "M4 competition")
    expect(chips(page, re.compile("ridge.*theta.*dlinear.*time_llm"))).to_be_visible(timeout=_SOON_MS)
    watched.choose("Experiment", "Few-shot forecasting")
    expect(chips(page, re.compile("ridge.*time_llm.*published.*dlinear.*patchtst"))).to_be_visible(timeout=_SOON_MS)
    for label, text in (("Percents", "20 10"), ("Folder with the files", str(tmp_path / "sets"))):
        field(page, label).fill(text)
        field(page, label).press("Enter")
        expect(page).to_have_url(re.compile(re.escape(quote_plus(text))), timeout=_SOON_MS)
        watched.settled()
    expect(page.get_by_text("None of the files is there: 9 files")).to_be_visible(timeout=_SOON_MS)
    page.reload()
    expect(field(page, "Percents")).to_have_value("20 10", timeout=_SOON_MS)
    expect(field(page, "Folder with the files")).to_have_value(str(tmp_path / "sets"))
    expect(page.get_by_text("None of the files is there: 9 files")).to_be_visible(timeout=_SOON_MS)
    watched.assert_no_trouble_shown()
