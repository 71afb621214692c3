"""The preset picker in a real browser: it opens, sets the form, counts what was changed, and undoes it."""

from __future__ import annotations

import re

from playwright.sync_api import expect

SAMPLE = "finetune?table=sample%3Amelbourne-pedestrians"


def test_preset_is_chosen_changed_and_chosen_again(watched, shoot):
    page = watched.open(SAMPLE)
    picker = page.get_by_test_id("stPopoverButton")
    expect(picker).to_contain_text("Preset: Laptop CPU")
    picker.click()
    expect(page.get_by_text("For a small graphics card")).to_be_visible()
    shoot("presets-open")
    page.get_by_role("button", name="6 GB GPU", exact=True).click()
    watched.settled()
    expect(picker).to_contain_text("6 GB GPU")
    page.keyboard.press("Escape")
    layers = page.get_by_label("Layers used", exact=True)
    expect(layers).to_have_value("18")
    expect(page.get_by_role("radio", name="4-bit")).to_be_checked()

    layers.fill("12")
    layers.press("Tab")
    expect(picker).to_contain_text("6 GB GPU, 1 changed")
    watched.settled()
    shoot("presets-changed")
    picker.click()
    page.get_by_role("button", name=re.compile("^(check )?6 GB GPU$")).click()
    expect(layers).to_have_value("18")
    expect(picker).not_to_contain_text("changed")
    watched.assert_no_trouble_shown()
