"""Who a process is, whatever the wall clock does."""

import os
import subprocess
import sys

import psutil
import pytest

from timellm.jobs.store.process import ProcessIdentity, this_process

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="start times come from /proc")


def set_clock(monkeypatch, by_s):
    """The wall clock is set: the system derives a process's start in seconds since 1970 from it."""
    boot_time = psutil._pslinux.boot_time
    monkeypatch.setattr(psutil._pslinux, "boot_time", lambda: boot_time() + by_s)


@linux
@pytest.mark.parametrize("by_s", [-3600, 3600])
def test_live_process_stays_alive_when_the_clock_is_set(monkeypatch, by_s):
    me = this_process()
    set_clock(monkeypatch, by_s)
    assert me.alive()
    assert this_process() == me


@linux
def test_two_processes_that_start_at_once_differ_from_a_later_one_with_the_same_pid():
    me = this_process()
    assert not ProcessIdentity(me.pid, me.started - 0.01).alive()
    assert not ProcessIdentity(me.pid, me.started + 0.01).alive()


def test_start_time_as_earlier_versions_wrote_it_is_still_understood():
    since_1970_s = psutil.Process().create_time()
    assert ProcessIdentity(os.getpid(), since_1970_s).alive()
    assert not ProcessIdentity(os.getpid(), since_1970_s - 3600).alive()


def test_child_is_alive_until_it_ends_and_not_as_a_zombie():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = ProcessIdentity.of(child.pid)
    assert identity.alive()
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, not reaped
    assert not identity.alive()
    child.wait()
    assert not identity.alive()


def test_there_is_no_identity_of_a_process_that_is_not_there():
    with pytest.raises(psutil.NoSuchProcess):
        ProcessIdentity.of(2**22 + 1)


def test_system_without_proc_goes_by_the_wall_clock(monkeypatch):
    monkeypatch.setattr("timellm.jobs.store.process._since_boot_s", lambda pid: None)
    me = this_process()
    assert me.started > 1e9
    assert me.alive()
