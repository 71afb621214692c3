"""Progress of a run as bars on standard error, one for each phase. Inputs: `Progress`."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from timellm.training.progress import Progress


class Bar:
    """Shows the finished share of the phase; with a time budget, that is not the share of steps.

    In a file or a pipe, where a bar cannot move, it writes a line now and then.
    """

    def __enter__(self) -> Bar:
        self._bar: Any = None
        self._phase: str | None = None
        self._validation_loss: float | None = None
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, progress: Progress) -> None:
        """Move the bar to the run's progress."""
        from timellm.jobs.store.reporter import in_words

        if progress.phase != self._phase:
            self._begin(progress.phase)
        if progress.validation_loss is None:  # the last one stays in view until the next
            progress = dataclasses.replace(progress, validation_loss=self._validation_loss)
        self._validation_loss = progress.validation_loss
        self._bar.set_description_str(in_words(progress), refresh=False)
        self._bar.update(progress.fraction - self._bar.n)

    def _begin(self, phase: str) -> None:
        from tqdm import tqdm

        self.__exit__()
        self._phase, self._validation_loss = phase, None
        self._bar = tqdm(
            total=1.0,
            bar_format="{percentage:3.0f}% |{bar:20}| {desc}",
            mininterval=0.2 if sys.stderr.isatty() else 10.0,
            dynamic_ncols=True,
            file=sys.stderr,
        )
