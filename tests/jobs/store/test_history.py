"""What past runs and trials took, as estimates take it."""

import pytest

from timellm.jobs.store.history import observations, remember_trial, trials_file
from timellm.sizing.trial import Trial

SUMMARY = {
    "training_seconds": 130.0, "steps": 100, "evaluation_seconds": 10.0, "test_windows": 600, "seconds": 150.0,
    "memory_mib": 900.0,
}  # fmt: skip


def finished(store, config, **changes):
    run = store.create_run(config)
    store.claim(run.id)
    return store.finish(run.id, "finished", summary=SUMMARY | changes)


def test_finished_run_tells_its_memory_and_seconds(store, config):
    finished(store, config)
    (one,) = observations(store)
    assert (one.kind, one.config, one.memory_mib) == ("run", config, 900.0)
    assert one.loading_s == pytest.approx(10.0)
    assert one.window_s == pytest.approx(10.0 / 640)  # batches are filled up
    assert one.step_s == pytest.approx((130 - 8 * 256 * 10 / 640) / 100)


def test_run_with_a_pre_training_tells_neither_loading_nor_memory(store, config):
    finished(store, config.updated(pretrain=("other.csv",)))
    (one,) = observations(store)
    assert (one.loading_s, one.memory_mib) == (None, None) and one.step_s > 0


def test_runs_that_did_not_finish_or_say_too_little_tell_nothing(store, config):
    waiting = store.create_run(config)
    store.finish(waiting.id, "stopped", summary=SUMMARY)
    finished(store, config, memory_mib=None)
    assert observations(store) == ()


def test_trial_is_remembered_and_comes_first(store, config):
    finished(store, config)
    measured = Trial("measured", memory_mib=800.0, loading_s=9.0, step_s=1.5, window_s=0.02)
    remember_trial(store, config.updated(layers=2), Trial("measured", 700.0, 9.0, 1.0, 0.01))
    remember_trial(store, config, measured)
    first, second, third = observations(store)
    assert (first.kind, first.config, first.memory_mib, first.step_s) == ("trial", config, 800.0, 1.5)
    assert (second.config.model.layers, third.kind) == (2, "run")


def test_trial_that_measured_nothing_is_not_kept(store, config):
    remember_trial(store, config, Trial("cancelled", cause="cancelled"))
    assert not trials_file(store).exists()


def test_half_a_line_of_a_trial_is_left_out(store, config):
    remember_trial(store, config, Trial("measured", 800.0, 9.0, 1.5, 0.02))
    with trials_file(store).open("a") as file:
        file.write('{"config": {"data": {"pa')
    assert len(observations(store)) == 1
