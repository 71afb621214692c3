"""Identity of a process: pid and start time together, because pids are reused and `kill` takes zombies for alive.

The start time is counted from the machine's start where the system says it (Linux): the wall clock may be set while a
run works, and a worker must not look dead then.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import psutil

_SINCE_1970 = 1e9  # seconds: a larger start time is one of the wall clock's, because no machine is up for 30 years
_TOLERANCE_S = 5.0  # for these, because the system computes them from the wall clock
_START_FIELD = 19  # in /proc/PID/stat after the name, which is in parentheses and may hold spaces; proc(5) counts it 22


@dataclass(frozen=True)
class ProcessIdentity:
    """One process of this machine; no later process has the same identity."""

    pid: int
    started: float
    """Seconds since the machine's start; since 1970 on systems without /proc, and as earlier versions wrote it."""

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity:
        """Identity of a process that runs.

        Raises:
            psutil.NoSuchProcess: there is none with this pid.
        """
        since_boot_s = _since_boot_s(pid)
        return cls(pid, psutil.Process(pid).create_time() if since_boot_s is None else since_boot_s)

    def alive(self) -> bool:
        """Whether the process still runs; a zombie does not."""
        try:
            process = psutil.Process(self.pid)
            if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
                return False
            if self.started > _SINCE_1970:
                return abs(process.create_time() - self.started) < _TOLERANCE_S
            return _since_boot_s(self.pid) == self.started
        except psutil.NoSuchProcess:
            return False


def this_process() -> ProcessIdentity:
    """Identity of the calling process."""
    return ProcessIdentity.of(os.getpid())


def _since_boot_s(pid: int) -> float | None:
    """When a process started, in seconds since the machine's start; None without /proc.

    Raises:
        psutil.NoSuchProcess: there is none with this pid.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self/stat").exists():
            raise psutil.NoSuchProcess(pid) from None
        return None
    return int(fields[_START_FIELD]) / os.sysconf("SC_CLK_TCK")
