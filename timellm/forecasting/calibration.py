"""The intervals of a run, measured when it has been scored: quantiles by validation windows, coverage on test windows.

Inputs: fitted forecasters, the prepared table, and the run's forecasts of its test windows. Outputs: in the run's
folder intervals.parquet and coverage.parquet. Of many windows an evenly spaced part is looked at. Channels are worked
through a few at a time, so that memory does not grow with their number.

Of a model that gives quantiles, the bands are made of these. Beside them it is measured what the quantiles hold as they
are, and what bands round its forecast would: the same calibration without them.

Shapes: W windows, H horizon, N channels, S groups of steps, G levels of the grid, L levels of the card, K columns, one
for each channel and step, Q quantiles.
"""

from __future__ import annotations

import collections
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from accelerate import Accelerator
from numpy.lib.stride_tricks import sliding_window_view

from timellm.data.prepared import PreparedData
from timellm.data.windows import WindowIndex
from timellm.evaluation.coverage import (
    ADAPTIVE,
    CARD_LEVELS,
    COVERAGE,
    OWN,
    ROUND,
    SPLIT,
    CoverageCard,
    CoverageSums,
    Measured,
)
from timellm.evaluation.intervals import GRID, Calibration, adapt, at_levels, calibrate, step_groups
from timellm.evaluation.own_quantiles import Predicted
from timellm.forecasters.bounds import forecast as bounded_forecast
from timellm.forecasters.bounds import forecast_own
from timellm.forecasters.protocol import Predictor, own_levels
from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.bands import INTERVALS, Intervals, spreads, write_intervals
from timellm.forecasting.calibration_windows import calibration_windows, is_slow
from timellm.forecasting.held_out import ROUND_OWN, ChannelWindows, TestWindows, alike, kept_forecasts, thinned
from timellm.forecasting.kept_quantiles import KeptQuantiles
from timellm.forecasting.scoring import ScoredModels, scoring_progress
from timellm.training.evaluation_batch import EVALUATION_BATCH, evaluated_windows
from timellm.training.processes import numbers_from_main
from timellm.training.progress import OnProgress, ShouldStop, ignore_progress, never_stop

_MOST_OWN, _MOST_OTHER = 1_000_000, 250_000
"""Quantiles that are kept of the run's own model, and of each other one: of more, neighbouring steps share theirs."""
_BLOCK_VALUES = 4_000_000


def measure_bands(
    models: ScoredModels,
    prepared: PreparedData,
    folder: RunFolder,
    *,
    on_progress: OnProgress = ignore_progress,
    should_stop: ShouldStop = never_stop,
    accelerator: Accelerator | None = None,
) -> CoverageCard | None:
    """Calibrate every model and measure the coverage of its bands; None, with nothing written, if the user stops it.

    All processes of a run call this after `score_test_part`; the main one alone writes, the others get None.

    Raises:
        DataError: there is no validation or test window.
        OSError: the disk is full.
    """
    main = accelerator is None or accelerator.is_main_process
    levels = own_levels(models.own)
    kept = KeptQuantiles(folder.path, prepared.table.channels, prepared.horizon, levels)
    test = thinned(prepared, prepared.windows("test"), kept)

    def count() -> tuple[float, ...]:
        share = 1.0
        if main:
            test.forecast_WH[:] = kept_forecasts(folder, prepared, test.places)
            share = float((~np.isnan(test.forecast_WH)).any(axis=1).mean())
        return (share,)

    (share,) = numbers_from_main(accelerator, count, count=1) if accelerator else count()
    index = calibration_windows(prepared, share=share)
    blocks = _own_blocks(models.own, prepared, index, on_progress, should_stop, accelerator)
    try:
        if not main:
            collections.deque(blocks, maxlen=0)
            return None
        found = _calibrated(models, prepared, blocks, together=is_slow(share))
    except _StoppedError:
        return None
    sums, adapted_NSG, medians = _measured(models, prepared, test, found)
    own = models.own.name
    found[own] = replace(found[own], adapted_NSG=adapted_NSG)
    found.pop(ROUND_OWN, None)
    write_intervals(folder.path / INTERVALS, Intervals(found, own, prepared.table.channels, levels, kept))
    frames = [one.rows(model, method, prepared.table.channels) for (model, method), one in sums.items()]
    facts = _facts(prepared, found[own], test, own=own, medians=medians)
    card = CoverageCard.of(frames, replace(facts, quantiles=levels))
    card.write(folder.path / COVERAGE)
    return card


