"""A run from the store to its folder with the real pipeline, in a process of its own."""

import time

import pytest

from timellm.forecasting.artifacts import RunFolder
from timellm.jobs.local.launcher import start_run
from timellm.jobs.store.run import log_tail


def ended(store, run_id, *, timeout_s=120.0):
    """The run once it has ended."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        store.reconcile()
        run = store.get(run_id)
        if not run.active:
            return run
        time.sleep(0.2)
    raise AssertionError(f"still {run.state} in phase {run.phase}:\n{log_tail(run.log_file)}")


def test_two_runs_finish_one_after_the_other_in_processes_of_their_own(store, small_config):
    first = start_run(small_config, name="first", store=store)
    second = start_run(small_config.updated(channels=("nothing",)), name="second", store=store)
    run = ended(store, first.id)
    assert (run.state, run.error) == ("finished", None), log_tail(run.log_file)
    assert (run.fraction, run.summary["steps"]) == (1.0, 8)
    assert run.best_validation_loss == pytest.approx(run.summary["best_validation_loss"])
    assert store.curve(run.id)["validation_loss"].notna().sum() == 2
    folder = RunFolder(run.run_dir)
    assert folder.config().model == small_config.model
    assert len(folder.future()) == 2 * 12
    assert not folder.scores().overall.empty
    assert "finished after" in log_tail(run.log_file)

    other = ended(store, second.id)
    assert other.state == "failed"
    assert "'nothing'" in other.error
    assert "Traceback" not in log_tail(other.log_file)
    assert other.started >= run.ended


def test_stopped_run_keeps_its_best_checkpoint(store, small_config):
    run = start_run(small_config.updated(steps=1_000_000, validations=1000, patience=10**6, minutes=5), store=store)
    end = time.monotonic() + 120
    while store.get(run.id).best_validation_loss is None:
        assert store.get(run.id).active, log_tail(run.log_file)
        assert time.monotonic() < end
        time.sleep(0.1)
    store.request_stop(run.id)
    run = ended(store, run.id)
    assert (run.state, run.error) == ("stopped", None)
    assert run.summary["best_step"] > 0
    assert not RunFolder(run.run_dir).scores().overall.empty
    assert "asked to stop; the best checkpoint is kept" in log_tail(run.log_file)
