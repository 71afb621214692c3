"""Signs of life: a run of a vanished machine is found by its silence, and a worker that only slept lets its run be."""

import threading
import time
from datetime import timedelta

import pytest
import sqlalchemy as sa

from timellm.errors import JobError, StoreError
from timellm.jobs.local.actions import go_on
from timellm.jobs.store import heartbeat
from timellm.jobs.store.heartbeat import BEAT_EVERY_S, CONFIRM_S, SILENT_S, HeartbeatThread, beat, database_clock
from timellm.jobs.store.process import this_process
from timellm.jobs.store.run_store import Store
from timellm.jobs.store.schema import runs
from timellm.jobs.worker import work
from timellm.training.progress import Progress


def changed(store, run, **values):
    with store.database.writing() as connection:
        connection.execute(sa.update(runs).where(runs.c.id == run.id).values(**values))


def last_beat(store, run):
    with store.database.reading() as connection:
        return connection.scalar(sa.select(runs.c.heartbeat).where(runs.c.id == run.id))


@pytest.fixture
def elsewhere(store, config):
    """A run that works on another machine, whose last sign of life is just now."""
    run = store.create_run(config, name="elsewhere")
    store.claim(run.id)
    # A process that is not there on this machine, which says nothing of the other one.
    changed(store, run, machine="another machine", pid_started=0.0)
    return store.get(run.id)


def silent_for(store, run, seconds):
    changed(store, run, heartbeat=database_clock() - seconds)


def step_the_clock(store, seconds):
    """As after a step of the database's clock: everything that was written by it lies further in the past."""
    values = {"heartbeat": runs.c.heartbeat - seconds, "doubted": runs.c.doubted - seconds}
    with store.database.writing() as connection:
        connection.execute(sa.update(runs).values(values))


def time_passes(store, seconds, *beating):
    """As after so many seconds, in which the workers of the runs `beating` wrote their heartbeats."""
    step_the_clock(store, seconds)
    for run in beating:
        assert beat(store.database, run.id, attempt=1)


def test_clock_of_the_database_is_a_clock(store):
    query, millisecond = sa.select(database_clock()), 0.001
    with store.database.reading() as connection:
        before, first, after = time.time(), connection.scalar(query), time.time()
    assert before - millisecond <= first <= after + millisecond
    with store.database.reading() as connection:
        assert connection.scalar(query) >= first


def test_run_of_a_machine_that_is_silent_is_lost(store, elsewhere):
    silent_for(store, elsewhere, SILENT_S - 60)
    assert store.reconcile() == ()
    silent_for(store, elsewhere, SILENT_S + 1)
    assert store.reconcile() == (), "it is looked at again"
    time_passes(store, CONFIRM_S - 60)
    assert store.reconcile() == ()
    time_passes(store, 61)
    (lost,) = store.reconcile()
    assert (lost.id, lost.state, lost.cause) == (elsewhere.id, "failed", "lost")
    assert "the machine 'another machine' has sent no heartbeat for 15 minutes" in lost.error
    assert store.events(lost.id)[-1].kind == "failed"


@pytest.mark.parametrize("seconds", [SILENT_S + 1, 86_400.0, -SILENT_S - 1, -86_400.0])
def test_step_of_the_clock_makes_no_living_run_lost(store, elsewhere, seconds):
    for _ in range(3):  # set by hand, and corrected, and again
        step_the_clock(store, seconds)
        assert store.reconcile() == ()
        time_passes(store, BEAT_EVERY_S, elsewhere)
        for _ in range(2):
            assert store.reconcile() == ()
            time_passes(store, CONFIRM_S + 1, elsewhere)
    assert store.get(elsewhere.id).state == "running"
    time_passes(store, SILENT_S + 1)
    assert store.reconcile() == ()
    time_passes(store, CONFIRM_S + 1)
    assert [run.id for run in store.reconcile()] == [elsewhere.id], "a machine that vanishes later is still found"


def test_server_that_was_away_for_long_loses_no_living_run(store, elsewhere):
    time_passes(store, 3600)  # no heartbeat could be written, and no look be taken
    assert store.reconcile() == ()
    time_passes(store, BEAT_EVERY_S, elsewhere)
    time_passes(store, CONFIRM_S)
    assert store.reconcile() == ()


def test_run_of_an_earlier_version_that_gives_no_signs_is_left_alone(store, elsewhere):
    changed(store, elsewhere, heartbeat=None)
    assert store.reconcile() == ()


