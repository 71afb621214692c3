"""The time that a run was estimated to take before it started, and how the running run compares with it.

Inputs: an estimate from the set-up page, a run from the store. Outputs: a `Promise`, kept with the run, and `Lateness`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Self

from timellm.json_text import parse_json

if TYPE_CHECKING:
    from timellm.config import RunConfig
    from timellm.jobs.store.run import Run
    from timellm.sizing.estimate import Estimate

_NOTEWORTHY = 1.5
_NOTEWORTHY_S = 20.0
"""An estimate is rounded by less than this, so a run that is later by less is not called late."""


@dataclass(frozen=True)
class Promise:
    """The time that the set-up page showed, and the rates behind it."""

    seconds: float
    """The whole run."""
    training_windows_per_s: float | None
    """With the validations in between; None for a kind that does not train step by step."""
    evaluation_windows_per_s: float

    @classmethod
    def of(cls, config: RunConfig, found: Estimate) -> Self:
        """What an estimate says of a run."""
        per_s = None
        if (training := config.training) is not None:
            batch = training.batch_size
            # With a time budget the clock ends the training, so that its seconds say nothing about the rate.
            per_s = batch / found.step_s if training.minutes else training.steps * batch / found.training_s
        scored = found.evaluation_s or 1.0
        return cls(found.seconds, per_s, found.test_windows / scored)

    @classmethod
    def from_text(cls, text: str | None) -> Self | None:
        """Inverse of `to_text`; None where nothing was told, or another version wrote it."""
        try:
            found = cls(**parse_json(text)) if text else None
            rates = [] if found is None else [value for value in asdict(found).values() if value is not None]
            return found if found is None or min(rates) > 0 else None
        except (ValueError, TypeError):
            return None

    def to_text(self) -> str:
        """As the store keeps it."""
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Lateness:
    """A run that takes clearly longer than estimated."""

    told_s: float
    now_s: float
    """The whole run, by what is measured now; what it took if it has ended."""
    times_slower: float | None
    """How many times slower its phase runs than was estimated; None where nothing is measured, or it is no slower."""


def lateness(run: Run) -> Lateness | None:
    """How much later a run is than estimated; None if it is not clearly later, or there was no estimate."""
    told = Promise.from_text(run.promise)
    if told is None or run.seconds is None or run.attempt > 1 or run.state not in ("running", "finished"):
        return None
    now_s = run.seconds + (run.eta_s or 0.0)
    if now_s < _NOTEWORTHY * told.seconds or now_s < told.seconds + _NOTEWORTHY_S:
        return None
    estimated = {"training": told.training_windows_per_s, "evaluating": told.evaluation_windows_per_s}
    times = None
    if (rate := estimated.get(run.phase or "")) is not None and run.windows_per_s:
        times = rate / run.windows_per_s
    return Lateness(told.seconds, now_s, times if times is not None and times >= 1.2 else None)
