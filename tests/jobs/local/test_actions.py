"""What a user does to a run: names and labels, letting it go on, and ending it at once; each leaves its event."""

import signal
import subprocess
import sys

import psutil
import pytest

from timellm.errors import JobError
from timellm.forecasters.start_rules import PRETRAINED
from timellm.forecasting.artifacts import SUMMARY
from timellm.jobs.local.actions import MOST_TAGS, go_on, label, rename, stop_now
from timellm.jobs.store.process import ProcessIdentity
from timellm.jobs.store.run import _OUTCOME, TRAINING_STATE
from timellm.training.progress import Progress
from timellm.training.state import STATE


@pytest.fixture
def ended(store, config):
    """A run that failed in training and has written where it stood."""
    run = store.create_run(config)
    store.claim(run.id)
    run.run_dir.mkdir(parents=True)
    run.state_file.write_bytes(b"where it stood")
    store.record(run.id, Progress("training", done=8, total=10, fraction=0.8, train_loss=0.5, validation_loss=0.6))
    return store.finish(run.id, "failed", error="killed", cause="lost")


def kinds(store, run):
    return [event.kind for event in store.events(run.id)]


def test_rename_changes_the_name_and_says_what_it_was(store, config):
    run = store.create_run(config, name="First")
    assert rename(store, run.id, "  Second \n try ").name == "Second try"
    assert [(event.kind, event.detail) for event in store.events(run.id)][1:] == [("renamed", "was First")]
    with pytest.raises(JobError, match="a run needs a name"):
        rename(store, run.id, "  ")


def test_tags_and_note_come_back_as_they_were_given(store, config):
    run = store.create_run(config)
    assert (run.tags, run.note) == ((), "")
    labelled = label(store, run.id, tags=["for the paper", " baseline ", "", "baseline"], note="Line one\nline two")
    assert labelled.tags == ("for the paper", "baseline")
    assert labelled.note == "Line one\nline two"
    assert label(store, run.id, tags=[], note="").tags == ()
    with pytest.raises(JobError, match=f"may have {MOST_TAGS} tags"):
        label(store, run.id, tags=[str(number) for number in range(MOST_TAGS + 1)], note="")
    with pytest.raises(JobError, match="the note has 5,000 letters"):
        label(store, run.id, tags=[], note="x" * 5000)


def test_files_have_the_names_that_training_gives_them():
    assert (TRAINING_STATE, _OUTCOME) == (STATE, SUMMARY)


def test_failed_run_goes_on_in_its_folder(store, ended):
    assert ended.can_go_on
    again = go_on(store, ended.id)
    assert (again.state, again.error, again.cause, again.ended, again.pid) == ("queued", None, None, None, None)
    assert (again.run_dir, again.config) == (ended.run_dir, ended.config)
    assert again.state_file.read_bytes() == b"where it stood"
    assert again.best_validation_loss == 0.6
    assert store.curve(again.id)["step"].to_list() == [8]
    assert store.claim(again.id)
    store.record(again.id, Progress("training", done=8, total=10, train_loss=0.5))
    assert store.finish(again.id, "finished").state == "finished"
    assert kinds(store, ended) == [
        "queued", "started", "training", "failed", "resumed", "started", "training", "finished",
    ]  # fmt: skip


def test_run_that_starts_over_forgets_where_it_stood(store, ended):
    again = go_on(store, ended.id, from_the_beginning=True)
    assert (again.state, again.best_validation_loss, again.done) == ("queued", None, 0)
    assert not again.state_file.exists()
    assert store.curve(again.id).empty
    assert kinds(store, ended)[-1] == "started over"


@pytest.mark.parametrize("left", [STATE, SUMMARY])
def test_run_that_ended_in_or_after_its_pre_training_goes_on_or_starts_over(store, ended, left):
    ended.state_file.unlink()
    assert not store.get(ended.id).can_go_on
    before = ended.run_dir / PRETRAINED
    before.mkdir()
    assert not store.get(ended.id).can_go_on, "killed before its first state: nothing is saved"
    (before / left).write_text("{}")
    assert store.get(ended.id).can_go_on
    go_on(store, ended.id)
    assert (before / left).is_file()
    store.claim(ended.id)
    store.finish(ended.id, "failed", error="killed", cause="lost")
    go_on(store, ended.id, from_the_beginning=True)
    assert not before.exists()


def test_only_a_stopped_or_failed_run_goes_on(store, config):
    run = store.create_run(config)
    for state in ("queued", "running", "finished"):
        if state == "running":
            store.claim(run.id)
        elif state == "finished":
            store.finish(run.id, "finished")
        with pytest.raises(JobError, match=f"is {state}; only a stopped or failed run can go on"):
            go_on(store, run.id)


def test_run_goes_on_once_when_two_ask_for_it(store, ended, monkeypatch):
    seen = store.get(ended.id)
    go_on(store, ended.id)
    monkeypatch.setattr(type(store), "get", lambda self, run_id: seen)  # what the slower of two pages has seen
    with pytest.raises(JobError, match="is queued by now, no longer failed; look at it again"):
        go_on(store, ended.id, from_the_beginning=True)
    assert seen.state_file.exists(), "a run that waits to go on has lost where it stood"


BUSY_WITH_A_CHILD = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


def test_stop_now_kills_the_worker_with_what_it_started(store, config):
    run = store.create_run(config)
    command = [sys.executable, "-c", BUSY_WITH_A_CHILD]
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    child = psutil.Process(int(worker.stdout.readline()))
    try:
        store.claim(run.id, process=ProcessIdentity.of(worker.pid))
        store.record(run.id, Progress("training", done=3, total=10))
        stopped = stop_now(store, run.id)
        assert (stopped.state, stopped.summary, stopped.error) == ("stopped", {}, None)
        assert worker.wait(timeout=10) == -signal.SIGKILL
        psutil.wait_procs([child], timeout=10)
        assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
        assert kinds(store, run) == ["queued", "started", "training", "stopped"]
        with pytest.raises(JobError, match="has ended, or was resumed elsewhere"):
            store.record(run.id, Progress("training", done=4, total=10))
        assert store.reconcile() == ()
    finally:
        worker.kill()
        worker.communicate()


def test_stop_now_does_not_kill_a_process_that_got_the_number_of_a_gone_worker(store, config):
    run = store.create_run(config)
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
    try:
        started = ProcessIdentity.of(bystander.pid).started
        store.claim(run.id, process=ProcessIdentity(bystander.pid, started - 3600))
        assert stop_now(store, run.id).state == "stopped"
        assert bystander.poll() is None
    finally:
        bystander.communicate(b"\n")


def test_stop_now_withdraws_a_waiting_run_and_leaves_an_ended_one(store, config, ended):
    assert stop_now(store, store.create_run(config).id).state == "stopped"
    assert stop_now(store, ended.id) == ended
