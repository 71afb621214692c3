"""Memory and time on the set-up page: they follow the settings, warn, and offer what fits with one click."""

import subprocess
import sys
import threading

import psutil
import pytest
import sqlalchemy as sa

from tests.pages.conftest import config_for
from timellm.errors import ConfigError
from timellm.jobs.store.schema import runs
from timellm.jobs.store.shortage import told
from timellm.sizing.machine import Budget, MachineFacts
from timellm.sizing.offers import Offer
from timellm.sizing.trial import Trial
from timellm.ui import fit, measuring
from timellm.workspace import PROJECT

FACTS = MachineFacts("one", None, "bfloat16", {"float32": 170.0, "bfloat16": 900.0}, 15.0, 420.0, 40.0)


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A machine that has been measured, with 16 GiB, 12 of them free."""
    monkeypatch.setattr(measuring, "known_facts", lambda: FACTS)
    monkeypatch.setattr(fit, "budget", lambda *_, **__: Budget(12 * 1024, 16 * 1024))


def said(app) -> str:
    """The line over the bar."""
    return next(one.proto.text for one in app.get("progress"))


def large(open_page, table_id):
    """The page with a run of LLaMA 7B, whole."""
    app = open_page("finetune", table=table_id)
    app.selectbox(key=f"setting/{table_id}/catalogue").select("huggyllama/llama-7b").run()
    app.number_input(key=f"setting/{table_id}/layers").set_value(32).run()
    assert not app.exception
    return app


def test_memory_and_time_are_told_and_follow_the_settings(open_page, table_id):
    app = open_page("finetune", table=table_id)
    before = said(app)
    assert before.startswith("Needs about **")
    assert "of 12.9 GB free memory, at most about **" in before
    assert any("far less where the language model finds nothing" in caption.value for caption in app.caption)
    assert not app.warning
    app.number_input(key=f"setting/{table_id}/layers").set_value(30).run()
    assert said(app) != before


def test_run_on_a_cluster_is_not_held_against_this_machine(open_page, table_id, monkeypatch):
    monkeypatch.setenv("TIMELLM_RAY", "http://127.0.0.1:9")  # nothing listens there, and nothing is asked of it
    app = large(open_page, table_id)
    assert app.warning
    app.segmented_control(key=f"setting/{table_id}/where").set_value("Cluster").run()
    assert not app.exception
    assert not app.warning
    assert any("Each worker needs at most about **" in one.value for one in app.markdown)
    assert not app.get("progress")


def test_estimating_on_a_page_needs_neither_torch_nor_time(table_id):
    program = """
import cProfile, io, pstats, sys
from timellm.config import RunConfig
from timellm.ui import fit, measuring
from timellm.sizing.machine import MachineFacts
facts = MachineFacts("one", None, "bfloat16", {"float32": 170.0, "bfloat16": 900.0}, 15.0, 420.0, 40.0)
config = RunConfig.create("t.csv", backbone="huggyllama/llama-7b", layers=32)
around = fit.Surroundings(fit.TableSize(8783, 3), facts)
def work():
    fit.estimate(config, around)
    return fit.largest_that_fits(config, 8000, around)
