"""The intervals of a run, measured when it has been scored: quantiles by validation windows, coverage on test windows.

Inputs: fitted forecasters, the prepared table, and the run's forecasts of its test windows. Outputs: in the run's
folder intervals.parquet and coverage.parquet. Of many windows an evenly spaced part is looked at. Channels are worked
through a few at a time, so that memory does not grow with their number.

Shapes: W windows, H horizon, N channels, S groups of steps, G levels of the grid, L levels of the card, K columns, one
for each channel and step.
"""

from __future__ import annotations

import collections
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from accelerate import Accelerator
from numpy.lib.stride_tricks import sliding_window_view

from timellm.data.prepared import PreparedData
from timellm.data.windows import WindowIndex
from timellm.evaluation.coverage import ADAPTIVE, CARD_LEVELS, COVERAGE, SPLIT, CoverageCard, CoverageSums, Measured
from timellm.evaluation.intervals import GRID, Calibration, adapt, at_levels, calibrate, step_groups
from timellm.files.parquetfile import read_parquet_in_batches
from timellm.forecasters.bounds import forecast as bounded_forecast
from timellm.forecasters.protocol import Forecaster
from timellm.forecasting.artifacts import TEST_FORECASTS, RunFolder
from timellm.forecasting.bands import INTERVALS, Intervals, ends, spreads, write_intervals
from timellm.forecasting.calibration_windows import calibration_windows, evenly_by_channel, is_slow, most_cutoffs
from timellm.forecasting.scoring import ScoredModels, scoring_progress
from timellm.training.evaluation_batch import EVALUATION_BATCH, evaluated_windows
from timellm.training.processes import numbers_from_main
from timellm.training.progress import OnProgress, ShouldStop, ignore_progress, never_stop

_MOST_OWN, _MOST_OTHER = 1_000_000, 250_000
"""Quantiles that are kept of the run's own model, and of each other one: of more, neighbouring steps share theirs."""
_BLOCK_VALUES = 4_000_000
_COLUMNS = 2048
"""Channels times steps that adapt at once."""


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
    test = _thinned(prepared, prepared.windows("test"))

    def count() -> tuple[float, ...]:
        share = 1.0
        if main:
            test.forecast_WH[:] = _kept(folder, prepared, test.places)
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
    write_intervals(folder.path / INTERVALS, Intervals(found, own, prepared.table.channels))
    frames = [one.rows(model, method, prepared.table.channels) for (model, method), one in sums.items()]
    card = CoverageCard.of(frames, _facts(prepared, found[own], test, own=own, medians=medians))
    card.write(folder.path / COVERAGE)
    return card


class _StoppedError(Exception):
    """The user stopped it."""


@dataclass(frozen=True)
class _TestWindows:
    """An evenly spaced part of the test windows, channel after channel."""

    index: WindowIndex
    places: np.ndarray
    """[W] places among all test windows."""
    forecast_WH: np.ndarray
    """The run's own forecasts, float32."""

    def of(self, channel: int) -> slice:
        begin, end = np.searchsorted(self.index.channel, [channel, channel + 1])
        return slice(int(begin), int(end))


def _thinned(prepared: PreparedData, index: WindowIndex) -> _TestWindows:
    places = evenly_by_channel(index, most=most_cutoffs(prepared))
    kept = WindowIndex(index.channel[places], index.origin[places], 0)
    return _TestWindows(kept, places, np.empty((len(places), prepared.horizon), np.float32))


def _kept(folder: RunFolder, prepared: PreparedData, places: np.ndarray) -> np.ndarray:
    """The run's own forecasts [W, H] of some test windows."""
    most = len(prepared.windows("test"))
    path = folder.path / TEST_FORECASTS
    _, batches = read_parquet_in_batches(path, most_rows=most, most_values=most * (prepared.horizon + 2))
    forecast_WH, done = np.empty((len(places), prepared.horizon), np.float32), 0
    for batch in batches:
        here = (places >= done) & (places < done + len(batch))
        rows_BH = batch["yhat"].flatten().to_numpy(zero_copy_only=False).reshape(len(batch), -1)
        forecast_WH[here] = rows_BH[places[here] - done]
        done += len(batch)
    return forecast_WH


