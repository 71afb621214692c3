"""How long a change on the Attention page takes in the browser: `python -m benchmarks.attention_change`.

A run with 64 patches, 1,000 prototypes and 8 heads is made on the pedestrians; its few steps do not matter here. A
headless Chromium opens its heatmap, moves one widget at a time by the keyboard, and counts from the key until the
page's rerun has ended and the next picture is due. Prints a Markdown table of milliseconds: median and largest of
`--each` changes, the first of each kind left out. The machine should be quiet. Loopback only.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.page_load import PROJECT, serving

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

_SETTINGS = {
    "linear_path": "none", "layers": 1, "context": 512, "horizon": 24, "steps": 8, "batch_size": 8, "validations": 1,
    "validation_windows": 16,
}  # fmt: skip
_WATCH = """() => {
    const app = document.querySelector('[data-testid=stApp]');
    window.began = null; window.took = null;
    addEventListener('keydown', () => {
        window.began = performance.now(); window.took = null; window.ran = false;
    }, true);
    new MutationObserver(() => {
        const state = app.getAttribute('data-test-script-state');
        if (state === 'running') window.ran = true;
        if (state === 'notRunning' && window.ran && window.began !== null)
            requestAnimationFrame(() => requestAnimationFrame(() => {
                window.took = performance.now() - window.began;
            }));
    }).observe(app, {attributes: true, attributeFilter: ['data-test-script-state']});
}"""


def make_run(home: Path) -> str:
    """Fit the run to look at in a workspace; its id."""
    os.environ["TIMELLM_HOME"] = str(home)
    from timellm.config import RunConfig
    from timellm.data.samples import find_sample
    from timellm.jobs.store.run_store import Store
    from timellm.jobs.worker import work
    from timellm.pipeline import fit

    store = Store.open()
    config = RunConfig.create(find_sample("melbourne-pedestrians").path, **_SETTINGS)
    run = store.create_run(config, name="64 patches")
    if work(run.id, store=store, fit=fit) != "finished":
        raise RuntimeError("the run did not finish; its log in the workspace says why")
    return run.id


def changes(page: Page, widget: Locator, keys: list[str]) -> list[float]:
    """Milliseconds of each change, by pressing the keys one after the other on a widget."""
    took = []
    for key in keys:
        widget.focus()
        page.wait_for_timeout(700)  # whatever the change before left to do
        page.keyboard.press(key)
        page.wait_for_function("window.took !== null", timeout=60_000)
        took.append(float(page.evaluate("window.took")))
    return took


def measure(page: Page, each: int) -> dict[str, list[float]]:
    """Name of a change -> milliseconds."""

    def slider(label: str) -> Locator:
        return page.get_by_test_id("stSlider").filter(has_text=label).get_by_role("slider").first

    there_and_back = ["ArrowRight", "ArrowLeft"] * (each // 2) + ["ArrowRight"]
    found = {
        "another patch": changes(page, slider("Patch"), there_and_back),
        "another window": changes(page, slider("Window ends at"), ["ArrowLeft"] * (each + 1)),
        "share or deviation": [],
        "all 1,000 prototypes": [],
    }
    weights = page.get_by_test_id("stButtonGroup").filter(has_text="Deviation").get_by_role("radio")
    for number in range(each + 1):
        found["share or deviation"] += changes(page, weights.nth(1 - number % 2), ["Space"])
    shown = slider("Prototypes shown")
    found["all 1,000 prototypes"] = changes(page, shown, ["End"])
    found["another patch, all 1,000 prototypes"] = changes(page, slider("Patch"), there_and_back)
    return found


def main() -> None:
    """Make the run, or take the workspace of an earlier call, and measure."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=10, help="changes of each kind")
    parser.add_argument("--home", type=Path, help="a workspace that an earlier call prepared, or where to make one")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = (given.home or Path(scratch)).resolve()
        home.mkdir(parents=True, exist_ok=True)
        known = home / "attention-run.txt"
        if not known.is_file():
            known.write_text(make_run(home))
        with serving(PROJECT, home) as (port, _), sync_playwright() as driver:
            browser = driver.chromium.launch(
                executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox"]
            )
            page = browser.new_page(viewport={"width": 1440, "height": 1000})
            page.goto(f"http://127.0.0.1:{port}/attention?run={known.read_text()}")
            page.locator("canvas").first.wait_for(timeout=120_000)
            page.wait_for_timeout(3000)
            page.evaluate(_WATCH)
            found = measure(page, given.each)
            browser.close()
    print("| change | median, ms | largest, ms |\n|---|---|---|")
    for name, took in found.items():
        counted = took[1:] or took
        print(f"| {name} | {statistics.median(counted):.0f} | {max(counted):.0f} |")


if __name__ == "__main__":
    main()
