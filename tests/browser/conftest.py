"""A real server on a free loopback port, a real Chromium, and a page that takes note of everything that goes wrong."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, Response, TimeoutError, sync_playwright

from timellm.jobs.local.lease import runner_of
from timellm.jobs.store.run_store import Store
from timellm.workspace import PROJECT, Workspace

_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
_START_TIMEOUT_S = 60.0
SHOTS = Path(__file__).resolve().parent.parent / "screenshots"
WIDTHS = (1440, 800)
# Opened at the address of one screen, the front end asks beneath it for the server before it asks at the root.
_EXPECTED_404 = ("/_stcore/health", "/_stcore/host-config")


@dataclass(frozen=True)
class Server:
    """A running workbench with a workspace of its own."""

    url: str
    home: Path
    pid: int

    def store(self) -> Store:
        """The store the server's pages read."""
        return Store.open(Workspace(self.home))


@dataclass
class Watched:
    """A page, and what it complained about or asked the outside world for."""

    page: Page
    url: str
    problems: list[str] = field(default_factory=list)

    def open(self, path: str = "") -> Page:
        """Go to a page of the workbench and wait until it has been drawn."""
        self.page.goto(f"{self.url}/{path}")
        self.settled()
        return self.page

    def settled(self, timeout_s: float = 60) -> None:
        """Wait until the page's script has run to its end."""
        self.page.wait_for_selector(
            "[data-testid=stApp][data-test-script-state=notRunning]", timeout=timeout_s * 1000, state="attached"
        )

    def choose(self, label: str, option: str | re.Pattern[str]) -> None:
        """Choose from a list; it is opened again if the page was drawn anew, which closes it."""
        wanted = self.page.get_by_role("option", name=option)
        for _ in range(10):
            self.settled()
            self.page.get_by_label(label, exact=True).click()
            try:
                wanted.click(timeout=3000)
            except TimeoutError:
                self.page.keyboard.press("Escape")
            else:
                return
        raise AssertionError(f"'{option}' of '{label}' could not be chosen")

    def unfold(self, title: str, *, shows: str) -> Locator:
        """Open what is folded under `title` until it shows a text; it is opened again if the page was drawn anew."""
        shown = self.page.get_by_test_id("stMain").get_by_text(shows, exact=True)
        for _ in range(10):
            self.settled()
            self.page.get_by_text(title).click()
            try:
                shown.wait_for(timeout=3000)
                self.settled()
                shown.wait_for(timeout=500)
            except TimeoutError:
                continue
            return shown
        raise AssertionError(f"'{title}' does not stay open")

    def assert_no_trouble_shown(self) -> None:
        """Neither an exception nor a warning is on the page."""
        for kind in ("stException", "stAlertContentWarning"):
            # A verdict that is mixed is amber, and is no trouble.
            shown = self.page.get_by_test_id(kind).filter(has_not_text="a higher one on")
            assert shown.count() == 0, f"{kind} on {self.page.url}: {shown.first.inner_text()}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def serving(home: Path) -> Iterator[Server]:
    """`streamlit run app.py` with a workspace of its own, as the configuration has it but for the port."""
    port, log = _free_port(), home / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={port}", "--server.headless=true"],
            cwd=PROJECT,
            env=os.environ | {"TIMELLM_HOME": str(home)},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    server = Server(f"http://127.0.0.1:{port}", home, process.pid)
    try:
        _wait_until_healthy(server.url, process, log)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=20)
        _end_workers(Workspace(home))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for every test that does not need a fresh one."""
    with serving(tmp_path_factory.mktemp("workbench")) as running:
        yield running


@pytest.fixture
def fresh_server(tmp_path: Path) -> Iterator[Server]:
    """A server that nobody has asked for anything yet."""
    with serving(tmp_path) as running:
        yield running


def _wait_until_healthy(url: str, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the server ended at once:\n{log.read_text()}"
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"the server did not come up within {_START_TIMEOUT_S:.0f} s:\n{log.read_text()}")


def _end_workers(place: Workspace) -> None:
    """A worker outlives its server by design, but must not outlive its test."""
    store = Store.open(place)
    if (runner := runner_of(store.database)) is not None and runner.alive():
        os.kill(runner.pid, signal.SIGKILL)
    for run in store.runs():
        if run.active and run.pid not in (None, os.getpid()) and psutil.pid_exists(run.pid):  # some stand in for it
            os.kill(run.pid, signal.SIGKILL)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Debian's browser where there is one, otherwise the one that `playwright install chromium` brought.
        found = shutil.which("chromium")
        started = playwright.chromium.launch(executable_path=found, args=_FLAGS)
        yield started
        started.close()


def _note_message(seen: Watched, message: ConsoleMessage) -> None:
    if message.type == "error" and not message.text.startswith("Failed to load resource"):  # noted as a response
        seen.problems.append(f"console: {message.text}")


def _note_request(seen: Watched, request: Request) -> None:
    parts = urlsplit(request.url)
    if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname != "127.0.0.1":
        seen.problems.append(f"asked the outside for {request.url}")


def _note_response(seen: Watched, response: Response) -> None:
    if response.status >= 400 and not response.url.endswith(_EXPECTED_404):
        seen.problems.append(f"{response.status} for {response.url}")


@pytest.fixture
def watched(browser: Browser, server: Server) -> Iterator[Watched]:
    """A fresh browser session; at the end it fails on console errors, broken requests and requests to the outside."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    page = context.new_page()
    seen = Watched(page, server.url)
    page.on("console", lambda message: _note_message(seen, message))
    page.on("pageerror", lambda error: seen.problems.append(f"script: {error}"))
    page.on("request", lambda request: _note_request(seen, request))
    page.on("response", lambda response: _note_response(seen, response))
    yield seen
    context.close()
    assert not seen.problems


def screenshots(page: Page, name: str) -> list[Path]:
    """The whole page at both widths as NAME-WIDTH.png, for one's own eyes; the folder is not under version control."""
    SHOTS.mkdir(exist_ok=True)
    return [_screenshot(page, SHOTS / f"{name}-{width}.png", width=width) for width in WIDTHS]


def _screenshot(page: Page, file: Path, *, width: int) -> Path:
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_timeout(600)  # charts draw themselves anew for the width
    # The page scrolls inside a container; the window has to be as tall as what is in it to be seen whole.
    height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({"width": width, "height": min(max(int(height) + 80, 700), 4000)})
    page.wait_for_timeout(400)
    page.screenshot(path=str(file))
    page.set_viewport_size({"width": 1440, "height": 900})
    return file


@pytest.fixture
def shoot(watched: Watched):
    """Takes the screenshots of the page that is open."""
    return lambda name: screenshots(watched.page, name)