class _StoppedError(Exception):
    """The user stopped it."""


def _own_blocks(
    own: Predictor,
    prepared: PreparedData,
    index: WindowIndex,
    on_progress: OnProgress,
    should_stop: ShouldStop,
    accelerator: Accelerator | None,
) -> Iterator[tuple[WindowIndex, np.ndarray, np.ndarray | None]]:
    """Windows of a few channels with the own model's forecasts and quantiles; every process takes part in these."""
    # Quantiles are also sorted, drawn apart and compared: four arrays of their size.
    rows = max(_BLOCK_VALUES // (prepared.horizon * (1 + 4 * len(own_levels(own)))), EVALUATION_BATCH)
    begins = np.flatnonzero(np.diff(index.channel, prepend=-1))
    begin, started = 0, time.monotonic()
    while begin < len(index):
        later = begins[begins > begin]
        fitting = later[later <= begin + rows]
        end = len(index) if begin + rows >= len(index) else int(fitting[-1] if len(fitting) else later[0])
        stop = (lambda: (float(should_stop()),)) if accelerator is None else None
        stopped = stop()[0] if stop else numbers_from_main(accelerator, lambda: (float(should_stop()),), count=1)[0]
        if stopped:
            raise _StoppedError
        part = index.part(begin, end)
        yield part, *forecast_own(own, prepared, part)
        begin = end
        seconds = max(time.monotonic() - started, 1e-6)
        ahead = evaluated_windows(len(prepared.table.channels))
        on_progress(replace(scoring_progress(end, len(index), seconds, ahead=ahead), fraction=1.0))  # after scoring


def _calibrated(
    models: ScoredModels,
    prepared: PreparedData,
    blocks: Iterator[tuple[WindowIndex, np.ndarray, np.ndarray | None]],
    *,
    together: bool,
) -> dict[str, Calibration]:
    """Quantiles of every model's distances, of each channel or of all channels `together`."""
    channels, horizon, levels = len(prepared.table.channels), prepared.horizon, own_levels(models.own)
    actual = sliding_window_view(prepared.values, horizon, axis=0)
    found: dict[str, Calibration] = {}
    for name in (models.own.name, *models.others, *([ROUND_OWN] if levels else [])):
        most = (_MOST_OTHER if name in models.others else _MOST_OWN) // (channels * len(GRID))
        first_S = step_groups(horizon, most)
        quantile_NSG = np.full((channels, len(first_S), len(GRID)), np.nan, np.float32)
        found[name] = Calibration(np.zeros(channels, np.int64), first_S, quantile_NSG)
    scores: dict[str, list[np.ndarray]] = {name: [] for name in found}
    for part, own_WH, own_WHQ in blocks:
        spread_W, actual_WH = spreads(prepared, part), actual[part.origin, part.channel]
        said = {models.own.name: Predicted(own_WH, spread_W, own_WHQ, levels)}
        said |= {ROUND_OWN: Predicted(own_WH, spread_W)} if levels else {}
        for name, row in models.others.items():
            said[name] = Predicted(bounded_forecast(row, prepared, part), spread_W)
        for name, predicted in said.items():
            score_WH = predicted.distances(actual_WH)
            one = found[name]
            if together:
                scores[name].append(score_WH)
                continue
            for channel in np.unique(part.channel):
                mine = part.channel == channel
                one.windows_N[channel], one.quantile_NSG[channel] = calibrate(score_WH[mine], one.first_S)
    for name, parts in scores.items() if together else ():
        one = found[name]
        one.windows_N[:], one.quantile_NSG[:] = calibrate(np.concatenate(parts), one.first_S)
    return found


def _measured(
    models: ScoredModels, prepared: PreparedData, test: TestWindows, found: dict[str, Calibration]
) -> tuple[dict[tuple[str, str], CoverageSums], np.ndarray, list[tuple[float, float]]]:
    """Sums by model and method, the own quantiles at the end of the test part, and median distances of test and
    validation windows by channel."""
    own = models.own.name
    methods = {name: (own, ROUND) if name == ROUND_OWN else (name, SPLIT) for name in found}
    keys = [(own, ADAPTIVE), *methods.values(), *([(own, OWN)] if ROUND_OWN in found else [])]
    sums = {key: CoverageSums(np.asarray(prepared.scaler.scale), prepared.horizon) for key in keys}
    adapted_NSG, medians = found[own].quantile_NSG.copy(), []
    actual = sliding_window_view(prepared.values, prepared.horizon, axis=0)
    for channels in alike(test, prepared.horizon):
        windows = [ChannelWindows.of(models, prepared, test, channel, actual) for channel in channels]
        width_CWHL, end_CHG = _adapted(prepared, windows, found[own])
        for one, width_WHL, end_HG in zip(windows, width_CWHL, end_CHG, strict=True):
            first_S = found[own].first_S
            adapted_NSG[one.channel] = (
                np.add.reduceat(end_HG, first_S) / np.diff(first_S, append=prepared.horizon)[:, None]
            )
            one.add(prepared, sums[own, ADAPTIVE], own, width_WHL)
            for name, calibration in found.items():
                flat_HL = calibration.half_width(
                    np.array([one.channel]), CARD_LEVELS, horizon=prepared.horizon, adapted=False
                )
                one.add(prepared, sums[methods[name]], name, flat_HL)
            if (own, OWN) in sums:
                one.add_own(prepared, sums[own, OWN], own)
            medians.append((_median(one.score_WH), _median(found[own].quantile_NSG[one.channel][:, GRID.index(50)])))
    return sums, adapted_NSG, medians


def _median(values: np.ndarray) -> float:
    """Of the known values; NaN where there are none, as for a channel without a validation window."""
    known = values[~np.isnan(values)]
    return float(np.median(known)) if known.size else float("nan")


def _adapted(
    prepared: PreparedData, windows: list[ChannelWindows], calibration: Calibration
) -> tuple[np.ndarray, np.ndarray]:
    """Adapted half-widths [C, W, H, L] of windows with the same origins, and the quantiles [C, H, G] after the last."""
    horizon, count = prepared.horizon, len(windows)
    quantile_KG = np.concatenate([calibration.by_step(one.channel, horizon) for one in windows])
    origin_W = windows[0].index.origin
    steps = adapt(
        np.concatenate([one.score_WH for one in windows], axis=1),
        origin_W=origin_W,
        step_K=np.tile(np.arange(1, horizon + 1), count),
        quantile_KG=quantile_KG,
        end=int(origin_W[-1]) + horizon,
    )
    width_WKL = np.empty((len(origin_W), count * horizon, len(CARD_LEVELS)), np.float32)
    for number, width_KG in enumerate(steps):
        if number < len(origin_W):
            width_WKL[number] = at_levels(width_KG, CARD_LEVELS)
    width_WCHL = width_WKL.reshape(len(origin_W), count, horizon, -1)
    for place, one in enumerate(windows):
        width_WCHL[:, place][..., _too_few(calibration, one.channel)] = np.nan
    return width_WCHL.transpose(1, 0, 2, 3), width_KG.reshape(count, horizon, -1)


def _too_few(calibration: Calibration, channel: int) -> list[int]:
    """Places of the levels for which a channel has too few validation windows."""
    return [place for place, level in enumerate(CARD_LEVELS) if calibration.why_none(channel, level)]


def _facts(
    prepared: PreparedData, used: Calibration, test: TestWindows, *, own: str, medians: list[tuple[float, float]]
) -> Measured:
    validation = prepared.windows("validation")
    span = int(validation.origin.max() - validation.origin.min()) + prepared.horizon
    ratios: list[Any] = [ours / theirs for ours, theirs in medians if ours > 0 and theirs > 0]
    return Measured(
        own=own,
        cutoffs=int(np.bincount(test.index.channel).max()),
        calibrated_on=int(used.windows_N.max()),
        independent=span / prepared.horizon,
        error_ratio=float(np.exp(np.mean(np.log(ratios)))) if ratios else None,
    )
