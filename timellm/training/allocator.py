"""The C library's heap, set up for training on a CPU."""

from __future__ import annotations

import ctypes
import sys

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # malloc.h


def keep_freed_memory() -> None:
    """From now on this process reuses freed memory instead of returning it to the system.

    Each step frees the same large tensors and allocates them again. By default glibc returns many of them to the system
    and requests them again, page by page: 25,000 page faults a step at context 512, and the whole gradient of the
    paper's vocabulary map each time. Peak memory is the same, but the process does not shrink after the peak. That
    suits a process that ends with its run, not a server. Other C libraries are not changed.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, 1 << 30)
        mallopt(_TRIM_THRESHOLD, (1 << 31) - 1)