def _own_blocks(
    own: Forecaster,
    prepared: PreparedData,
    index: WindowIndex,
    on_progress: OnProgress,
    should_stop: ShouldStop,
    accelerator: Accelerator | None,
) -> Iterator[tuple[WindowIndex, np.ndarray]]:
    """Windows of a few channels with the own model's forecasts; every process takes part in these."""
    rows = max(_BLOCK_VALUES // prepared.horizon, EVALUATION_BATCH)
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
        yield part, bounded_forecast(own, prepared, part)
        begin = end
        seconds = max(time.monotonic() - started, 1e-6)
        ahead = evaluated_windows(len(prepared.table.channels))
        on_progress(replace(scoring_progress(end, len(index), seconds, ahead=ahead), fraction=1.0))  # after scoring


def _calibrated(
    models: ScoredModels,
    prepared: PreparedData,
    blocks: Iterator[tuple[WindowIndex, np.ndarray]],
    *,
    together: bool,
) -> dict[str, Calibration]:
    """Quantiles of every model, of each channel or of all channels `together`."""
    channels, horizon = len(prepared.table.channels), prepared.horizon
    actual = sliding_window_view(prepared.values, horizon, axis=0)
    found: dict[str, Calibration] = {}
    for name in (models.own.name, *models.others):
        most = (_MOST_OWN if name == models.own.name else _MOST_OTHER) // (channels * len(GRID))
        first_S = step_groups(horizon, most)
        quantile_NSG = np.full((channels, len(first_S), len(GRID)), np.nan, np.float32)
        found[name] = Calibration(np.zeros(channels, np.int64), first_S, quantile_NSG)
    scores: dict[str, list[np.ndarray]] = {name: [] for name in found}
    for part, own_WH in blocks:
        forecasts = {models.own.name: own_WH}
        forecasts |= {name: bounded_forecast(row, prepared, part) for name, row in models.others.items()}
        spread_W1, actual_WH = spreads(prepared, part)[:, None], actual[part.origin, part.channel]
        for name, forecast_WH in forecasts.items():
            score_WH = np.abs(actual_WH - forecast_WH) / spread_W1
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
    models: ScoredModels, prepared: PreparedData, test: _TestWindows, found: dict[str, Calibration]
) -> tuple[dict[tuple[str, str], CoverageSums], np.ndarray, list[tuple[float, float]]]:
    """Sums by model and method, the own quantiles at the end of the test part, and median errors of test and
    validation windows by channel."""
    own = models.own.name
    keys = [(own, ADAPTIVE), *((name, SPLIT) for name in found)]
    sums = {key: CoverageSums(np.asarray(prepared.scaler.scale), prepared.horizon) for key in keys}
    adapted_NSG, medians = found[own].quantile_NSG.copy(), []
    actual = sliding_window_view(prepared.values, prepared.horizon, axis=0)
    for channels in _alike(test, prepared.horizon):
        windows = [_Windows.of(models, prepared, test, channel, actual) for channel in channels]
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
                one.add(prepared, sums[name, SPLIT], name, flat_HL)
            middle = float(np.nanmedian(found[own].quantile_NSG[one.channel][:, GRID.index(50)]))
            medians.append((float(np.nanmedian(one.score_WH)), middle))
    return sums, adapted_NSG, medians


@dataclass(frozen=True)
class _Windows:
    """The test windows of one channel, with every model's forecasts."""

    channel: int
    index: WindowIndex
    actual_WH: np.ndarray
    forecasts: dict[str, np.ndarray]
    spread_W: np.ndarray
    score_WH: np.ndarray
    """The own model's absolute errors, in spreads."""

    @classmethod
    def of(
        cls, models: ScoredModels, prepared: PreparedData, test: _TestWindows, channel: int, actual: np.ndarray
    ) -> _Windows:
        rows = test.of(channel)
        index = test.index.part(rows.start, rows.stop)
        actual_WH, own_WH = actual[index.origin, index.channel], test.forecast_WH[rows].astype(np.float64)
        forecasts = {name: bounded_forecast(row, prepared, index) for name, row in models.others.items()}
        spread_W = spreads(prepared, index)
        score_WH = np.abs(actual_WH - own_WH) / spread_W[:, None]
        return cls(channel, index, actual_WH, forecasts | {models.own.name: own_WH}, spread_W, score_WH)

    def add(self, prepared: PreparedData, sums: CoverageSums, model: str, width_WHL: np.ndarray) -> None:
        """Add a model's bands, whose half-widths are in spreads."""
        half_WHL = width_WHL * self.spread_W[:, None, None]
        sums.add(self.channel, self.actual_WH, *ends(prepared, self.index, self.forecasts[model], half_WHL))


def _alike(test: _TestWindows, horizon: int) -> Iterator[list[int]]:
    """Channels, a few at a time, whose windows have the same origins."""
    group: list[int] = []
    for channel in np.unique(test.index.channel).tolist():
        same = group and np.array_equal(test.index.origin[test.of(channel)], test.index.origin[test.of(group[0])])
        if group and (not same or (len(group) + 1) * horizon > _COLUMNS):
            yield group
            group = []
        group.append(channel)
    if group:
        yield group


def _adapted(
    prepared: PreparedData, windows: list[_Windows], calibration: Calibration
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
    prepared: PreparedData, used: Calibration, test: _TestWindows, *, own: str, medians: list[tuple[float, float]]
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
