"""A run that is pre-trained on another table: chosen in a browser, killed meanwhile, and resumed on its page."""

from __future__ import annotations

import os
import re
import signal

import pytest
from playwright.sync_api import expect

from tests.browser.test_run_actions import wait_for
from tests.conftest import SMALL
from timellm.config import RunConfig
from timellm.data.samples import samples
from timellm.data.uploads import sample_settings
from timellm.jobs.local.launcher import start_run
from timellm.jobs.store.run import log_tail

_SOON_MS = 30_000
_OWN, _OTHER = (f"sample:{key}" for key in ("mauna-loa-co2", "seattle-weather"))


@pytest.fixture
def forgotten(server):
    """Removes the test's runs from the shared server."""
    before = {run.id for run in server.store().runs()}
    yield
    for run in server.store().runs():
        if run.id not in before:
            server.store().delete(run.id)


def test_table_to_pre_train_on_is_chosen_and_both_trainings_are_watched(watched, server, forgotten, shoot):
    page = watched.open(f"finetune?table={_OWN}")
    watched.choose("Forecaster", "DLinear")
    for label, value in (("Context, rows", 48), ("Horizon, rows", 8), ("Steps at most", 6)):
        watched.settled()
        page.get_by_label(label, exact=True).fill(str(value))
        page.keyboard.press("Enter")
    watched.settled()
    watched.unfold("Start from other data or another run", shows="Other tables").click()
    expect(page.get_by_text("Choose a table to pre-train on, or begin with new weights")).to_be_visible(
        timeout=_SOON_MS
    )
    other = next(one for one in samples() if one.key == _OTHER.removeprefix("sample:"))
    watched.choose("Tables to pre-train on", re.compile(re.escape(other.title)))
    page.keyboard.press("Escape")
    watched.settled()
    shoot("finetune-pretrain")
    page.get_by_role("button", name="Start fine-tuning").click()
    page.wait_for_url(re.compile("run="), timeout=_SOON_MS)
    run_id = re.search(r"run=([^&]+)", page.url)[1]
    ended = wait_for(server.store(), run_id, lambda run: not run.active)
    assert ended.state == "finished", log_tail(ended.log_file)
    expect(page.get_by_text(re.compile(f"Trained first on {re.escape(other.title)}"))).to_be_visible(timeout=_SOON_MS)
    kinds = [event.kind for event in server.store().events(run_id)]
    assert kinds == ["queued", "started", "loading", "pretraining", "training", "evaluating", "finished"]
    watched.assert_no_trouble_shown()
    shoot("run-pretrained")


def test_run_that_was_killed_in_its_pre_training_is_resumed_on_the_page(
    watched, server, forgotten, hourly_csv, tiny_backbone
):
    assert sample_settings(_OTHER) == {}, "read as its file stands"
    other = next(one for one in samples() if one.key == _OTHER.removeprefix("sample:"))
    settings = SMALL | {"pretrain": (str(other.path),), "pretrain_steps": 600, "validations": 30, "patience": 1000}
    store = server.store()
    run = start_run(RunConfig.create(hourly_csv, backbone=str(tiny_backbone), **settings), name="Cut", store=store)
    working = wait_for(store, run.id, lambda run: run.phase == "pretraining" and run.done > 100)
    os.kill(working.pid, signal.SIGKILL)
    page = watched.open(f"runs?run={run.id}")
    expect(page.get_by_text("This run failed")).to_be_visible(timeout=_SOON_MS)
    page.get_by_role("button", name="Resume").click()
    again = wait_for(store, run.id, lambda run: run.attempt == 2 and run.phase == "pretraining" and run.done)
    assert again.done > 20, "it went on where it stood"
    ended = wait_for(store, run.id, lambda run: not run.active)
    assert ended.state == "finished", log_tail(ended.log_file)
    kinds = [event.kind for event in store.events(run.id)]
    assert kinds[-7:] == ["resumed", "started", "loading", "pretraining", "training", "evaluating", "finished"]
    assert store.curve(run.id)["step"].max() == SMALL["steps"], "the curve is that of the run's own table"
