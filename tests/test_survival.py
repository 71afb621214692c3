"""Runs that are killed at any moment end in the same weights as one that was left alone."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import timellm
from tests.conftest import SMALL
from timellm.cli import main
from timellm.errors import CheckpointError
from timellm.forecasters.time_llm.attention_history import ATTENTION_HISTORY
from timellm.forecasting.artifacts import RunFolder
from timellm.jobs.store.cause import cause_of
from timellm.training import state as training_state
from timellm.training.checkpoint import ADAPTER, read_adapter
from timellm.training.pinned import PINNED

KILLS = 8
SETTINGS = {"steps": 40, "batch_size": 16, "learning_rate": 1e-2, "validations": 4, "patience": 20}


def fit_in_child(config_text: str, folder: str) -> None:
    """What a worker does, with a state that is written after each step: a test cannot wait twenty seconds."""
    torch.set_num_threads(1)
    training_state.StateFile.due = lambda _: True
    timellm.fit(timellm.RunConfig.from_json(config_text), run_dir=folder)


@pytest.fixture(scope="module")
def children():
    """Processes that begin in no time, because a server has loaded torch for them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["timellm.pipeline", "tests.test_survival"])
    return context


@pytest.fixture(scope="module")
def config(hourly_csv, tiny_backbone) -> timellm.RunConfig:
    return timellm.RunConfig.create(hourly_csv, backbone=str(tiny_backbone), **(SMALL | SETTINGS))


def resume_in_child(folder: str) -> None:
    """What a user does on the command line."""
    torch.set_num_threads(1)
    training_state.StateFile.due = lambda _: True
    sys.exit(main(["resume", folder]))


def start(children, config, folder: Path):
    process = children.Process(target=fit_in_child, args=(config.to_json(), str(folder)))
    process.start()
    return process


@pytest.fixture(scope="module")
def untouched(children, config, tmp_path_factory) -> tuple[Path, float]:
    """A run that nobody killed, and how long it took."""
    folder = tmp_path_factory.mktemp("untouched") / "run"
    for _ in range(2):  # the first one also pays for the server
        folder = folder.with_name(f"{folder.name}-again")
        begin = time.monotonic()
        process = start(children, config, folder)
        process.join()
        assert process.exitcode == 0
    return folder, time.monotonic() - begin


def assert_same(ours: Path, theirs: Path) -> None:
    for name in (ADAPTER, "prototypes.safetensors"):
        left, right = load_file(ours / name), load_file(theirs / name)
        assert left.keys() == right.keys()
        assert all(torch.equal(left[key], right[key]) for key in left), name
    assert RunFolder(ours).scores().to_dict() == RunFolder(theirs).scores().to_dict()
    for name in (PINNED, ATTENTION_HISTORY):
        assert (ours / name).read_bytes() == (theirs / name).read_bytes(), name


def test_run_that_is_killed_at_random_moments_ends_in_the_same_weights(children, config, untouched, tmp_path):
    reference, seconds = untouched
    moments = random.Random(0)
    kills, runs = 0, 0
    while kills < KILLS:
        folder = tmp_path / f"run{runs}"
        process = start(children, config, folder)
        while process.is_alive() or process.exitcode != 0:
            process.join(moments.uniform(0, seconds) if kills < KILLS else None)
            if process.is_alive():
                os.kill(process.pid, signal.SIGKILL)
                process.join()
                kills += 1
                process = start(children, config, folder)
            else:
                assert process.exitcode == 0
        assert_same(folder, reference)
        assert {path.name for path in folder.iterdir()} == {path.name for path in reference.iterdir()}
        runs += 1


def test_run_that_is_killed_goes_on_from_the_command_line_to_the_same_weights(children, config, untouched, tmp_path):
    folder, moments, kills = tmp_path / "run", random.Random(1), 0
    process = start(children, config, folder)
    while not training_state.has_state(folder):
        assert process.is_alive()
        time.sleep(0.01)
    while True:
        process.join(moments.uniform(0, untouched[1] / 2) if kills < 3 else None)
        if not process.is_alive():
            break
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        kills += 1
        process = children.Process(target=resume_in_child, args=(str(folder),))
        process.start()
    assert process.exitcode == 0
    assert kills
    assert_same(folder, untouched[0])


def test_run_does_not_go_on_with_other_settings(config, tmp_path, children):
    interrupted(config, tmp_path)
    with pytest.raises(CheckpointError, match="belongs to a training with other settings"):
        timellm.fit(config.updated(learning_rate=1e-3), run_dir=tmp_path)


def test_run_does_not_go_on_from_a_damaged_state(config, tmp_path):
    interrupted(config, tmp_path)
    path = tmp_path / training_state.STATE
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="is damaged"):
        timellm.fit(config, run_dir=tmp_path)


def test_run_that_goes_on_uses_the_table_as_it_was(config, untouched, tmp_path, hourly_csv):
    copied = tmp_path / "table.csv"
    copied.write_bytes(Path(hourly_csv).read_bytes())
    moved = config.updated(path=str(copied))
    folder = tmp_path / "run"
    interrupted(moved, folder)
    copied.write_text("time,load\n2020-01-01,1\n")
    timellm.fit(moved, run_dir=folder)
    assert len(RunFolder(folder).table().values) > 100
    assert read_adapter(folder)


def interrupted(config, folder: Path) -> None:
    """Stop a run after its first validation; its state stays."""
    seen = []
    timellm.fit(
        config, run_dir=folder, on_progress=lambda progress: seen.append(progress.validation_loss),
        should_stop=lambda: any(loss is not None for loss in seen),
    )  # fmt: skip
    assert training_state.has_state(folder)


@pytest.fixture
def small_disk(disk_of):
    return disk_of(6)


@pytest.fixture
def one_thread():
    """As in the children: sums over another number of threads are made in another order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("fill_at", [1, 15, 40])
def test_full_disk_ends_a_run_with_that_cause_and_leaves_what_was_good(
    config, untouched, small_disk, monkeypatch, fill_at
):
    monkeypatch.setattr(training_state.StateFile, "due", lambda _: True)
    folder, filler = small_disk / "run", small_disk / "filler"

    def fill(progress) -> None:
        if progress.phase == "training" and progress.done == fill_at and not filler.exists():
            with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))

    with pytest.raises(OSError) as caught:
        timellm.fit(config, run_dir=folder, on_progress=fill)
    assert "the disk is full" in cause_of(caught.value)
    filler.unlink()
    if fill_at > 10:  # after the first validation
        assert read_adapter(folder)
    timellm.fit(config, run_dir=folder)
    assert_same(folder, untouched[0])