def test_run_of_this_machine_is_known_by_its_process_alone(store, config):
    run = store.create_run(config)
    store.claim(run.id, process=this_process())
    silent_for(store, run, 10 * SILENT_S)
    assert store.reconcile() == ()
    assert store.get(run.id).state == "running"


def test_sign_of_life_that_comes_at_the_last_moment_counts(store, elsewhere, monkeypatch):
    silent_for(store, elsewhere, SILENT_S + 1)
    assert store.reconcile() == ()
    time_passes(store, CONFIRM_S + 1)
    get = Store.get

    def and_then_it_beats(self, run_id):
        assert beat(store.database, run_id, attempt=1)
        return get(self, run_id)

    monkeypatch.setattr(Store, "get", and_then_it_beats)
    assert store.reconcile() == ()
    assert get(store, elsewhere.id).state == "running"


def test_heartbeats_are_written_while_the_worker_is_busy_and_end_with_it(store, elsewhere):
    silent_for(store, elsewhere, 1000)
    before = last_beat(store, elsewhere)
    with HeartbeatThread(store.database, elsewhere.id, attempt=1, every_s=0.02):
        sum(range(20_000_000))  # a step that never lets go by itself
        while last_beat(store, elsewhere) == before:
            time.sleep(0.01)
    after = last_beat(store, elsewhere)
    assert after > before + 900
    assert not any(thread.name == f"heartbeat of {elsewhere.id}" for thread in threading.enumerate())


def test_heartbeats_go_on_after_a_store_that_cannot_be_used(store, elsewhere, monkeypatch):
    tries = []

    def refused_once(database, run_id, *, attempt):
        tries.append(attempt)
        if len(tries) == 1:
            raise StoreError("locked")
        return len(tries) < 3

    monkeypatch.setattr(heartbeat, "beat", refused_once)
    thread = HeartbeatThread(store.database, elsewhere.id, attempt=1, every_s=0.01)
    with thread:
        thread._thread.join(timeout=20)  # it ends when the run is no longer its own
    assert tries == [1, 1, 1]


def test_worker_that_slept_too_long_lets_the_run_be(store, config):
    run = store.create_run(config)
    taken_up = []

    def fit(config, *, on_progress, should_stop, **_):
        on_progress(Progress("training", done=1, total=9, train_loss=0.9))
        store.finish(run.id, "failed", error="lost: silent", cause="lost")  # what another machine sees
        go_on(store, run.id)
        assert store.claim(run.id)
        store.record(run.id, Progress("training", done=5, total=9, train_loss=0.5), attempt=2)
        taken_up.append(store.get(run.id))
        with pytest.raises(JobError, match="ended or resumed elsewhere"):
            should_stop()
        on_progress(Progress("training", done=2, total=9, train_loss=0.8, validation_loss=0.1))

    with pytest.raises(JobError, match="was resumed elsewhere, so this attempt cannot be failed"):
        work(run.id, store=store, fit=fit)
    assert store.get(run.id) == taken_up[0], "the sleeper wrote into the other's run"
    assert not beat(store.database, run.id, attempt=1)
    assert store.finish(run.id, "finished", attempt=2).state == "finished"


def test_working_time_is_that_of_all_attempts(store, config):
    run = store.create_run(config)
    assert run.seconds is None
    took_s = 0.0
    for attempt in (1, 2, 3):
        store.claim(run.id)
        assert store.get(run.id).attempt == attempt
        changed(store, run, started=store.get(run.id).started - timedelta(seconds=100))
        store.finish(run.id, "failed", error="killed", cause="crash")
        now = store.get(run.id)
        took_s += (now.ended - now.started).total_seconds()
        worked = now.seconds
        assert took_s >= 100 * attempt
        assert worked == pytest.approx(took_s)
        go_on(store, run.id)
        assert store.get(run.id).seconds == worked, "waiting is no work"
    store.claim(run.id)
    store.finish(run.id, "failed", error="killed", cause="crash")
    go_on(store, run.id, from_the_beginning=True)
    assert store.get(run.id).seconds is None


def test_time_in_which_a_lost_run_lay_unnoticed_is_no_work(store, config):
    run = store.create_run(config)
    store.claim(run.id)
    store.record(run.id, Progress("training", done=1))
    now = store.get(run.id)
    changed(store, run, started=now.updated - timedelta(days=365))
    store.finish(run.id, "failed", error="lost", cause="lost")
    changed(store, run, updated=now.updated, ended=now.updated + timedelta(days=365))
    assert store.get(run.id).seconds == pytest.approx(365 * 86400)
