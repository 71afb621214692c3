"""The runner: works the queue off in its order, ends when nothing waits, and lets no run block the rest."""

import itertools
import subprocess
import sys
import threading

from timellm.errors import StoreError
from timellm.jobs.local.lease import runner_of
from timellm.jobs.local.runner import NEVER_STARTED, drain
from timellm.jobs.store import queue

WORKER = """
import sys, time
from pathlib import Path
from timellm.jobs.store.run_store import Store
from timellm.workspace import Workspace
store = Store.open(Workspace(Path(sys.argv[1])))
if store.claim(sys.argv[2]):
    time.sleep(0.2)
    store.finish(sys.argv[2], "finished")
"""


def worker(run_id, store):
    """A process that takes its run and finishes it soon."""
    return subprocess.Popen([sys.executable, "-c", WORKER, str(store.place.root), run_id])


def test_runner_works_the_queue_off_in_its_order_and_ends(store, config):
    first, second, third = (store.create_run(config).id for _ in range(3))
    queue.move(store.database, third, places=None)
    assert drain(store, start=worker)
    ended = sorted(store.runs(), key=lambda run: run.started)
    assert [(run.id, run.state) for run in ended] == [(third, "finished"), (first, "finished"), (second, "finished")]
    assert all(before.ended <= after.started for before, after in itertools.pairwise(ended))
    assert runner_of(store.database) is None


def test_run_whose_process_ends_before_it_takes_it_is_failed_and_the_next_goes_on(store, config):
    broken, good = store.create_run(config).id, store.create_run(config).id

    def start(run_id, store):
        return (
            subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
            if run_id == broken
            else worker(run_id, store)
        )

    assert drain(store, start=start)
    assert (store.get(broken).state, store.get(broken).error) == ("failed", NEVER_STARTED)
    assert store.get(broken).cause == "crash"
    assert store.get(good).state == "finished"


RESUMED_BEFORE_ITS_WORKER_IS_GONE = """
import os, signal, sys
from pathlib import Path
from timellm.jobs.local.actions import go_on
from timellm.jobs.store.run_store import Store
from timellm.workspace import Workspace
store = Store.open(Workspace(Path(sys.argv[1])))
assert store.claim(sys.argv[2])
store.finish(sys.argv[2], "failed", error="lost", cause="lost")
go_on(store, sys.argv[2])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_run_that_is_resumed_before_the_runner_looks_is_not_blamed_for_the_killed_worker(store, config):
    run, started = store.create_run(config), []

    def start(run_id, store):
        started.append(run_id)
        if len(started) > 1:
            return worker(run_id, store)
        command = [sys.executable, "-c", RESUMED_BEFORE_ITS_WORKER_IS_GONE, str(store.place.root), run_id]
        return subprocess.Popen(command)

    assert drain(store, start=start)
    assert [event.kind for event in store.events(run.id)] == [
        "queued", "started", "failed", "resumed", "started", "finished",
    ]  # fmt: skip


def test_run_whose_process_cannot_be_made_is_failed_with_its_cause(store, config):
    run = store.create_run(config)

    def start(run_id, store):
        raise OSError(28, "No space left on device")

    assert drain(store, start=start)
    assert store.get(run.id).cause == "disk"
    assert "No space left on device" in store.get(run.id).error


def test_run_that_is_queued_while_the_runner_works_is_taken_too(store, config):
    store.create_run(config)
    late = []

    def start(run_id, store):
        if not late:
            late.append(store.create_run(config).id)
        return worker(run_id, store)

    assert drain(store, start=start)
    assert store.get(late[0]).state == "finished"


def test_runner_that_is_asked_to_end_leaves_its_worker_and_the_queue(store, config):
    runs = [store.create_run(config).id for _ in range(2)]
    terminated, started = threading.Event(), []

    def start(run_id, store):
        started.append(worker(run_id, store))
        terminated.set()
        return started[-1]

    drain(store, start=start, terminated=terminated)
    assert runner_of(store.database) is None
    assert started[0].wait(timeout=30) == 0
    assert [store.get(run_id).state for run_id in runs] == ["finished", "queued"]


TWO_RUNNERS = """
import sys
from pathlib import Path
from timellm.jobs.local.runner import drain
from timellm.jobs.store.run_store import Store
from timellm.workspace import Workspace
sys.path.insert(0, ".")
from tests.jobs.local.test_runner import worker
print(drain(Store.open(Workspace(Path(sys.argv[1]))), start=worker))
"""


def test_two_runners_at_once_take_no_run_twice(store, config, tmp_path):
    runs = [store.create_run(config).id for _ in range(3)]
    command = [sys.executable, "-c", TWO_RUNNERS, str(tmp_path)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = sorted(one.communicate(timeout=90)[0].strip() for one in both)
    assert said in (["False", "True"], ["True", "True"])  # the second may have come when all was done
    for run_id in runs:
        assert [event.kind for event in store.events(run_id)] == ["queued", "started", "finished"]


def test_runner_outlives_a_store_that_cannot_be_used_for_a_while(store, config, monkeypatch, caplog):
    run, reconcile, looks = store.create_run(config), type(store).reconcile, []

    def away_at_first(self):
        looks.append(1)
        if len(looks) < 3:
            raise StoreError("the server restarts")
        return reconcile(self)

    monkeypatch.setattr(type(store), "reconcile", away_at_first)
    monkeypatch.setattr("timellm.jobs.local.runner.POLL_S", 0.01)
    assert drain(store, start=worker)
    assert store.get(run.id).state == "finished"
    assert "the queue is read again when the store can be used: the server restarts" in caplog.text
