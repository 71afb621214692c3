"""The launcher: one runner for all that wait, which outlives its parent, leaves no zombie, and is replaced."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from timellm.errors import BackboneError, JobError
from timellm.forecasters.time_llm import remote_code
from timellm.jobs.cluster.client import Cluster, Room
from timellm.jobs.local.launcher import start_again, start_run, supervise
from timellm.jobs.local.lease import runner_of
from timellm.jobs.store import queue
from timellm.jobs.store.run import log_tail
from timellm.workspace import PROJECT


def wait_until(condition, *, timeout_s=30.0):
    """Return the condition's first true value."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


@pytest.fixture
def busy(store, config):
    """A run that works in this process, so that every other one waits for its turn."""
    run = store.create_run(config)
    assert store.claim(run.id)
    return run


def runner_in(store):
    """The machine's runner once it is there."""
    return psutil.Process(wait_until(lambda: runner_of(store.database)).pid)


PARENT = """
import os, sys, time
from timellm.config import RunConfig
from timellm.jobs.local.launcher import start_run
print(start_run(RunConfig.create(sys.argv[1]), name="outlives its parent").id, flush=True)
time.sleep(60)
"""


def test_runner_survives_the_death_of_its_parent_and_its_group(store, busy, tmp_path):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "table.csv")],
        cwd=PROJECT,
        env={**os.environ, "TIMELLM_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    run_id = parent.stdout.readline().strip()
    runner = runner_in(store)
    try:
        assert os.getsid(runner.pid) == runner.pid
        os.killpg(parent.pid, signal.SIGINT)  # Ctrl-C in the server's terminal
        os.killpg(parent.pid, signal.SIGKILL)
        parent.communicate(timeout=10)
        assert runner.is_running()
        assert runner.parent() is None or runner.parent().pid != parent.pid
        assert store.get(run_id).state == "queued"
        assert store.reconcile() == ()
        store.request_stop(run_id)
        wait_until(lambda: not runner.is_running())
        assert store.get(run_id).state == "stopped"
        assert runner_of(store.database) is None
    finally:
        if runner.is_running():
            runner.kill()


def test_one_runner_serves_all_that_wait_and_leaves_no_zombie(store, busy, config):
    waiting = [start_run(config, store=store).id for _ in range(3)]
    runner = runner_in(store)
    ours = [child for child in psutil.Process().children() if "timellm.jobs.local.runner" in child.cmdline()]
    assert [child.pid for child in ours] == [runner.pid]
    assert not any("torch" in library.path for library in runner.memory_maps())
    assert runner.children() == [], "no process waits for a turn"
    for run_id in waiting:
        store.request_stop(run_id)
    wait_until(lambda: not runner.is_running())
    assert runner.pid not in [child.pid for child in psutil.Process().children()]


def test_runner_that_was_killed_is_replaced_by_the_next_look(store, busy, config, monkeypatch):
    monkeypatch.setattr("timellm.jobs.local.launcher._PATIENCE_S", 3600.0)
    run = start_run(config, store=store)
    first = runner_in(store)
    supervise(store)
    assert runner_in(store) == first
    first.kill()
    wait_until(lambda: not first.is_running())
    supervise(store)
    assert runner_of(store.database).pid == first.pid, "one that dies at once is not started again by every look"
    monkeypatch.setattr("timellm.jobs.local.launcher._PATIENCE_S", 0.0)
    supervise(store)
    second = runner_in(store)
    try:
        assert second.pid != first.pid
        store.request_stop(run.id)
        wait_until(lambda: not second.is_running())
    finally:
        if second.is_running():
            second.kill()


def test_runner_that_was_killed_is_replaced_by_the_next_launch(store, busy, config):
    start_run(config, store=store)
    first = runner_in(store)
    first.kill()
    wait_until(lambda: not first.is_running())
    start_run(config, store=store)
    second = runner_in(store)
    assert second.pid != first.pid
    log = store.place.checkpoints / "runner.log"
    wait_until(lambda: f"process {second.pid} is this machine's runner" in log_tail(log))
    second.terminate()
    wait_until(lambda: not second.is_running())
    assert runner_of(store.database) is None, "asked to end, it releases its lease though runs wait"
    assert len(store.waiting()) == 2


def test_run_that_cannot_be_started_is_kept_as_failed_with_its_cause(store, config, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(JobError, match=r"cannot be started: .*No such file or directory: '/nowhere/python'"):
        start_run(config, store=store)
    (run,) = store.runs()
    assert run.state == "failed"
    assert "cannot be started" in run.error
    assert run.cause == "crash"


def test_log_tail_is_the_end_of_a_long_log(tmp_path):
    log = tmp_path / "log.txt"
    assert log_tail(log) == ""
    log.write_text("".join(f"line {number}\n" for number in range(100_000)))
    assert log_tail(log, lines=2) == "line 99998\nline 99999"
    assert len(log_tail(log, lines=10**6)) <= 256 * 1024


@pytest.fixture
def with_code(config, monkeypatch):
    """Settings of a run that executes code of its backbone, on a server for others whose operator has not agreed."""
    monkeypatch.setenv(remote_code.REACHED_BY_OTHERS, "1")
    return config.updated(backbone="some/model", trust_remote_code=True)


def test_run_with_code_of_a_backbone_is_not_queued_on_a_server_for_others(store, with_code):
    with pytest.raises(BackboneError, match="has to allow that with TIMELLM_ALLOW_REMOTE_CODE=1"):
        start_run(with_code, store=store)
    assert store.runs() == ()


def test_run_with_code_of_a_backbone_is_neither_resumed_nor_edited_in(store, config, with_code):
    run = store.create_run(with_code)
    store.finish(run.id, "stopped")
    with pytest.raises(BackboneError, match="TIMELLM_ALLOW_REMOTE_CODE"):
        start_again(run.id, store=store)
    assert store.get(run.id).state == "stopped"
    waiting = store.create_run(config)
    with pytest.raises(BackboneError, match="TIMELLM_ALLOW_REMOTE_CODE"):
        queue.edit(store.database, waiting.id, with_code, name="changed")
    assert not store.get(waiting.id).config.model.trust_remote_code


def test_job_on_a_cluster_decides_as_the_server_that_sent_it(monkeypatch):
    sent = {}

    class Client:
        def submit_job(self, **named):
            sent.update(named["runtime_env"]["env_vars"])

    cluster = Cluster("http://head:8265")
    cluster.__dict__["_client"] = Client()
    monkeypatch.setenv(remote_code.REACHED_BY_OTHERS, "1")
    cluster.submit("job", "true", room=Room(1, 0), workers=1)
    assert sent[remote_code.REACHED_BY_OTHERS] == "1"
    assert remote_code.CONSENT not in sent
    monkeypatch.setenv(remote_code.CONSENT, "1")
    cluster.submit("job", "true", room=Room(1, 0), workers=1)
    assert sent[remote_code.CONSENT] == "1"
