"""What one process makes of a launcher's environment; several processes: test_distributed.py."""

from __future__ import annotations

import pytest
import torch

from timellm.errors import ConfigError
from timellm.training.processes import from_main, join_processes
from timellm.workspace import is_main_process

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ACCELERATE_MIXED_PRECISION", "bf16", "mixed precision 'bf16'.*'backbone_dtype' says.*--mixed_precision no"),
        ("ACCELERATE_USE_FSDP", "true", "sets FSDP"),
        ("ACCELERATE_USE_DEEPSPEED", "true", "sets DeepSpeed.*setting 'deepspeed'"),
    ],
)
def test_launcher_that_asks_for_another_way_is_refused_with_ours(monkeypatch, name, value, said):
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=said):
        join_processes(CPU)


def test_launcher_does_not_count_the_parts_of_a_batch(monkeypatch):
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")
    weight = torch.nn.Parameter(torch.ones(1))
    join_processes(CPU).backward((3 * weight).sum())
    assert weight.grad.item() == 3.0


def test_one_process_is_the_main_one_and_hears_itself():
    accelerator = join_processes(CPU)
    assert (accelerator.num_processes, accelerator.is_main_process, accelerator.device) == (1, True, CPU)
    assert from_main(accelerator, lambda: "found") == "found"


@pytest.mark.parametrize(
    ("environment", "main"),
    [
        ({}, True),
        ({"RANK": "0", "WORLD_SIZE": "2"}, True),
        ({"RANK": "1", "WORLD_SIZE": "2"}, False),
        ({"RANK": "3"}, True),  # left over from something else: there is one process
    ],
)
def test_who_speaks_for_a_run_follows_from_the_launcher(monkeypatch, environment, main):
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert is_main_process() is main
