"""What a forecaster is: it is fitted on the windows of a table, forecasts windows, and lies in a folder.

Everything around it (queue, worker, archive, pages, command line) treats all kinds alike and asks for what one can do,
never for what it is. `timellm.forecasters.registry` lists the kinds.

Shapes: W windows, H horizon, Q quantiles.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar, runtime_checkable

import numpy as np

from timellm.config import ForecasterConfig, RunConfig
from timellm.data.prepared import PreparedData
from timellm.data.windows import WindowIndex
from timellm.training.progress import OnProgress, ShouldStop, ignore_progress, never_stop

S = TypeVar("S", bound=ForecasterConfig)
OnBatch = Callable[[int], None]
"""Is called with the number of windows that are done."""


def ignore_batch(_: int) -> None:
    """For callers that do not watch."""


def settings_of(config: RunConfig, section: type[S]) -> S:
    """The settings of a forecaster, whose configuration it must be."""
    found: ForecasterConfig = config.forecaster
    assert isinstance(found, section), f"the configuration is of '{config.kind}'"
    return found


@dataclass(frozen=True)
class FitJob:
    """What a fit is given beside the data."""

    config: RunConfig
    folder: Path
    """The run's folder: checkpoints and training state lie in it."""
    on_progress: OnProgress = ignore_progress
    should_stop: ShouldStop = never_stop


@dataclass(frozen=True)
class FitReport:
    """How a fit went."""

    seconds: float
    stopped: bool = False
    """The user stopped it before its end; what was learned until then is kept."""
    validation_loss: float | None = None
    """MSE on z-scored validation windows, if the kind measures it."""
    facts: dict[str, Any] = field(default_factory=dict)
    """More numbers for the run's summary, by name: JSON values."""
    notes: tuple[str, ...] = ()
    """What the reader of the results should know."""


class FitStoppedError(Exception):
    """The user stopped a fit before anything was learned; `fit` turns it into a report."""


@runtime_checkable
class CountsMissing(Protocol):
    """A forecaster that has no forecast for some windows, and counts why."""

    missing: Counter[str]
    """Windows of all calls of `predict` that have no forecast, by reason, such as "over the time budget"."""


@runtime_checkable
class TiedToTable(Protocol):
    """A forecaster that may be tied to the table it was fitted on, so that it can forecast no other one."""

    @property
    def tied_to_table(self) -> str:
        """What ties it there, and which setting leaves that out, in one sentence; empty if nothing does."""
        ...


@runtime_checkable
class GivesQuantiles(Protocol):
    """A forecaster whose model gives quantiles; which ones is set, and perhaps none."""

    @property
    def own_levels(self) -> tuple[float, ...]:
        """Their levels, rising, one below 0.5 and one above it; empty where they are switched off."""
        ...

    def predict_own(
        self, prepared: PreparedData, index: WindowIndex, *, on_batch: OnBatch = ignore_batch
    ) -> tuple[np.ndarray, np.ndarray]:
        """Forecasts [W, H] as `predict` has them, and quantiles [W, H, Q] at `own_levels`, which never cross."""
        ...


def own_levels(forecaster: Predictor) -> tuple[float, ...]:
    """Levels of the quantiles that a forecaster gives; empty for most."""
    return forecaster.own_levels if isinstance(forecaster, GivesQuantiles) else ()


def tied_to_table(forecaster: Predictor) -> str:
    """What ties a forecaster to its table (see `TiedToTable`); empty for most."""
    return forecaster.tied_to_table if isinstance(forecaster, TiedToTable) else ""


class OneRow(ABC):
    """What a forecaster has that is one row of a leaderboard, and reads no more than the context."""

    @property
    @abstractmethod
    def name(self) -> str:
        """As a leaderboard shows it."""

    @property
    def past_rows(self) -> int:
        """Never more than the context."""
        return 0

    @property
    def reads_time(self) -> bool:
        """Whether a forecast depends on when it begins, beside the values before it."""
        return False

    def rows(self) -> dict[str, Self]:
        """Itself."""
        return {self.name: self}


class Predictor(Protocol):
    """What forecasts windows of one task: all that scoring asks for."""

    @property
    def name(self) -> str:
        """As a leaderboard shows it."""
        ...

    def predict(self, prepared: PreparedData, index: WindowIndex, *, on_batch: OnBatch = ignore_batch) -> np.ndarray:
        """Forecasts [W, H] of the windows in `index`, float64 in original units; NaN where there is no forecast.

        A forecast depends on what was known before its origin alone, not on the other windows asked for. An origin may
        be one past the last row: the forecast beyond the data.
        """
        ...


class Forecaster(Predictor, Protocol):
    """A fitted model that forecasts windows of the task it was fitted for."""

    @property
    def past_rows(self) -> int:
        """Rows before an origin that it reads at most; 0 if never more than the context."""
        ...

    @property
    def reads_time(self) -> bool:
        """Whether a forecast depends on when it begins, beside the values before it."""
        ...

    def rows(self) -> Mapping[str, Forecaster]:
        """What it puts on a leaderboard, by name: itself, or several, of which it is one."""
        ...

    @classmethod
    def fit(cls, prepared: PreparedData, job: FitJob) -> tuple[Self | None, FitReport]:
        """Fit on the training windows, choose on the validation windows, and keep everything in `job.folder`.

        Nothing of the test part is looked at. None instead of a forecaster if the user stopped the fit before anything
        was learned.

        Raises:
            TimeLLMError: what is wrong with the data, the settings or the machine, and what to do.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write what `load` needs, each file whole or not at all."""
        ...

    @classmethod
    def load(cls, folder: Path, config: RunConfig) -> Self:
        """Inverse of `save`.

        Raises:
            CheckpointError: a file is missing or damaged.
        """
        ...


def missing_note(forecaster: Predictor, windows: int) -> tuple[str, ...]:
    """Why the forecaster has no forecast for some of the `windows` that it was asked for; empty if it has them all."""
    missing = forecaster.missing if isinstance(forecaster, CountsMissing) else Counter[str]()
    if not missing.total():
        return ()
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in missing.most_common() if count)
    return (f"{forecaster.name} has no forecast for {missing.total():,} of {windows:,} test windows: {reasons}.",)
