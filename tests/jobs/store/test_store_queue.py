"""The queue: an order that can be changed, devices that work beside each other, one lease for one runner."""

import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from timellm.errors import JobError
from timellm.jobs.local.actions import go_on
from timellm.jobs.local.lease import acquire_lease, ensure_runner, release_lease, runner_of
from timellm.jobs.store import queue
from timellm.jobs.store.process import ProcessIdentity, this_process
from timellm.jobs.store.schema import runners

GONE = ProcessIdentity(os.getpid(), this_process().started - 3600)
"""A process whose number another one has by now."""


@pytest.fixture
def three(store, config):
    """Ids of three waiting runs, in their order."""
    return [store.create_run(config).id for _ in range(3)]


def order(store):
    return [run.id for run in store.waiting()]


def test_runs_wait_in_the_order_of_their_making(store, three):
    assert order(store) == three
    assert store.due() == (three[0],)


def test_moved_runs_take_their_new_turns(store, three):
    first, second, third = three
    queue.move(store.database, third, places=-1)
    assert order(store) == [first, third, second]
    queue.move(store.database, second, places=None)
    assert order(store) == [second, first, third]
    queue.move(store.database, second, places=1)
    assert order(store) == [first, second, third]
    queue.move(store.database, first, places=-1)
    queue.move(store.database, third, places=5)
    assert order(store) == [first, second, third]
    queue.move(store.database, third, places=None)
    assert not store.claim(first)
    assert store.claim(third)
    assert store.events(third)[1].detail == "from place 3 to 2 of the queue"


def test_new_run_goes_behind_those_that_were_moved(store, config, three):
    queue.move(store.database, three[0], places=2)
    new = store.create_run(config).id
    assert order(store)[-2:] == [three[0], new]


def test_run_that_goes_on_waits_behind_the_others(store, three):
    store.request_stop(three[0])
    go_on(store, three[0])
    assert order(store) == [three[1], three[2], three[0]]


def test_only_a_waiting_run_is_moved(store, three):
    store.claim(three[0])
    with pytest.raises(JobError, match=r"does not wait in this machine's queue, or no longer"):
        queue.move(store.database, three[0], places=1)


def test_waiting_run_is_edited_and_keeps_its_place(store, config, three):
    queue.edit(store.database, three[0], config.updated(horizon=12), name="With less")
    edited = store.get(three[0])
    assert (edited.config.model.horizon, edited.name) == (12, "With less")
    assert order(store) == three
    store.claim(three[0])
    with pytest.raises(JobError, match="has begun or ended, so its settings cannot be changed"):
        queue.edit(store.database, three[0], config, name="Too late")
    assert store.get(three[0]).name == "With less"


def test_devices_work_beside_each_other(store, config):
    on_cpu = [store.create_run(config.updated(device="cpu")).id for _ in range(2)]
    on_gpu = store.create_run(config.updated(device="cuda")).id
    assert store.due() == (on_cpu[0], on_gpu)
    assert store.claim(on_cpu[0])
    assert not store.claim(on_cpu[1])
    assert store.claim(on_gpu)


def test_device_works_on_as_many_runs_as_the_setting_says(store, three, monkeypatch):
    monkeypatch.setenv("TIMELLM_RUNS_PER_DEVICE", "2")
    assert store.due() == tuple(three[:2])
    assert store.claim(three[1])
    assert store.claim(three[0])
    assert not store.claim(three[2])
    monkeypatch.setenv("TIMELLM_RUNS_PER_DEVICE", "many")
    with pytest.raises(JobError, match="TIMELLM_RUNS_PER_DEVICE is 'many'; give a number of runs from 1 to 64"):
        store.due()


def test_machines_that_share_a_server_have_queues_of_their_own(store, database, config, monkeypatch):
    if database == "sqlite":
        pytest.skip("a file is used by one machine")
    here = store.create_run(config).id
    monkeypatch.setenv("TIMELLM_MACHINE", "another")
    other = type(store).open(store.place)
    there = other.create_run(config).id
    assert (other.due(), store.due()) == ((there,), (here,))
    assert not other.claim(here)
    assert other.claim(there, process=GONE)
    assert store.claim(here)
    assert store.get(there).state == "running", "nobody here can tell how a process there fares"
    assert [run.id for run in other.reconcile()] == [there]
    other.close()


def test_runner_is_started_once_and_only_while_runs_wait(store, config):
    assert not ensure_runner(store.database, this_process), "nothing waits"
    store.create_run(config)
    assert ensure_runner(store.database, this_process)
    assert not ensure_runner(store.database, this_process)
    assert runner_of(store.database) == this_process()


def test_dead_runner_is_replaced_after_some_patience(store, config):
    store.create_run(config)
    ensure_runner(store.database, lambda: GONE)
    assert not ensure_runner(store.database, this_process, patience_s=3600)
    assert ensure_runner(store.database, this_process)


def test_dead_runner_is_replaced_though_the_clock_was_set_back(store, config):
    store.create_run(config)
    ensure_runner(store.database, lambda: GONE)
    with store.database.writing() as connection:
        connection.execute(sa.update(runners).values(since=datetime.now(UTC) + timedelta(hours=1)))
    assert ensure_runner(store.database, this_process, patience_s=60)


def test_runner_releases_its_lease_only_when_nothing_waits(store, config):
    run = store.create_run(config)
    assert acquire_lease(store.database, this_process())
    assert not release_lease(store.database, this_process())
    store.claim(run.id)
    assert release_lease(store.database, this_process())
    assert runner_of(store.database) is None


def test_second_runner_does_not_get_the_lease_of_a_living_one(store):
    first = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        identity = ProcessIdentity.of(first.pid)
        assert acquire_lease(store.database, identity)
        assert not acquire_lease(store.database, this_process())
        assert runner_of(store.database) == identity
    finally:
        first.communicate(b"\n")
    assert acquire_lease(store.database, this_process())


def test_one_runner_is_started_when_many_ask_at_once(store, config):
    store.create_run(config)
    started = []

    def start():
        started.append(this_process())
        return started[-1]

    asking = [threading.Thread(target=ensure_runner, args=(store.database, start)) for _ in range(8)]
    for one in asking:
        one.start()
    for one in asking:
        one.join(timeout=30)
    assert len(started) == 1
