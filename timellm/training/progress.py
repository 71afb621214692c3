"""The progress of a run; the worker writes it to the store, the command line draws it as a bar."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Phase = Literal["fetching", "loading", "pretraining", "training", "evaluating"]
PHASES: tuple[Phase, ...] = ("fetching", "loading", "pretraining", "training", "evaluating")
MAY_END_EARLY: tuple[Phase, ...] = ("pretraining", "training")
"""A training that finds nothing ends before its last step: the time left is then the most that it takes."""


@dataclass(frozen=True)
class Progress:
    """One moment of a run. `None` means not measured at this moment, never zero."""

    phase: Phase
    done: int = 0
    """Units of the phase that are finished: bytes, tensors, steps or windows."""
    total: int = 0
    """Units the phase has; 0 when unknown."""
    fraction: float = 0.0
    """Share of the phase that is finished, 0 to 1; follows the clock when a time budget ends the phase."""
    eta_s: float | None = None
    """Seconds to the end of the whole run."""
    train_loss: float | None = None
    """Training loss on z-scored values, averaged over the last ten steps."""
    validation_loss: float | None = None
    """MSE on z-scored validation windows; set when a validation has just been made."""
    learning_rate: float | None = None
    windows_per_s: float | None = None
    window_s: float | None = None
    """Seconds of one window without gradient, at the present rate."""
    memory_mib: float | None = None
    """Peak resident memory of the process (CPU) or allocated memory (GPU)."""
    message: str = ""
    validations_to: int | None = None
    """Set when training goes on: the validations after this step do not count, because a stop or a kill undid them."""


OnProgress = Callable[[Progress], None]
ShouldStop = Callable[[], bool]


def ignore_progress(_: Progress) -> None:
    """For callers that do not watch."""


def never_stop() -> bool:
    """For callers that do not stop."""
    return False
