"""The most memory that this process has held."""

from __future__ import annotations

import resource
from pathlib import Path

import torch


def peak_memory_mib() -> float:
    """Most memory the process has held: on the GPU if it was used, otherwise resident."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated() / 2**20
    # Not `ru_maxrss` where this is to be had: a process starts with the peak of the one that started it, so that a run
    # started by a large server would report the server.
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:  # not Linux
        lines = []
    peak_kib = next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), None)
    return (peak_kib or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1024
