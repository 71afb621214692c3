"""Who a process is: its pid and start time together, because pids are reused and zombies look alive to `kill`."""

from __future__ import annotations

import os
from dataclasses import dataclass

import psutil

# Start times are derived from the wall clock, which may be set right while a run works.
_CLOCK_TOLERANCE_S = 5.0


@dataclass(frozen=True)
class ProcessIdentity:
    """One process of this machine; no later process has the same identity."""

    pid: int
    started: float
    """Seconds since 1970."""

    def alive(self) -> bool:
        """Whether the process still runs; a zombie does not."""
        try:
            process = psutil.Process(self.pid)
            if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
                return False
            return abs(process.create_time() - self.started) < _CLOCK_TOLERANCE_S
        except psutil.NoSuchProcess:
            return False


def this_process() -> ProcessIdentity:
    """Identity of the calling process."""
    return ProcessIdentity(os.getpid(), psutil.Process().create_time())
