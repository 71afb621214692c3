"""Where and with what a run was made: processor, graphics card, and the versions of what calculates."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from typing import Any

import torch

from timellm.sizing.machine import processor_name

_LIBRARIES = ("torch", "transformers", "numpy", "pandas")


def made_with(device: torch.device, *, program: str) -> dict[str, Any]:
    """`machine` in words, and `versions` by name; JSON-safe. `device` is the one that trained,
    `program` the version of this program.
    """
    cores = f"{torch.get_num_threads()} of {os.cpu_count()} cores"
    machine = f"{processor_name() or platform.machine()}, {cores}"
    if device.type == "cuda":
        machine += f", {torch.cuda.get_device_name(device)}"
    versions = {"timellm": program, "Python": platform.python_version()}
    return {"machine": machine, "versions": versions | {name: version(name) for name in _LIBRARIES}}
