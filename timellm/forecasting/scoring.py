"""The test part of a run, forecast and scored batch by batch: its own forecaster beside the quick ones.

Inputs: fitted forecasters and the prepared table. Outputs: in the run's folder the own forecasts of every test window,
with the quantiles that its model gives, the errors of every model by window, and the scores. Memory does not grow with
the number of windows.

Shapes: W windows, B windows of a batch, H horizon, Q quantiles.
"""

from __future__ import annotations

import collections
import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from accelerate import Accelerator
from numpy.lib.stride_tricks import sliding_window_view

from timellm.data.prepared import PreparedData
from timellm.data.season import season_length, season_name
from timellm.data.windows import WindowIndex
from timellm.evaluation.accumulator import ForecastBatch, ScoreAccumulator
from timellm.evaluation.comparisons import COMPARISONS, compare_with_own, write_comparisons
from timellm.evaluation.own_quantiles import Predicted
from timellm.evaluation.scores import Scores
from timellm.evaluation.window_errors import WINDOW_ERRORS, writing_window_errors
from timellm.evaluation.windows import Reference, ScoredWindows
from timellm.forecasters.bounds import forecast as bounded_forecast
from timellm.forecasters.bounds import forecast_own
from timellm.forecasters.naive2 import Naive2
from timellm.forecasters.protocol import Forecaster, Predictor, missing_note, own_levels
from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.bands import spreads
from timellm.forecasting.calibration_windows import calibration_windows
from timellm.forecasting.kept_quantiles import TEST_QUANTILES, QuantileWriter, writing_quantiles
from timellm.forecasting.quick import QuickForecasters
from timellm.training.evaluation_batch import EVALUATION_BATCH, evaluated_windows
from timellm.training.peak_memory import peak_memory_mib
from timellm.training.processes import numbers_from_main
from timellm.training.progress import OnProgress, Progress, ShouldStop, ignore_progress, never_stop

BATCH = 8 * EVALUATION_BATCH
"""Windows that are forecast and scored at once, for each process: whole batches of a network."""


@dataclass(frozen=True)
class ScoredModels:
    """The models that are scored on the same windows."""

    own: Predictor
    """The run's own; its forecasts are kept."""
    others: Mapping[str, Predictor]
    """Every other model by the name of its row."""

    @classmethod
    def of(cls, own: Forecaster, quick: QuickForecasters) -> Self:
        """A run's own forecaster, with its other rows if it has several, and the quick ones beside it."""
        rows = {**own.rows(), **quick.rows}
        return cls(own, {name: row for name, row in rows.items() if name != own.name})


def score_test_part(
    models: ScoredModels,
    prepared: PreparedData,
    folder: RunFolder,
    *,
    on_progress: OnProgress = ignore_progress,
    should_stop: ShouldStop = never_stop,
    accelerator: Accelerator | None = None,
) -> Scores | None:
    """Forecast and score every test window; None, with nothing written, if the user stops it.

    All processes of a run call this; the main one alone scores and writes, the others get None.

    Raises:
        DataError: there is no test window.
        OSError: the disk is full.
    """
    index = prepared.windows("test")
    processes, main = (accelerator.num_processes, accelerator.is_main_process) if accelerator else (1, True)
    season = season_length(prepared.table.frequency)
    reference = Reference.of(prepared, season=season)
    scored = ScoredWindows.of(prepared, index, season=season, season_name=season_name(prepared.table.frequency))
    accumulator = ScoreAccumulator(reference, scored, models.own.name)
    naive2 = Naive2.fit(prepared.training_values, season=season, begin=prepared.split.train_begin)
    actual = sliding_window_view(prepared.table.values.to_numpy(np.float64), prepared.horizon, axis=0)
    started = time.monotonic()
    ahead = evaluated_windows(len(calibration_windows(prepared))) + evaluated_windows(len(prepared.table.channels))

    def stop() -> bool:
        if accelerator is None:
            return should_stop()
        return bool(numbers_from_main(accelerator, lambda: (float(should_stop()),), count=1)[0])

    def parts() -> Iterator[tuple[WindowIndex, np.ndarray, np.ndarray | None]]:
        """Some windows with the own forecasts [B, H] and quantiles [B, H, Q]; every process takes part in these."""
        for begin in range(0, len(index), BATCH * processes):
            if stop():
                raise _StoppedError

            def on_batch(done: int, begin: int = begin) -> None:
                """A slow network takes minutes for a part, so that it reports within it, too."""
                seconds = max(time.monotonic() - started, 1e-6)
                on_progress(scoring_progress(begin + done, len(index), seconds, ahead=ahead))
                if processes == 1 and should_stop():  # several processes must all stop at the same place
                    raise _StoppedError

            part = index.part(begin, begin + BATCH * processes)
            yield part, *forecast_own(models.own, prepared, part, on_batch=on_batch)

    try:
        if not main:
            collections.deque(parts(), maxlen=0)
            return None
        with (
            folder.writing_test_forecasts(prepared) as kept,
            writing_window_errors(folder.path / WINDOW_ERRORS, reference=reference, scored=scored) as errors,
            _writing_quantiles(models.own, prepared, folder) as quantiles,
        ):
            for part, own_BH, own_BHQ in parts():
                forecasts = {name: bounded_forecast(row, prepared, part) for name, row in models.others.items()}
                forecasts[models.own.name] = own_BH
                measured, yardstick = actual[part.origin, part.channel], naive2.predict(prepared, part)
                batch = ForecastBatch(part.channel, part.origin, measured, forecasts, yardstick)
                errors.write(batch, accumulator.add(batch))
                kept.write(part, own_BH)
                if quantiles is not None:
                    quantiles.write(part, Predicted(own_BH, spreads(prepared, part), own_BHQ, own_levels(models.own)))
    except _StoppedError:
        return None
    scores = accumulator.scores()
    scores = replace(scores, notes=(*scores.notes, *missing_note(models.own, len(index))))
    folder.save_scores(scores)
    write_comparisons(folder.path / COMPARISONS, compare_with_own([folder.path / WINDOW_ERRORS], scores.own))
    return scores


@contextlib.contextmanager
def _writing_quantiles(own: Predictor, prepared: PreparedData, folder: RunFolder) -> Iterator[QuantileWriter | None]:
    """What keeps the own model's quantiles; None for one that gives none."""
    levels = own_levels(own)
    if not levels:
        yield None
        return
    path, channels = folder.path / TEST_QUANTILES, prepared.table.channels
    with writing_quantiles(path, channels=channels, numbers=prepared.horizon * len(levels)) as writer:
        yield writer


class _StoppedError(Exception):
    """The user stopped the scoring: what was written so far is thrown away."""


def scoring_progress(done: int, total: int, seconds: float, *, ahead: int) -> Progress:
    """How far the forecasts of `total` windows are, of which `done` took `seconds`; `ahead` windows follow them."""
    return Progress(
        "evaluating",
        done,
        total,
        fraction=done / total,
        eta_s=seconds / done * (total - done + ahead),
        windows_per_s=done / seconds,
        memory_mib=peak_memory_mib(),
    )
