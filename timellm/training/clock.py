"""Progress of a training, and the time of the rest of it at the measured rate.

Inputs: the settings, and a call after each step and each validation. Outputs: the share that is done, and `Progress`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from statistics import fmean
from typing import Any

from timellm.config import TrainingConfig
from timellm.training.evaluation_batch import evaluated_windows
from timellm.training.progress import Progress
from timellm.training.state import TrainingPosition

_RECENT_STEPS = 20
"""The rate is that of the last steps, because a machine can get busy; the first step is slower than all others."""


class Clock:
    """The share of a training that is done, by steps or by its time budget, whichever ends first; and the time left."""

    def __init__(
        self, config: TrainingConfig, spent_s: float, *, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._config, self._seconds = config, seconds
        self._start = seconds() - spent_s
        self._begun = seconds()
        self._steps: deque[float] = deque(maxlen=_RECENT_STEPS)
        self._warming_up = True  # the first step is slower, and counts only until there is another one
        self._validation_s: float | None = None
        self._window_s: float | None = None

    def elapsed(self) -> float:
        """Seconds spent on training, in earlier attempts too."""
        return self._seconds() - self._start

    def share(self, step: int) -> float:
        """How much of the training is done, 0 to 1."""
        by_steps = step / self._config.steps
        by_time = self.elapsed() / (self._config.minutes * 60) if self._config.minutes else 0.0
        return min(1.0, max(by_steps, by_time))

    def begin(self) -> None:
        """A step or a validation begins now."""
        self._begun = self._seconds()

    def stepped(self) -> None:
        """A step has ended."""
        if self._warming_up and self._steps:
            self._steps.clear()
            self._warming_up = False
        self._steps.append(self._seconds() - self._begun)

    def validated(self, windows: int) -> None:
        """A validation of so many windows has ended."""
        self._validation_s = self._seconds() - self._begun
        # That of the slowest: later validations find prompts that were read before, and what comes after them does not.
        self._window_s = max(self._window_s or 0.0, self._validation_s / evaluated_windows(windows))

    def window_s(self) -> float | None:
        """Seconds of a window without gradient.

        Until a validation has been measured, a window is taken to last as long as in a step: at the default settings
        it took 0.7 to 1.03 times as long (docs/measurements.md), because the prompt goes forward alone in both.
        """
        if self._window_s is None and self._steps:
            return fmean(self._steps) / self._config.batch_size
        return self._window_s

    def left_s(self, now: TrainingPosition) -> float | None:
        """Seconds until training ends, with the validations to come; None before anything was measured."""
        budget = self._config.minutes * 60 - self.elapsed() if self._config.minutes else None
        if not self._steps:
            return budget
        validation_s = self._validation_s
        if validation_s is None:
            validation_s = evaluated_windows(self._config.validation_windows) * (self.window_s() or 0.0)
        left = (self._config.steps - now.step) * fmean(self._steps)
        left += max(0, self._config.validations - now.validated) * validation_s
        return max(0.0, left if budget is None else min(left, budget))

    def report(self, now: TrainingPosition, **measured: Any) -> Progress:
        """The progress to report."""
        seconds, step, recent = self.elapsed(), now.step, now.recent
        return Progress(
            phase="training",
            done=step,
            total=self._config.steps,
            fraction=self.share(step),
            eta_s=self.left_s(now),
            train_loss=sum(recent) / len(recent) if recent else None,
            windows_per_s=step * self._config.batch_size / seconds if seconds else None,
            window_s=self.window_s(),
            **measured,
        )
