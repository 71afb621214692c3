"""What a training step by step came to, as the fit of every kind that trains reports it."""

from __future__ import annotations

from timellm.forecasters.protocol import FitReport
from timellm.training.loop import TrainingResult


def training_report(trained: TrainingResult, *, seconds: float, quantiles: bool) -> FitReport:
    """The report of a fit that took so many seconds; `quantiles` says whether the network gives some."""
    notes: tuple[str, ...] = ()
    if quantiles and trained.adds_nothing and trained.best_step:
        notes = (
            f"The quantiles are those of step {trained.best_step:,}. They lie round the forecast from before training,"
            " which no step made better by enough to be kept.",
        )
    if 0 < trained.share < 1:
        notes += (
            f"Of what step {trained.best_step:,} adds to the forecast from before training, {trained.share:.3g} is"
            " kept: with this share the validation error is lowest.",
        )
    return FitReport(
        seconds,
        stopped=trained.stopped,
        validation_loss=trained.best_validation_loss,
        facts={
            "steps": trained.steps,
            "best_step": trained.best_step,
            "best_validation_loss": trained.best_validation_loss,
            **({"share": trained.share} if 0 < trained.share < 1 else {}),
            "training_seconds": trained.seconds,
            "windows_per_s": trained.windows_per_s,
            "ended_early": trained.early,
        },
        notes=notes,
    )
