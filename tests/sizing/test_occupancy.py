"""One process at a time works in a run's folder."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from timellm import locks
from timellm.errors import CheckpointError, ConfigError
from timellm.sizing.occupancy import LOCK, occupied
from timellm.workspace import PROJECT

HOLD = """
import sys
from pathlib import Path
from timellm.sizing.occupancy import occupied
with occupied(Path(sys.argv[1])):
    print("in", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path):
    """Another process that works in the folder `run`."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    process = subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "in\n"
    yield process
    process.kill()
    process.communicate()


def test_second_process_is_refused_and_told_who_works_there(other, tmp_path):
    refused = pytest.raises(CheckpointError, match=rf"another process works in .*run \(process {other.pid} on ")
    with refused, occupied(tmp_path / "run"):
        pytest.fail("two are in it")


def test_folder_is_free_when_the_work_has_ended(other, tmp_path):
    (tmp_path / "run" / "result").touch()
    other.communicate("")
    with occupied(tmp_path / "run"):
        pass
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["result"]


def test_killed_process_keeps_nobody_out(other, tmp_path):
    other.kill()
    other.wait()
    assert (tmp_path / "run" / LOCK).exists(), "it had no time to remove it"
    with occupied(tmp_path / "run"):
        pass


def test_same_thread_enters_again_and_another_does_not(tmp_path):
    def enter() -> None:
        with occupied(tmp_path / "run"):
            pass

    with occupied(tmp_path / "run"):
        enter()
        with ThreadPoolExecutor(1) as threads, pytest.raises(CheckpointError, match="another process works in"):
            threads.submit(enter).result()
    enter()


def test_one_of_many_threads_is_in_at_a_time(tmp_path):
    (tmp_path / "keep").touch()  # so that the folder stays
    inside, most, refused = [0], [0], [0]

    def work() -> None:
        for _ in range(50):
            try:
                with occupied(tmp_path):
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                    inside[0] -= 1
            except CheckpointError:
                refused[0] += 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["keep"]


def test_run_that_leaves_nothing_leaves_no_folder(tmp_path):
    with occupied(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()
    assert list(tmp_path.iterdir()) == []
    with occupied(tmp_path / "a" / "b"):
        (tmp_path / "a" / "result").touch()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["result"]


@pytest.mark.parametrize("place", ["/proc/x", "/dev/null/x", "/sys/x/y"])
def test_folder_that_cannot_be_written_is_refused(place, tmp_path):
    refused = pytest.raises(ConfigError, match=f"the run folder {place} cannot be written .*; name a folder")
    with refused, occupied(Path(place)):
        pytest.fail("it cannot be written")


def test_file_system_without_locks_is_warned_of(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(locks, "lock", lambda file, *, wait: None)
    with occupied(tmp_path / "run"):
        pass
    assert "has no locks: it keeps no second process out" in caplog.text
