"""One report of a working run, written into its row, its events and its curve.

Inputs: `Progress` and an open connection. Outputs: rows of the store.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from timellm.errors import JobError
from timellm.jobs.store.curve import add_point, forget_validations
from timellm.jobs.store.event import add_event
from timellm.jobs.store.schema import runs
from timellm.training.progress import Progress


def write_report(connection: sa.Connection, run_id: str, progress: Progress, *, attempt: int | None = None) -> None:
    """Write one report into a running run's row, its events and its curve.

    Raises:
        JobError: the run does not work, or not in this attempt.
    """
    measured = ("train_loss", "validation_loss", "learning_rate", "windows_per_s", "memory_mib")
    news: dict[str, Any] = {name: value for name in measured if (value := getattr(progress, name)) is not None}
    phase = connection.scalar(sa.select(runs.c.phase).where(runs.c.id == run_id))
    if phase == "pretraining" != progress.phase:  # what was measured there says nothing of the run's own table
        news = dict.fromkeys(measured[:4]) | news
    of_own_table = progress.phase == "training"
    if of_own_table and progress.validation_loss is not None and math.isfinite(progress.validation_loss):
        known, loss = runs.c.best_validation_loss, progress.validation_loss
        news["best_validation_loss"] = sa.case((known < loss, known), else_=loss)
    if progress.validations_to is not None:
        last, best = forget_validations(connection, run_id, after=progress.validations_to)
        news |= {"validation_loss": last, "best_validation_loss": best}
    # The time left is the whole run's, so it stays until the phase it was measured in is over.
    eta_s = progress.eta_s
    kept_eta = sa.case((runs.c.phase == progress.phase, runs.c.eta_s), else_=None) if eta_s is None else eta_s
    works = (runs.c.id == run_id) & (runs.c.state == "running")
    if attempt is not None:
        works &= runs.c.attempt == attempt
    changed = connection.execute(
        sa.update(runs)
        .where(works)
        .values(
            phase=progress.phase,
            done=progress.done,
            total=progress.total,
            fraction=progress.fraction,
            eta_s=kept_eta,
            message=progress.message,
            updated=datetime.now(UTC),
            **news,
        )
    )
    if changed.rowcount == 0:
        raise JobError(f"run '{run_id}' has ended, or was resumed elsewhere, so its progress cannot be written")
    if phase != progress.phase:
        add_event(connection, run_id, progress.phase)
    add_point(connection, run_id, progress)
