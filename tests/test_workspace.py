"""Files are written whole or not at all, whoever else writes or tidies up at that moment."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from timellm.files import tensorfile
from timellm.jobs.store.event import files_in
from timellm.workspace import PROJECT, sweep, write_whole

WRITE_AND_WAIT = """
import sys
from pathlib import Path
from timellm.workspace import write_whole

def write(scratch):
    scratch.with_name(".tmpcy4DBY").write_text("half, under the name that a library chose")
    scratch.write_text("half")
    print("writing", flush=True)
    input()
    scratch.write_text("whole")

write_whole(Path(sys.argv[1]), write)
"""


@pytest.fixture
def writer(tmp_path):
    """Another process that is in the middle of writing `file`."""
    command = [sys.executable, "-c", WRITE_AND_WAIT, str(tmp_path / "file")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=PROJECT, text=True, **pipes) as process:
        assert process.stdout.readline() == "writing\n"
        yield process
        process.kill()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*")}


def test_threads_that_write_one_file_at_once_all_succeed(tmp_path):
    path = tmp_path / "file"
    texts = [f"{number}" * 5000 for number in range(8)]

    def write(number: int) -> None:
        write_whole(path, lambda scratch: scratch.write_text(texts[number % 8]))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(400)))
    assert path.read_text() in texts
    assert names(tmp_path) == {"file"}


def test_sweep_removes_what_a_killed_process_left(tmp_path, writer):
    (tmp_path / "file").write_text("old")
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert len(names(tmp_path)) > 1
    sweep(tmp_path)
    assert names(tmp_path) == {"file"} and (tmp_path / "file").read_text() == "old"


def test_sweep_removes_what_a_process_left_that_was_killed_as_it_began(tmp_path):
    (tmp_path / ".writing-abc").mkdir()
    sweep(tmp_path)
    assert names(tmp_path) == set()


def test_sweep_removes_what_killed_processes_of_earlier_versions_left(tmp_path):
    for name in (".adapter.safetensors.4711", ".tmpcy4DBY", ".pulled", "table.json"):
        (tmp_path / name).touch()
    sweep(tmp_path)
    assert names(tmp_path) == {".pulled", "table.json"}


def test_sweep_leaves_what_another_process_writes(tmp_path, writer):
    before = names(tmp_path)
    sweep(tmp_path)
    assert names(tmp_path) == before
    writer.communicate("go on\n")
    assert writer.returncode == 0
    assert names(tmp_path) == {"file"} and (tmp_path / "file").read_text() == "whole"


def test_sweep_leaves_what_another_thread_writes(tmp_path):
    path, done = tmp_path / "file", threading.Event()

    def keep_sweeping() -> None:
        while not done.is_set():
            sweep(tmp_path)

    with ThreadPoolExecutor(4) as threads:
        sweeping = [threads.submit(keep_sweeping) for _ in range(2)]
        writing = [threads.submit(write_whole, path, lambda scratch: scratch.write_text("whole")) for _ in range(400)]
        try:
            for write in writing:
                write.result()
        finally:
            done.set()
        for one in sweeping:
            one.result()
    assert names(tmp_path) == {"file"}


def test_tensors_are_saved_where_a_sweep_finds_what_the_library_leaves(tmp_path, monkeypatch):
    saved = []

    def save_file(tensors, path, metadata):
        saved.append(path.parent)
        path.with_name(".tmpcy4DBY").touch()
        raise OSError("killed")

    monkeypatch.setattr(tensorfile, "save_file", save_file)
    with pytest.raises(OSError, match="killed"):
        tensorfile.write_tensors(tmp_path / "adapter.safetensors", {"weight": torch.ones(2)}, facts={})
    assert saved[0].parent == tmp_path
    assert names(tmp_path) == set()


def test_half_written_files_are_not_among_those_of_a_run(tmp_path, writer):
    (tmp_path / "tensorboard").mkdir()
    (tmp_path / "tensorboard" / "events").touch()
    (tmp_path / ".pulled").touch()
    assert [file.path for file in files_in(tmp_path)] == ["tensorboard/events"]
