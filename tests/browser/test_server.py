"""What the server is like before anyone has done anything: closed to the network, and right from the first request."""

from __future__ import annotations

import urllib.request

import psutil
import pytest
from playwright.sync_api import expect

PAGES = ("data", "finetune", "runs", "forecast", "metrics", "attention")


def test_server_listens_on_loopback_alone(server):
    listening = {
        connection.laddr.ip
        for connection in psutil.Process(server.pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_server_forbids_the_page_to_load_anything_from_outside(server):
    with urllib.request.urlopen(server.url) as answer:
        policy = answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert "default-src 'self'" in policy
    assert "http" not in policy


def test_link_to_a_screen_is_right_on_a_server_nobody_has_used(fresh_server, watched):
    """Streamlit's older pages mode would run the screen alone, without navigation and without its ids."""
    watched.page.goto(f"{fresh_server.url}/finetune?table=sample:melbourne-pedestrians")
    expect(watched.page.get_by_role("button", name="Start fine-tuning")).to_be_enabled(timeout=30_000)
    expect(watched.page.get_by_test_id("stTopNavLink")).to_have_count(9)


@pytest.mark.parametrize("page", PAGES)
def test_empty_screen_leads_on(server, watched, page):
    drawn = watched.open(page)
    expect(drawn.get_by_test_id("stTopNavLink")).to_have_count(9)
    expect(drawn.get_by_role("heading", level=1)).to_be_visible()
    watched.assert_no_trouble_shown()


def test_ids_survive_a_click_on_the_navigation(watched):
    page = watched.open("data?table=sample:melbourne-pedestrians")
    expect(page.get_by_role("button", name="Fine-tune on this table")).to_be_visible()
    page.get_by_role("link", name="Metrics").click()
    expect(page.get_by_role("heading", name="Metrics")).to_be_visible()
    page.get_by_role("link", name="Fine-tune").click()
    expect(page.get_by_role("button", name="Start fine-tuning")).to_be_enabled()
    assert "melbourne-pedestrians" in page.url
