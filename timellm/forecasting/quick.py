"""The forecasters that every run has beside its own: those that are fitted and scored in seconds.

A verdict is worth what it is compared with, so the simple rules and the ridge are fitted with every run, on the same
windows, without being asked. Inputs: the prepared table. Outputs: their forecasts by the name of a leaderboard's row.

Shapes: W windows, H horizon.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from timellm.config import RunConfig
from timellm.data.prepared import PreparedData
from timellm.data.windows import WindowIndex
from timellm.errors import TimeLLMError
from timellm.forecasters.bounds import forecast as bounded_forecast
from timellm.forecasters.protocol import FitJob, Forecaster
from timellm.forecasters.registry import REGISTRY, Kind
from timellm.training.progress import OnProgress, Progress, ShouldStop, ignore_progress, never_stop

_QUICK = [kind for kind in REGISTRY.values() if kind.quick]


@dataclass(frozen=True)
class QuickForecasters:
    """Fitted forecasters by their names."""

    rows: Mapping[str, Forecaster]
    seconds: Mapping[str, float]
    """What the fit of each kind took."""
    notes: tuple[str, ...] = ()
    """Which of them could not be fitted, and why."""

    @classmethod
    def fit(
        cls,
        prepared: PreparedData,
        folder: Path,
        *,
        on_progress: OnProgress = ignore_progress,
        should_stop: ShouldStop = never_stop,
        own_too: bool = False,
    ) -> Self:
        """Fit every quick kind but the run's own, unless `own_too`, and keep them in the run's folder.

        One that cannot be fitted to this table is left out with a note: the run's own forecaster may well be.
        """
        rows: dict[str, Forecaster] = {}
        seconds, notes = {}, []
        for kind in _QUICK if own_too else _quick_kinds(prepared.config):
            on_progress(Progress("loading", message=f"Fitting: {kind.title}"))
            started = time.monotonic()
            job = FitJob(prepared.config.updated(kind=kind.name), folder, should_stop=should_stop)
            try:
                fitted, report = kind.load().fit(prepared, job)
            except TimeLLMError as error:
                notes.append(f"{kind.title} was left out: {error}.")
                continue
            notes.extend(report.notes)
            if fitted is not None:
                rows |= fitted.rows()
                seconds[kind.name] = time.monotonic() - started
        return cls(rows, seconds, tuple(notes))

    @classmethod
    def load(cls, folder: Path, config: RunConfig) -> Self:
        """Those that a run's folder keeps; none in one of an earlier version.

        Raises:
            CheckpointError: a file is damaged.
        """
        rows: dict[str, Forecaster] = {}
        for kind in _quick_kinds(config):
            if (folder / kind.file).is_file():
                rows |= kind.load().load(folder, config.updated(kind=kind.name)).rows()
        return cls(rows, {})

    def predict(self, prepared: PreparedData, index: WindowIndex) -> dict[str, np.ndarray]:
        """Name -> forecasts [W, H], in original units."""
        return {name: bounded_forecast(row, prepared, index) for name, row in self.rows.items()}


def _quick_kinds(config: RunConfig) -> list[Kind]:
    return [kind for kind in _QUICK if kind.name != config.kind]