work()  # what is imported at the first need, and the look into the model hub's cache
profile = cProfile.Profile()
offers = profile.runcall(work)
print(len(offers), pstats.Stats(profile, stream=io.StringIO()).total_calls, "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True)
    offers, calls, torch_loaded = done.stdout.split()
    assert int(offers)
    assert torch_loaded == "False"
    assert int(calls) < 100_000, "tens of estimates, of under a thousand calls each"


def test_run_that_does_not_fit_is_warned_of_and_one_click_makes_it_fit(open_page, table_id):
    app = large(open_page, table_id)
    assert "does not fit" in app.warning[0].value
    offers = [button for button in app.button if button.key and button.key.startswith("finetune/offer/")]
    assert offers
    fewer = next(button for button in offers if button.label.startswith("Layers used "))
    layers = int(fewer.label.split()[2])
    fewer.click().run()
    assert not app.exception
    assert app.number_input(key=f"setting/{table_id}/layers").value == layers < 32
    assert not app.warning


def test_offer_of_another_backbone_is_chosen_in_its_list(open_page, table_id):
    app = large(open_page, table_id)
    smaller = next(button for button in app.button if button.label.startswith("Backbone "))
    smaller.click().run()
    assert not app.exception
    assert app.selectbox(key=f"setting/{table_id}/catalogue").value == "smollm2-135m"


def test_unknown_backbone_says_that_nothing_is_known(open_page, table_id):
    app = open_page("finetune", table=table_id)
    app.selectbox(key=f"setting/{table_id}/catalogue").select("another model").run()
    app.text_input(key=f"setting/{table_id}/other-backbone").set_value("nobody/nothing").run()
    assert not app.exception
    assert any("Memory and time are not known" in caption.value for caption in app.caption)


@pytest.fixture
def endless():
    """A measurement that ends with the test."""
    over = threading.Event()
    yield over.wait
    over.set()


def test_machine_that_has_not_been_measured_says_so(open_page, table_id, monkeypatch, endless):
    monkeypatch.setattr(measuring, "known_facts", lambda: None)
    monkeypatch.setattr(measuring, "measured_facts", endless)
    app = open_page("finetune", table=table_id)
    assert not app.exception
    assert any("Measuring this machine once" in caption.value for caption in app.caption)
    assert not app.get("progress")


def test_failed_measurement_of_the_machine_is_shown_and_made_again(open_page, table_id, monkeypatch):
    answers, found = iter([ConfigError("this machine could not be measured: it is busy"), FACTS]), []

    def measured_facts():
        answer = next(answers)
        if isinstance(answer, ConfigError):
            raise answer
        found.append(answer)

    monkeypatch.setattr(measuring, "known_facts", lambda: found[0] if found else None)
    monkeypatch.setattr(measuring, "measured_facts", measured_facts)
    app = open_page("finetune", table=table_id)
    measuring._measurement()._thread.join()
    app.run()
    assert not app.exception
    assert any(
        "this machine could not be measured\\: it is busy. It is tried again in 30 s." in caption.value
        for caption in app.caption
    )
    assert not found, "not again at once"
    monkeypatch.setattr(measuring, "AGAIN_AFTER_S", 0.0)
    app.run()
    measuring._measurement()._thread.join()
    assert found == [FACTS]
    app.run()
    assert not app.exception
    assert said(app).startswith("Needs about **")


def test_memory_that_ending_runs_free_is_that_of_this_machine_s_workers(store, table_id):
    run = store.create_run(config_for(table_id), name="At work")
    store.claim(run.id)
    own_mib = psutil.Process().memory_info().rss / 2**20
    assert 0.5 * own_mib < measuring.held_by_a_run() < 2 * own_mib
    assert measuring.a_run_works()
    with store.database.writing() as connection:
        connection.execute(sa.update(runs).values(machine="another machine"))
    assert measuring.held_by_a_run() == 0, "there, the pid is another process's"
    assert not measuring.a_run_works()


def test_trial_is_told_and_corrects_the_estimate(open_page, table_id, monkeypatch):
    measured = Trial("measured", memory_mib=1500.0, loading_s=9.0, step_s=0.9, window_s=0.01)
    monkeypatch.setattr(measuring, "trial", lambda *_, **__: measured)
    monkeypatch.setattr(fit, "backbone_ready", lambda _: True)
    app = open_page("finetune", table=table_id)
    next(button for button in app.button if button.label == "Try one step").click().run()
    measuring.trying().thread.join()
    app.run()
    assert not app.exception
    assert any(caption.value == "Tried: 1.6 GB, 0.9 s a step." for caption in app.caption)
    assert "**1.6 GB**" in said(app)
    assert any("by a trial of these settings" in expander.label for expander in app.expander)


def test_failed_trial_says_why(open_page, table_id, monkeypatch):
    monkeypatch.setattr(measuring, "trial", lambda *_, **__: Trial("out of memory", cause="memory ran out"))
    monkeypatch.setattr(fit, "backbone_ready", lambda _: True)
    app = open_page("finetune", table=table_id)
    next(button for button in app.button if button.label == "Try one step").click().run()
    measuring.trying().thread.join()
    app.run()
    assert any("The trial ran out of memory" in warning.value for warning in app.warning)


def test_run_out_of_memory_is_started_again_with_settings_that_fit(open_page, table_id, store, monkeypatch):
    monkeypatch.setattr("timellm.jobs.local.launcher.launch", lambda run, *, store: 0)
    offer = Offer({"accumulation": 4}, memory_mib=900.0, seconds=300.0, price="The same result, each batch in 4 parts.")
    run = store.create_run(config_for(table_id), name="Too large")
    store.finish(run.id, "failed", error=f"out of memory; it would fit with {offer.as_options}", summary=told([offer]))
    app = open_page("runs", run=run.id)
    again = next(button for button in app.button if button.label.startswith("Start again with"))
    assert again.label == "Start again with Accumulation 4 · 944 MB, 5 min"
    again.click().run()
    assert not app.exception
    newest, *_ = store.runs()
    assert (newest.name, newest.config.trained.accumulation) == ("Too large", 4)
    assert app.query_params["run"] == newest.id
