"""What a run says while it works, in words, and how often the store and the log hear it.

Enters: `Progress` from the pipeline. Leaves: rows of the store and lines of the log; the words also serve the command
line's bar.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from timellm.training.progress import Progress

if TYPE_CHECKING:
    from timellm.jobs.store import Store

WRITE_EVERY_S = 0.5
LOG_EVERY_S = 60.0

log = logging.getLogger(__name__)


class Reporter:
    """Writes progress to store and log: rarely enough to cost nothing, but every validation and every phase."""

    def __init__(self, run_id: str, store: Store) -> None:
        self._run_id, self._store = run_id, store
        self._pending: Progress | None = None
        self._last: Progress | None = None
        self._written = self._logged = -float("inf")

    def __call__(self, progress: Progress) -> None:
        """Take one report; `timellm.training.progress.OnProgress`."""
        new_phase = self._last is None or progress.phase != self._last.phase
        urgent = new_phase or progress.validation_loss is not None
        new_message = bool(progress.message) and (new_phase or progress.message != self._last.message)
        if urgent:
            self.flush()  # what was held back came before
        self._pending = self._last = progress
        now = time.monotonic()
        if urgent or now - self._written >= WRITE_EVERY_S:
            self.flush()
        if urgent or new_message or now - self._logged >= LOG_EVERY_S:
            log.info(in_words(progress))
            self._logged = now

    def flush(self) -> None:
        """Write what was held back."""
        if self._pending is not None:
            self._store.record(self._run_id, self._pending)
            self._pending, self._written = None, time.monotonic()


def in_words(progress: Progress) -> str:
    """One line, such as `training 40 of 300 steps, train loss 0.5312, 41.0 windows/s, 812 MiB, 3 min left`."""
    parts = [f"{progress.phase} {_amount(progress)}".rstrip()]
    for value, words in (
        (progress.train_loss, "train loss {:.4f}"),
        (progress.validation_loss, "validation loss {:.4f}"),
        (progress.windows_per_s, "{:,.1f} windows/s"),
        (progress.memory_mib, "{:,.0f} MiB"),
    ):
        if value is not None:
            parts.append(words.format(value))
    if progress.eta_s is not None:
        parts.append(f"{_duration(progress.eta_s)} left")
    if progress.message:
        parts.append(progress.message)
    return ", ".join(parts)


def _amount(progress: Progress) -> str:
    if not progress.total:
        return ""
    if progress.phase == "fetching":
        return f"{progress.done / 2**20:,.1f} of {progress.total / 2**20:,.1f} MiB"
    unit = {"loading": "tensors", "training": "steps", "evaluating": "windows"}[progress.phase]
    return f"{progress.done:,} of {progress.total:,} {unit}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
