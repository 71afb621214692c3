"""The launcher: a worker of its own that outlives its parent, leaves no zombie, and writes to the run's log."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from timellm.errors import JobError
from timellm.jobs.launcher import start_run
from timellm.jobs.run import log_tail
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


def worker_of(store, run_id):
    """The worker once it has come up."""
    return psutil.Process(wait_until(lambda: store.get(run_id).pid))


PARENT = """
import os, sys, time
from timellm.config import RunConfig
from timellm.jobs.launcher import start_run
print(start_run(RunConfig.create(sys.argv[1]), name="outlives its parent").id, flush=True)
time.sleep(60)
"""


def test_worker_survives_the_death_of_its_parent_and_its_group(store, busy, tmp_path):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "table.csv")],
        cwd=PROJECT,
        env={**os.environ, "TIMELLM_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    run_id = parent.stdout.readline().strip()
    worker = worker_of(store, run_id)
    try:
        assert os.getsid(worker.pid) == worker.pid
        os.killpg(parent.pid, signal.SIGINT)  # Ctrl-C in the server's terminal
        os.killpg(parent.pid, signal.SIGKILL)
        parent.communicate(timeout=10)
        assert worker.is_running()
        assert worker.parent() is None or worker.parent().pid != parent.pid
        assert store.get(run_id).state == "queued"
        assert store.reconcile() == ()
        store.request_stop(run_id)
        wait_until(lambda: not worker.is_running())
        assert store.get(run_id).state == "stopped"
    finally:
        if worker.is_running():
            worker.kill()


def test_worker_leaves_no_zombie_and_writes_its_log(store, busy, config):
    run = start_run(config, store=store)
    worker = worker_of(store, run.id)
    wait_until(lambda: "waiting: another run works" in log_tail(run.log_file))
    store.request_stop(run.id)
    wait_until(lambda: not worker.is_running())
    assert worker.pid not in [child.pid for child in psutil.Process().children()]
    assert "the run is stopped, so there is nothing to do" in log_tail(run.log_file)


def test_waiting_worker_is_stopped_by_sigterm(store, busy, config):
    run = start_run(config, store=store)
    worker = worker_of(store, run.id)
    wait_until(lambda: "waiting" in log_tail(run.log_file))
    worker.terminate()
    wait_until(lambda: not worker.is_running())
    assert store.get(run.id).state == "stopped"


def test_waiting_worker_loads_no_model_code(store, busy, config):
    run = start_run(config, store=store)
    worker = worker_of(store, run.id)
    wait_until(lambda: "waiting" in log_tail(run.log_file))
    assert not any("torch" in library.path for library in worker.memory_maps())
    store.request_stop(run.id)
    wait_until(lambda: not worker.is_running())


def test_run_that_cannot_be_started_is_kept_as_failed_with_its_cause(store, config, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(JobError, match=r"cannot be started: .*No such file or directory: '/nowhere/python'"):
        start_run(config, store=store)
    (run,) = store.runs()
    assert run.state == "failed"
    assert "cannot be started" in run.error


def test_log_tail_is_the_end_of_a_long_log(tmp_path):
    log = tmp_path / "log.txt"
    assert log_tail(log) == ""
    log.write_text("".join(f"line {number}\n" for number in range(100_000)))
    assert log_tail(log, lines=2) == "line 99998\nline 99999"
    assert len(log_tail(log, lines=10**6)) <= 256 * 1024
