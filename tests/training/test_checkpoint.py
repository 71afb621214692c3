"""What a run folder keeps of the training, and what is refused when it is read back."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import nn

from timellm.config import RunConfig
from timellm.errors import CheckpointError
from timellm.training.checkpoint import (
    ADAPTER,
    COMPANIONS,
    CONFIG,
    load_adapter,
    load_config,
    read_adapter,
    save_adapter,
    save_config,
    write_whole,
)


def test_adapter_comes_back_as_it_was(tmp_path):
    network, other = nn.Linear(3, 2), nn.Linear(3, 2)
    save_adapter(tmp_path, network)
    load_adapter(tmp_path, other)
    assert torch.equal(network.weight, other.weight) and torch.equal(network.bias, other.bias)


def test_config_comes_back_as_it_was(tmp_path):
    config = RunConfig.create("table.csv", horizon=7, minutes=1.5, channels=["a", "b"])
    save_config(tmp_path, config)
    assert load_config(tmp_path) == config


def test_failed_write_leaves_the_old_file_and_no_scratch(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def fail(scratch):
        scratch.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_whole(path, fail)
    assert [item.name for item in tmp_path.iterdir()] == ["file"] and path.read_text() == "old"


def test_missing_adapter_says_why(tmp_path):
    with pytest.raises(CheckpointError, match="ended before its first validation"):
        read_adapter(tmp_path)


def test_truncated_adapter_is_refused(tmp_path):
    save_adapter(tmp_path, nn.Linear(3, 2))
    path = tmp_path / ADAPTER
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(CheckpointError, match="is damaged"):
        read_adapter(tmp_path)


def test_adapter_of_another_shape_is_refused(tmp_path):
    save_adapter(tmp_path, nn.Linear(3, 2))
    with pytest.raises(CheckpointError, match=r"does not fit its config\.json"):
        load_adapter(tmp_path, nn.Linear(4, 2))


@pytest.mark.parametrize("content", ["{", '{"data": 1}', '{"data": {"path": "x"}, "model": {"layers": 0}}'])
def test_damaged_config_is_refused(tmp_path, content):
    (tmp_path / CONFIG).write_text(content)
    with pytest.raises(CheckpointError, match="damaged or from another version"):
        load_config(tmp_path)


def test_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="is not a run folder"):
        load_config(tmp_path)


@pytest.fixture
def reads(monkeypatch):
    """How often each file was opened for reading."""
    counted, opened = Counter(), Path.open

    def counting(self, mode="r", *arguments, **named):
        if "r" in mode:
            counted[self.name] += 1
        return opened(self, mode, *arguments, **named)

    monkeypatch.setattr(Path, "open", counting)
    return counted


def test_table_and_scale_are_read_once_for_all_checkpoints_of_a_run(tmp_path, reads):
    for name in COMPANIONS:
        (tmp_path / name).write_bytes(name.encode() * 100)
    network = nn.Linear(3, 2)
    for _ in range(5):
        save_adapter(tmp_path, network)
    assert {name: reads[name] for name in COMPANIONS} == dict.fromkeys(COMPANIONS, 1)


def test_files_are_always_read_again_when_weights_are_loaded(tmp_path, reads):
    for name in COMPANIONS:
        (tmp_path / name).write_bytes(name.encode() * 100)
    save_adapter(tmp_path, nn.Linear(3, 2))
    for times in (2, 3):
        read_adapter(tmp_path)
        assert {name: reads[name] for name in COMPANIONS} == dict.fromkeys(COMPANIONS, times)


def test_file_that_was_changed_without_a_trace_is_found(tmp_path):
    """Its size, time and inode are as before; only its content differs."""
    for name in COMPANIONS:
        (tmp_path / name).write_bytes(b"as it was")
    save_adapter(tmp_path, nn.Linear(3, 2))
    table = tmp_path / COMPANIONS[0]
    before = table.stat()
    with table.open("r+b") as file:
        file.write(b"as it isn")
    os.utime(table, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(CheckpointError, match="was changed after the weights were trained"):
        read_adapter(tmp_path)


def test_checkpoint_of_a_changed_table_belongs_to_it(tmp_path):
    for text in (b"one", b"another"):
        (tmp_path / COMPANIONS[0]).write_bytes(text)
        save_adapter(tmp_path, nn.Linear(3, 2))
        read_adapter(tmp_path)
