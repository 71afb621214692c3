"""A store that cannot be used for a while, such as one on a full disk: runs go on, and their ending is written late."""

import contextlib
import errno
import threading
import time
from dataclasses import dataclass, field

import pytest

from timellm.config import RunConfig
from timellm.errors import StoreError
from timellm.jobs import worker
from timellm.jobs.store import reporter
from timellm.jobs.store.cause import kind_of
from timellm.jobs.store.run_store import Store
from timellm.jobs.worker import work
from timellm.training.progress import Progress
from timellm.workspace import Workspace


@dataclass(frozen=True)
class Done:
    """What the pipeline returns."""

    summary: dict = field(default_factory=dict)
    stopped: bool = False


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(worker, "END_AGAIN_S", 0.05)
    monkeypatch.setattr(reporter, "REFUSED_S", 0.05)


@pytest.fixture
def small_disk(disk_of):
    return disk_of(2)


def fill(path):
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def test_run_whose_disk_is_full_with_the_store_on_it_ends_with_that_cause(small_disk, monkeypatch, caplog):
    monkeypatch.delenv("TIMELLM_STORE", raising=False)
    store = Store.open(Workspace(small_disk))
    run = store.create_run(RunConfig.create("table.csv"))
    filler = small_disk / "filler"

    def fit(config, *, run_dir, on_progress, should_stop):
        fill(filler)
        for step in range(400):  # the log of the database takes some room that it has already
            on_progress(Progress("training", done=step, total=400, train_loss=0.5, validation_loss=0.5))
            assert not should_stop()
        threading.Timer(0.5, filler.unlink).start()
        raise OSError(errno.ENOSPC, "No space left on device")

    assert work(run.id, store=store, fit=fit) == "failed"
    ended = store.get(run.id)
    assert (ended.state, ended.cause) == ("failed", "disk")
    assert "the disk is full" in ended.error
    assert "progress is kept until the store can be used again" in caplog.text
    assert "the ending 'failed' cannot be written now and is tried again" in caplog.text
    store.close()


@pytest.fixture
def unusable(store, monkeypatch):
    """Makes the store unusable for whoever writes, until it is called again."""
    state = {"off": False}
    record, finish = Store.record, Store.finish

    def unless_off(method):
        def call(self, *arguments, **named):
            if state["off"]:
                raise StoreError("the store of runs cannot be used: locked")
            return method(self, *arguments, **named)

        return call

    monkeypatch.setattr(Store, "record", unless_off(record))
    monkeypatch.setattr(Store, "finish", unless_off(finish))
    return lambda off: state.update(off=off)


def test_what_a_run_reports_while_the_store_cannot_be_used_is_written_later(store, config, unusable):
    run = store.create_run(config)

    def fit(config, *, on_progress, **_):
        on_progress(Progress("training", done=1, total=9, train_loss=0.9))
        unusable(True)
        for step in range(2, 8):
            on_progress(Progress("training", done=step, total=9, train_loss=1 / step))
            if step % 3 == 0:
                on_progress(Progress("training", done=step, total=9, validation_loss=2 / step))
        unusable(False)
        time.sleep(0.1)
        on_progress(Progress("training", done=9, total=9, validation_loss=0.1))
        return Done({"mae": 1.0})

    assert work(run.id, store=store, fit=fit) == "finished"
    curve = store.curve(run.id).dropna(subset="validation_loss")
    assert curve["step"].to_list() == [3, 6, 9]
    assert store.get(run.id).done == 9


def test_finished_run_is_finished_when_the_store_can_be_used_again(store, config, unusable):
    run = store.create_run(config)

    def fit(config, **_):
        unusable(True)
        threading.Timer(0.3, unusable, [False]).start()
        return Done({"mae": 1.0})

    assert work(run.id, store=store, fit=fit) == "finished"
    assert store.get(run.id).summary == {"mae": 1.0}


def test_worker_gives_up_when_the_store_stays_away(store, config, unusable, monkeypatch):
    monkeypatch.setattr(worker, "END_WITHIN_S", 0.1)
    run = store.create_run(config)

    def fit(config, **_):
        unusable(True)
        return Done()

    with pytest.raises(StoreError, match="locked"):
        work(run.id, store=store, fit=fit)


def test_store_that_cannot_be_used_counts_as_the_disks():
    assert kind_of(StoreError("locked")) == "disk"
