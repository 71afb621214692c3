"""Reports of a working run: their wording, and how often they are written to the store and the log.

Inputs: `Progress` from the pipeline. Outputs: rows of the store and lines of the log; the command line's bar uses the
same words.
"""

from __future__ import annotations

import logging
import time

from timellm.errors import StoreError
from timellm.jobs.store.run_store import Store
from timellm.training.progress import MAY_END_EARLY, Progress

WRITE_EVERY_S = 0.5
LOG_EVERY_S = 60.0
REFUSED_S = 30.0
"""A store that could not be used is left alone for so long, since each try may wait for seconds."""

log = logging.getLogger(__name__)


class Reporter:
    """Writes progress to store and log: rarely enough to cost nothing, but every validation and every phase.

    A store that cannot be used for a while (a full disk, a server that is restarted) does not end a run: its reports
    are kept until the store can be used again.
    """

    def __init__(self, run_id: str, store: Store, *, attempt: int | None = None) -> None:
        self._run_id, self._store, self._attempt = run_id, store, attempt
        self.memory_mib: float | None = None
        """The most memory it has heard of; stays when the store cannot be asked."""
        self._pending: list[Progress] = []
        """Not yet written, in their order."""
        self._replaceable = False
        """Whether the last of them may give way to a newer one."""
        self._last: Progress | None = None
        self._written = self._logged = self._refused = -float("inf")

    def __call__(self, progress: Progress) -> None:
        """Write one report; `timellm.training.progress.OnProgress`."""
        new_phase = self._last is None or progress.phase != self._last.phase
        urgent = new_phase or progress.validation_loss is not None
        new_message = bool(progress.message) and (
            self._last is None or new_phase or progress.message != self._last.message
        )
        if urgent:
            self.flush()  # what was held back came before
        elif self._pending and self._replaceable:
            self._pending.pop()
        self._pending.append(progress)
        self._last, self._replaceable = progress, not urgent
        self.memory_mib = max(filter(None, (self.memory_mib, progress.memory_mib)), default=None)
        now = time.monotonic()
        if urgent or now - self._written >= WRITE_EVERY_S:
            self.flush()
        if urgent or new_message or now - self._logged >= LOG_EVERY_S:
            log.info(in_words(progress))
            self._logged = now

    def flush(self) -> None:
        """Write the reports that were kept, unless the store could not be used just now.

        Raises:
            JobError: the run is no longer at work in this attempt.
        """
        if time.monotonic() - self._refused < REFUSED_S:
            return
        while self._pending:
            try:
                self._store.record(self._run_id, self._pending[0], attempt=self._attempt)
            except StoreError as error:
                self._refused = time.monotonic()
                log.warning("progress is kept until the store can be used again: %s", error)
                return
            del self._pending[0]
            self._written = time.monotonic()


def in_words(progress: Progress) -> str:
    """One line, such as `training 40 of 300 steps, train loss 0.5312, 41.0 windows/s, 812 MiB, at most 3 min left`."""
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
        most = "at most " if progress.phase in MAY_END_EARLY else ""
        parts.append(f"{most}{_duration(progress.eta_s)} left")
    if progress.message:
        parts.append(progress.message)
    return ", ".join(parts)


def _amount(progress: Progress) -> str:
    if not progress.total:
        return ""
    if progress.phase == "fetching":
        return f"{progress.done / 2**20:,.1f} of {progress.total / 2**20:,.1f} MiB"
    unit = {"loading": "tensors", "pretraining": "steps", "training": "steps", "evaluating": "windows"}[progress.phase]
    return f"{progress.done:,} of {progress.total:,} {unit}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
