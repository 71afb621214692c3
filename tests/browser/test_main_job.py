"""The main job in a real browser: a CSV goes in, and a fine-tuned forecast, its errors and its attention come out."""

from __future__ import annotations

import io
import re

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.timeout(600)
HORIZON, STEPS, CHANNELS = 24, 8, ("load", "temperature")
# One run on two shared cores, backbone and evaluation included.
_RUN_TIMEOUT_MS = 420_000


def plant_csv(rows: int = 480) -> bytes:
    """Hourly load and temperature of a plant with a daily season and some noise."""
    hours, noise = np.arange(rows), np.random.default_rng(0)
    frame = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=rows, freq="h").strftime("%Y-%m-%d %H:%M")})
    frame["load"] = 50 + 10 * np.sin(hours * 2 * np.pi / 24) + noise.normal(0, 1, rows)
    frame["temperature"] = 12 + 6 * np.cos(hours * 2 * np.pi / 24) + noise.normal(0, 0.5, rows)
    return frame.round(3).to_csv(index=False).encode()


def fill_number(page: Page, label: str, value: int) -> None:
    """Type a number into a setting and leave it."""
    box = page.get_by_label(label, exact=True)
    box.fill(str(value))
    box.press("Tab")
    expect(box).to_have_value(str(value))


def test_main_job_from_csv_to_downloaded_forecast(watched, server, shoot):
    page = watched.open("data")
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(
        {"name": "Plant 7.csv", "mimeType": "text/csv", "buffer": plant_csv()}
    )
    expect(page.get_by_test_id("stMetricValue").first).to_have_text("480")
    watched.settled()
    shoot("data")
    watched.assert_no_trouble_shown()

    page.get_by_role("button", name="Fine-tune on this table").click()
    expect(page.get_by_role("heading", name="Fine-tune")).to_be_visible()
    watched.choose("Backbone", re.compile("SmolLM2 135M"))
    fill_number(page, "Horizon, rows", HORIZON)
    fill_number(page, "Context, rows", 96)
    fill_number(page, "Layers used", 2)
    fill_number(page, "Steps at most", STEPS)
    page.get_by_role("radio", name="4-bit").click()
    watched.settled()
    expect(page.get_by_role("button", name="Preset: Laptop CPU, 4 changed")).to_be_visible()
    shoot("finetune")
    watched.assert_no_trouble_shown()
    page.get_by_role("button", name="Start fine-tuning").click()

    expect(page.get_by_role("heading", name="Runs")).to_be_visible(timeout=30_000)
    run_id = re.search(r"run=([\w-]+)", page.url).group(1)
    seen = watch_until_the_end(page)
    assert len(seen) >= 3, f"the bar was only ever at {seen}"
    assert seen == sorted(seen)
    assert seen[-1] < 100, "the bar says 100 % before the end"
    assert server.store().get(run_id).state == "finished"
    watched.settled()
    shoot("runs")
    watched.assert_no_trouble_shown()

    page.get_by_role("link", name="Forecast").last.click()  # the run's own link, not the one on top
    expect(page.get_by_text("after the data ends")).to_be_visible(timeout=60_000)
    assert run_id in page.url
    shoot("forecast")
    watched.assert_no_trouble_shown()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV, all channels").click()
    check_forecast(pd.read_csv(io.BytesIO(download.value.path().read_bytes()), parse_dates=["ds"]))

    page.get_by_text("Test period", exact=True).click()
    expect(page.get_by_text("not seen by the model")).to_be_visible()
    watched.settled()
    shoot("forecast-test")
    watched.assert_no_trouble_shown()

    page.get_by_role("link", name="Metrics").first.click()
    expect(page.get_by_role("heading", name="Leaderboard")).to_be_visible(timeout=60_000)
    watched.settled()
    shoot("metrics")
    watched.assert_no_trouble_shown()

    page.get_by_role("link", name="Attention").first.click()
    expect(page.get_by_role("button", name="Download PNG").first).to_be_visible(timeout=60_000)
    watched.settled()
    shoot("attention")
    watched.assert_no_trouble_shown()
    with page.expect_download() as picture:
        page.get_by_role("button", name="Download PNG").first.click()
    assert picture.value.path().read_bytes().startswith(b"\x89PNG")

    page.reload()  # the ids are in the URL, so a reload lands where it was
    expect(page.get_by_role("button", name="Download PNG").first).to_be_visible(timeout=60_000)
    assert run_id in page.url
    watched.open()
    expect(page.get_by_text("Recent runs")).to_be_visible()
    shoot("overview")
    watched.assert_no_trouble_shown()


def watch_until_the_end(page: Page) -> list[int]:
    """Positions of the run's bar as a watcher sees them, until the page says by itself that the run has finished."""
    page.evaluate(
        """() => {
            window.seen = [];
            const look = () => {
                const bar = document.querySelector('[data-testid=stProgress] [role=progressbar]');
                const value = bar && Number(bar.getAttribute('aria-valuenow'));
                if (bar && window.seen.at(-1) !== value) window.seen.push(value);
            };
            look();
            new MutationObserver(look).observe(document.body, {subtree: true, childList: true, attributes: true});
        }"""
    )
    finished = page.get_by_test_id("stMarkdownContainer").get_by_text("finished", exact=True)
    failed = page.get_by_test_id("stAlertContentError")
    expect(finished.or_(failed).first).to_be_visible(timeout=_RUN_TIMEOUT_MS)
    assert failed.count() == 0, failed.first.inner_text()
    return page.evaluate("window.seen")


def check_forecast(forecast: pd.DataFrame) -> None:
    """Every channel, the whole horizon, right after the data, in original units, inside its bands."""
    bands = ["yhat-lo-95", "yhat-lo-80", "yhat-hi-80", "yhat-hi-95"]
    assert sorted(forecast.columns) == sorted(["unique_id", "ds", "yhat", *bands])
    assert (np.diff(forecast[bands], axis=1) >= 0).all()  # the wider band holds the narrower one
    assert forecast.groupby("unique_id").size().to_dict() == dict.fromkeys(CHANNELS, HORIZON)
    ahead = pd.date_range("2024-01-21", periods=HORIZON, freq="h")
    for name, rows in forecast.groupby("unique_id"):
        assert rows["ds"].tolist() == ahead.tolist(), name
    assert np.isfinite(forecast["yhat"]).all()
    level = forecast.groupby("unique_id")["yhat"].mean()
    assert 25 < level["load"] < 75  # not z-scores: the data lie around 50 and 12
    assert -6 < level["temperature"] < 30
