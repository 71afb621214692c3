"""How busy other programs keep this machine's processor, which makes measured seconds too long.

Enters: nothing. Outputs: processor time so far, and the share that others took between two moments.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import psutil

BUSY_SHARE = 0.1
"""Other work that takes more of the processor than this makes times worthless."""


@dataclass(frozen=True)
class ProcessorTime:
    """Processor time used so far, in seconds of one core."""

    moment: float
    busy: float
    """By all programs."""
    ours: float
    """By this process and the ended processes that it started."""

    @classmethod
    def now(cls) -> ProcessorTime:
        """As it is at this moment."""
        spent, own = psutil.cpu_times(), os.times()
        busy = sum(spent) - spent.idle - getattr(spent, "iowait", 0.0) - getattr(spent, "guest", 0.0)
        return cls(time.monotonic(), busy, own.user + own.system + own.children_user + own.children_system)

    def others_since(self, before: ProcessorTime) -> float:
        """Share of all cores that other programs used since `before`, 0 to 1."""
        others = (self.busy - before.busy) - (self.ours - before.ours)
        seconds = (self.moment - before.moment) * (psutil.cpu_count() or 1)
        return min(max(others / max(seconds, 1e-6), 0.0), 1.0)


def others_now(seconds: float = 0.3) -> float:
    """Share of all cores that other programs take now, watched for so long."""
    before = ProcessorTime.now()
    time.sleep(seconds)
    return ProcessorTime.now().others_since(before)
