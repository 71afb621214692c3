"""Runs whose worker is gone: found, failed as lost, and in nobody's way."""

import os
import signal
import subprocess
import sys

import sqlalchemy as sa

from timellm.jobs.store.process import ProcessIdentity, this_process
from timellm.jobs.store.schema import runs
from timellm.workspace import PROJECT


def ended_process():
    """Identity of a process that has been and gone."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = ProcessIdentity(process.pid, this_process().started)
    process.communicate(b"\n")
    return identity


def test_reconcile_fails_a_run_whose_worker_was_killed(store, config, tmp_path):
    run = store.create_run(config)
    program = (
        "import sys, time; from pathlib import Path; from timellm.jobs.store.run_store import Store; "
        "from timellm.workspace import Workspace; Store.open(Workspace(Path(sys.argv[1]))).claim(sys.argv[2]); "
        "print('claimed', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", program, str(tmp_path), run.id]
    worker = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    try:
        assert worker.stdout.readline() == "claimed\n"
        assert store.reconcile() == ()
        assert store.get(run.id).state == "running"
        worker.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)  # ended, not reaped: a zombie
        (lost,) = store.reconcile()
    finally:
        worker.kill()
        worker.communicate()
    assert (lost.id, lost.state) == (run.id, "failed")
    assert lost.error.startswith("lost: its process ended without writing an ending")
    assert lost.cause == "lost"
    assert store.reconcile() == ()


def test_reconcile_is_not_fooled_by_a_reused_pid(store, config):
    run = store.create_run(config)
    store.claim(run.id, process=ProcessIdentity(os.getpid(), this_process().started - 3600))
    assert [lost.id for lost in store.reconcile()] == [run.id]


def test_lost_run_does_not_hold_up_the_next(store, config):
    working, waiting = (store.create_run(config).id for _ in range(2))
    store.claim(working, process=ended_process())
    assert store.claim(waiting)
    assert [store.get(run_id).state for run_id in (working, waiting)] == ["failed", "running"]


def test_reconcile_leaves_a_run_that_waits(store, config):
    run = store.create_run(config)
    assert store.reconcile() == ()
    assert store.get(run.id).state == "queued"


def test_processes_that_work_here_are_living_ones_of_this_machine(store, config, monkeypatch):
    monkeypatch.setenv("TIMELLM_RUNS_PER_DEVICE", "3")
    here, gone, elsewhere = (store.create_run(config).id for _ in range(3))
    store.claim(elsewhere)
    with store.database.writing() as connection:
        connection.execute(sa.update(runs).where(runs.c.id == elsewhere).values(machine="another machine"))
    store.claim(gone, process=ProcessIdentity(os.getpid(), this_process().started - 3600))
    assert store.working_here() == (), "neither another machine's process nor one whose pid was reused"
    store.reconcile()
    store.claim(here)
    assert store.working_here() == (this_process(),)
