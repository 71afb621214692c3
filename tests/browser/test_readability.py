"""Every page can be read: text stands out from what is behind it in both themes, and no level of heading is skipped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import Watched
from tests.pages.conftest import config_for, fill, hourly_csv
from timellm.data.uploads import save_upload
from timellm.forecasting.artifacts import RunFolder
from timellm.jobs.store.process import this_process
from timellm.ledger.keeping import keep
from timellm.training.progress import Progress

_MEASURE = Path(__file__).with_name("readability.js").read_text()


@pytest.fixture
def pages(server, monkeypatch) -> dict[str, str]:
    """Addresses of every page with something on it, by name; what was made for them is removed again."""
    monkeypatch.setenv("TIMELLM_HOME", str(server.home))
    store, table = server.store(), save_upload("Plant load.csv", content=hourly_csv(missing=5)).name
    finished = []
    for name, changes in (("Six layers", {}), ("Other seed", {"seed": 7})):
        run = store.create_run(config_for(table).updated(**changes), name=name)
        fill(RunFolder(run.run_dir), run.config)
        finished.append(store.finish(run.id, "finished", summary={"skill": 0.25, "best_step": 20}))
    failed = store.create_run(config_for(table), name="Failed")
    store.finish(failed.id, "failed", error="column 'load', line 7: 'two' is not a number", cause="data")
    running = store.create_run(config_for(table), name="Running")
    assert store.claim(running.id, process=this_process())
    for step in (5, 10):
        store.record(
            running.id, Progress("training", step, 20, fraction=step / 20, train_loss=0.8, validation_loss=0.7)
        )
    waiting = store.create_run(config_for(table), name="Waiting")
    keep(finished[0].run_dir, by="Ada", note="for the meeting", run_name="Six layers")
    one, other = (run.id for run in finished)
    yield {
        "overview": "",
        "data": f"data?table={table}",
        "finetune": f"finetune?table={table}",
        "runs, finished": f"runs?run={one}",
        "runs, failed": f"runs?run={failed.id}",
        "runs, running": f"runs?run={running.id}",
        "runs, waiting": f"runs?run={waiting.id}",
        "runs, nothing found": f"runs?run={one}&q=nothing",
        "forecast": f"forecast?run={one}",
        "metrics": f"metrics?run={one}",
        "attention": f"attention?run={one}",
        "attention, failed": f"attention?run={failed.id}",
        "compare": f"compare?runs={one},{other}",
        "ledger": "ledger",
        "benchmarks": "benchmarks",
    }
    store.request_stop(waiting.id)
    store.finish(running.id, "stopped")
    for run in (*finished, failed, running, waiting):
        store.delete(run.id)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_and_headings_step_by_one(browser: Browser, server, pages, scheme):
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme=scheme)
    watched = Watched(context.new_page(), server.url)
    faults, measured = [], 0
    for name, path in pages.items():
        page = watched.open(path)
        found = _settled(page)
        measured += len(found["texts"])
        faults += [f"{name}: {one}" for one in _faint(found)]
        faults += [f"{name}: {fault}" for fault in _heading_faults(found["headings"])]
    context.close()
    assert measured > 400
    assert not faults, "\n".join(faults)


_LEGENDS_ON_CHARTS = """() => [...document.querySelectorAll(".js-plotly-plot")].filter((chart) => {
  const legend = chart.querySelector(".legend")?.getBoundingClientRect();
  const areas = [...chart.querySelectorAll(".nsewdrag")].map((area) => area.getBoundingClientRect());
  return legend && areas.some((area) => legend.bottom > area.top + 2 && area.bottom > legend.top + 2);
}).length"""


def test_no_legend_lies_on_its_chart_on_a_phone(browser: Browser, server, pages):
    context = browser.new_context(viewport={"width": 390, "height": 2400})
    watched = Watched(context.new_page(), server.url)
    for name in ("forecast", "metrics"):
        page = watched.open(pages[name])
        page.wait_for_selector(".js-plotly-plot .legend")
        page.wait_for_timeout(1500)
        assert page.locator(".js-plotly-plot .legend").count() == (4 if name == "metrics" else 1)
        assert page.evaluate(_LEGENDS_ON_CHARTS) == 0, name
    context.close()


def _settled(page: Page) -> dict[str, Any]:
    """The page once it is drawn: charts and styles come after the script has ended, later on a busy machine.

    A text that is faint for good is still faint at the last look.
    """
    for _ in range(10):
        page.wait_for_timeout(600)
        found = page.evaluate(_MEASURE)
        if not _faint(found):
            break
    return found


def _faint(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in found["texts"] if one["contrast"] < one["needed"]]


def _heading_faults(headings: list[tuple[int, str]]) -> list[str]:
    levels = [level for level, _ in headings]
    if levels[:1] != [1] or levels.count(1) != 1:
        return [f"a page begins with its one heading of level 1, not {headings}"]
    return [
        f"heading {title!r} of level {level} follows one of level {before}"
        for before, (level, title) in zip(levels, headings[1:], strict=False)
        if level > before + 1
    ]
