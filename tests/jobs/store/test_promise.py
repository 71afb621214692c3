"""The time that was told before a run: it is kept with the run, and a run that takes clearly longer is known by it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from timellm.jobs.store import queue
from timellm.jobs.store.promise import Promise, lateness

TOLD = Promise(seconds=40.0, training_windows_per_s=30.0, evaluation_windows_per_s=60.0)


@pytest.fixture
def working(store, config):
    run = store.create_run(config, promise=TOLD)
    store.claim(run.id)
    return store.get(run.id)


def at(run, *, seconds, left, phase="training", rate=10.0):
    """The run when it has worked for some time."""
    now = datetime.now(UTC)
    return replace(
        run, started=now - timedelta(seconds=seconds), ended=now, eta_s=left, phase=phase, windows_per_s=rate
    )


def test_store_keeps_what_was_told(store, working):
    assert Promise.from_text(working.promise) == TOLD


def test_run_within_its_time_is_not_late(working):
    assert lateness(at(working, seconds=20, left=25)) is None


def test_late_run_says_by_how_much_and_which_rate_it_is(working):
    late = lateness(at(working, seconds=60, left=180))
    assert late.told_s == 40 and late.now_s == pytest.approx(240)
    assert late.times_slower == pytest.approx(3)
    late = lateness(at(working, seconds=60, left=180, phase="evaluating", rate=30.0))
    assert late.times_slower == pytest.approx(2)


def test_no_reason_is_given_where_the_rate_is_as_estimated(working):
    assert lateness(at(working, seconds=60, left=180, rate=31.0)).times_slower is None
    assert lateness(at(working, seconds=100, left=None, phase="loading", rate=None)).times_slower is None


def test_a_short_run_is_not_late_by_a_few_seconds(store, config):
    run = store.create_run(config, promise=replace(TOLD, seconds=5.0))
    store.claim(run.id)
    assert lateness(at(store.get(run.id), seconds=15, left=5)) is None


def test_nothing_is_compared_where_nothing_was_told(store, config):
    run = store.create_run(config)
    store.claim(run.id)
    assert lateness(at(store.get(run.id), seconds=1e4, left=1e4)) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"seconds": 1}', TOLD.to_text().replace("40.0", '"x"')])
def test_unreadable_promise_is_none(text):
    assert Promise.from_text(text) is None


def test_changed_settings_of_a_waiting_run_bring_their_own_time(store, config):
    run = store.create_run(config, promise=TOLD)
    queue.edit(store.database, run.id, config.updated(steps=7), name="other", promise=replace(TOLD, seconds=9.0))
    assert Promise.from_text(store.get(run.id).promise).seconds == 9
    queue.edit(store.database, run.id, config.updated(steps=8), name="other")
    assert store.get(run.id).promise is None, "an old time is not that of the new settings"
