"""Finds the effect of columns known ahead, and whether it helps at all.

A regression of the values on the columns would take the season for the effect of a temperature, since both go
together. What counts is what a forecast cannot know from the past. So the errors of a linear forecast of the values are
regressed on the errors of the same forecast of the columns, at every step of the horizon: an error that comes with an
unforeseen column is the column's effect (Frisch and Waugh 1933 for errors on errors; Cochrane and Orcutt 1949 for
errors that follow a model of their own). The linear forecast is the plain ridge of all channels. It is found anew on
what is left, and both are found in turn, twice.

Weights are found for all channels together, on z-scores, and then for each channel, drawn to the shared ones. Penalties
are found as for every ridge (timellm.forecasters.ridge.solve). Which form of the columns is used, if any, three trials
on later stretches before the test part decide, as for the features of a ridge (timellm.forecasters.ridge.trials).

Shapes: S rows, N channels, W windows, B windows of a batch, L lags, H horizon, F numbers of a row, Q = B x F.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from timellm.config import KnownEffect
from timellm.data.effects import KnownEffects
from timellm.data.known_basis import MOST_NUMBERS, Form, KnownBasis, offered_forms
from timellm.data.prepared import PreparedData
from timellm.data.windows import WindowIndex
from timellm.forecasters.ridge.features import RidgeWindows
from timellm.forecasters.ridge.solve import Moments, Spectrum
from timellm.forecasters.ridge.trials import (
    FAR,
    TRIALS,
    better_than_first,
    enough_to_be_sure,
    judged_blocks,
    moments_of,
    of_channel,
    stretches,
)
from timellm.training.progress import OnProgress, Progress, ignore_progress

_ROUNDS = 2
"""Times that the linear forecast and the weights are found in turn; a third changed the fourth digit of the error."""
_MOST_LAGS = 512
"""Rows that the linear forecast reads: it serves to find weights, and longer ones take long."""
_MOST_WINDOWS = 8_000
"""Windows that the linear forecast is found on: 30,000 of them changed no decision and took twice as long."""
_MOST_POINTS, _FEWEST_WINDOWS = 120_000, 64
"""Points of all channels that weights are found on, and windows of one channel at least."""
_ERRORS = 1.645
"""Standard errors by which a form has to be better than none: for one comparison of independent windows 95 %."""
_MOST_ERRORS = 10_000_000
"""Errors of numbers that are held at once."""
_WORDS: dict[Form, str] = {
    "straight": "in proportion",
    "bent": "with bends and their mean over the last season",
    "by_time": "with bends, by the time of day or the day of the week",
}
Option = Form | Literal["off"]
_NONE: Literal["off"] = "off"


@dataclass(frozen=True)
class KnownChoice:
    """What was decided about columns known ahead."""

    effects: KnownEffects | None
    """None: they are not used."""
    facts: dict[str, Any] = field(default_factory=dict)
    """For the run's summary: JSON values."""
    notes: tuple[str, ...] = ()
    """What was decided, and why."""


def find_effects(prepared: PreparedData, *, on_progress: OnProgress = ignore_progress) -> KnownChoice:
    """Decide on the training and validation windows whether and how what is known ahead is used, and find its effect.

    Raises:
        DataError: the table has no training or validation window.
        ConfigError: the package holidays is needed and missing, or knows no such country.
    """
    names = [*(prepared.table.known.names if prepared.table.known else ()), *_holidays(prepared)]
    asked = prepared.config.task.known_effect
    if not names:
        return KnownChoice(None)
    listed = ", ".join(names)
    if asked == "off":
        return KnownChoice(None, {"known_effect": "off"}, (f"Known ahead, and not used as set: {listed}.",))
    started = time.monotonic()
    on_progress(Progress("loading", message=f"Finding the effect of what is known ahead: {listed}"))
    fit = _Fit(prepared.without_effects)
    forms, dropped = fit.forms(asked)
    notes = [
        f"The form '{form}' was not tried: it has {count:,} numbers a row, and {MOST_NUMBERS} are the most."
        for form, count in dropped.items()
    ]
    if not forms:
        return KnownChoice(None, {"known_effect": "off"}, (f"Known ahead, and not used: {listed}.", *notes))
    if asked != "auto":
        chosen: Option = forms[0]
        shares = dict[Option, float]()
        why = f"Known ahead: {listed}. Used {_WORDS[forms[0]]}, as set."
    else:
        chosen, shares = fit.choice(forms)
        why = _why(listed, chosen, shares)
    found = fit.effects(chosen) if chosen != _NONE else None
    facts: dict[str, Any] = {"known_effect": chosen, "known_seconds": time.monotonic() - started}
    if shares:
        facts["tried_known_effects"] = {str(name): share for name, share in shares.items()}
    return KnownChoice(found, facts, (why, *notes))


def _holidays(prepared: PreparedData) -> list[str]:
    code = prepared.config.data.known_holidays
    return [f"holidays of {code}"] if code else []


def _why(listed: str, chosen: Option, shares: dict[Option, float]) -> str:
    if not shares:
        return (
            f"Known ahead: {listed}. Not used, because the table is too short to find out whether they help; set"
            " known_effect=straight to use them all the same."
        )
    if chosen == _NONE:
        best = min(share for name, share in shares.items() if name != _NONE)
        return (
            f"Known ahead: {listed}. Not used: before the test part, no form of their effect made a linear forecast"
            f" surely better (the best had {best:.1%} of its squared error); set known_effect=bent to use them all the"
            " same."
        )
    return (
        f"Known ahead: {listed}. Their effect ({_WORDS[chosen]}) is taken off before anything is learned, and added to"
        f" every forecast: before the test part, that made the squared error of a linear forecast"
        f" {1 - shares[chosen]:.1%} smaller."
    )


class _Fit:
    """Weights of one table, for parts of its windows."""

    def __init__(self, prepared: PreparedData) -> None:
        self._prepared = prepared
        self._training, self._validation = prepared.windows("training"), prepared.windows("validation")
        self._lags = min(prepared.context, _MOST_LAGS)
        self._table = prepared.table
        self._numbers: dict[tuple[Form, int], np.ndarray] = {}
        self._bases: dict[Form, KnownBasis] = {}

    def forms(self, asked: KnownEffect) -> tuple[tuple[Form, ...], dict[Form, int]]:
        """The forms to try, the simplest first, and the sizes of those that are too large."""
        offered = offered_forms(self._table)
        if asked not in ("auto", "off"):
            offered = tuple(form for form in offered if form == asked) or offered[-1:]
        sizes = {form: self._basis(form).count for form in offered}
        kept = tuple(form for form in offered if sizes[form] <= MOST_NUMBERS)
        return kept, {form: size for form, size in sizes.items() if size > MOST_NUMBERS}

    def choice(self, forms: tuple[Form, ...]) -> tuple[Option, dict[Option, float]]:
        """The form that is surely better than none, or none; and the error of each as a share of that of none.

        No shares if the table is too short to choose.
        """
        parts = stretches(self._training, self._validation, horizon=self._prepared.horizon)
        if not enough_to_be_sure(judged_blocks(parts, horizon=self._prepared.horizon)):
            return _NONE, {}
        options: list[Option] = [_NONE, *forms]
        loss: dict[Option, list[np.ndarray]] = {option: [] for option in options}
        origin: list[np.ndarray] = []
        for number, (fitted, penalty, judged) in enumerate(TRIALS):
            sides = (_together(parts[:fitted]), parts[penalty])
            for option in options:
                seen, weights_FH = self._found(None if option == _NONE else option, *sides)
                windows = self._windows(seen)
                for batch in windows.batches(parts[judged]):
                    features_BF, target_BH = windows.features_and_targets(batch)
                    loss[option].append(np.square(features_BF @ weights_FH - target_BH).mean(axis=1))
            origin.append(parts[judged].origin + number * FAR)
        found = {option: np.concatenate(some) for option, some in loss.items()}
        horizon, none_W = self._prepared.horizon, found[_NONE]
        better = better_than_first(found, np.concatenate(origin), horizon=horizon, errors=_ERRORS)
        shares = {option: float(loss_W.mean() / none_W.mean()) for option, loss_W in found.items()}
        return min(better, key=lambda option: shares[option], default=_NONE), shares

    def effects(self, form: Form) -> KnownEffects:
        """The effect of one form, from all training windows with penalties by the validation windows."""
        seen, _ = self._found(form, self._training, self._validation)
        assert seen.effects is not None
        return seen.effects

    def _found(
        self, form: Form | None, training: WindowIndex, validation: WindowIndex
    ) -> tuple[PreparedData, np.ndarray]:
        """The table without the effect of a form, and the linear forecast [L + 1, H] of what is left."""
        training, validation = training.evenly(_MOST_WINDOWS), validation.evenly(_MOST_WINDOWS)
        seen = self._prepared
        weights_FH = self._linear(seen, training, validation)
        for _ in range(_ROUNDS if form else 0):
            assert form is not None
            seen = replace(seen, effects=self._regressed(form, seen, weights_FH, (training, validation)))
            weights_FH = self._linear(seen, training, validation)
        return seen, weights_FH

    def _windows(self, seen: PreparedData) -> RidgeWindows:
        return RidgeWindows(seen, ("plain",), lags=self._lags)

    def _linear(self, seen: PreparedData, training: WindowIndex, validation: WindowIndex) -> np.ndarray:
        windows = self._windows(seen)
        fitted, judged = (moments_of(windows, side, _ignore) for side in (training, validation))
        return Spectrum.of(fitted).solve(judged).weights_FH

    def _regressed(
        self, form: Form, seen: PreparedData, weights_FH: np.ndarray, sides: tuple[WindowIndex, WindowIndex]
    ) -> KnownEffects:
        """Weights by which the errors of a linear forecast follow from those of the columns."""
        basis, horizon = self._basis(form), self._prepared.horizon
        centre_F, spread_F = self._centre_and_spread(form)
        before_NF = (
            np.zeros((len(self._table.channels), basis.count))
            if seen.effects is None
            else seen.effects.weights_NF * spread_F / self._prepared.scaler.scale[:, None]
        )
        windows = self._windows(seen)
        most = max(1, _MOST_ERRORS // (basis.count * (horizon + self._lags)))
        channels = range(len(self._table.channels))
        sums: list[list[Moments]] = [[], []]
        for channel in channels:
            numbers_SF = (self._rows(form, channel) - centre_F) / spread_F
            for side, found in zip(sides, sums, strict=True):
                found.append(Moments.zero(basis.count, 1))
                mine = of_channel(side, channel)
                mine = mine.evenly(max(_FEWEST_WINDOWS, _MOST_POINTS // (horizon * len(channels))))
                for begin in range(0, len(mine), most):
                    batch = mine.part(begin, begin + most)
                    features_BF, target_BH = windows.features_and_targets(batch)
                    errors_BHF = _errors_of(numbers_SF, batch.origin, weights_FH[:-1], horizon=horizon)
                    # What the weights so far explain is put back: they are found anew, and not corrected.
                    wanted_BH = target_BH - features_BF @ weights_FH + errors_BHF @ before_NF[channel]
                    found[-1].add(errors_BHF.reshape(-1, basis.count), wanted_BH.reshape(-1, 1))
        training, validation = sums
        shared_F1 = Spectrum.of(Moments.total(training)).solve(Moments.total(validation)).weights_FH
        own = [
            Spectrum.of(one).solve_near(shared_F1, judged) if len(channels) > 1 else shared_F1
            for one, judged in zip(training, validation, strict=True)
        ]
        weights_NF = np.stack([weights_F1[:, 0] for weights_F1 in own])
        weights_NF = weights_NF / spread_F * self._prepared.scaler.scale[:, None]
        return KnownEffects(basis, self._table.channels, weights_NF, centre_F)

    def _basis(self, form: Form) -> KnownBasis:
        if form not in self._bases:
            holidays = self._prepared.config.data.known_holidays
            rows = self._prepared.split.train_end
            self._bases[form] = KnownBasis.of(self._table, form, training_rows=rows, holidays=holidays)
        return self._bases[form]

    def _rows(self, form: Form, channel: int) -> np.ndarray:
        """The numbers [S, F] of a channel in the table's rows; kept where all channels have the same."""
        shared = self._table.known is None or not self._table.known.by_channel
        key = (form, 0 if shared else channel)
        if key not in self._numbers:
            filled = self._table.known
            values_SNK = filled.filled(len(self._table.values), self._prepared.config.missing) if filled else None
            found = self._basis(form).rows(self._table, channel=channel, ahead=0, filled_SNK=values_SNK)
            if not shared:
                self._numbers.clear()  # those of very many channels would not fit
            self._numbers[key] = found
        return self._numbers[key]

    def _centre_and_spread(self, form: Form) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation [F] of the numbers over the training rows of all channels; 1 where they never change."""
        shared = self._table.known is None or not self._table.known.by_channel
        rows = self._prepared.split.train_end
        count, total, squares = 0, 0.0, 0.0
        for channel in range(1 if shared else len(self._table.channels)):
            numbers_SF = self._rows(form, channel)[:rows]
            numbers_SF = numbers_SF[~np.isnan(numbers_SF).any(axis=1)]
            count += len(numbers_SF)
            total, squares = total + numbers_SF.sum(axis=0), squares + np.square(numbers_SF).sum(axis=0)
        centre_F = np.asarray(total) / max(count, 1)
        spread_F = np.sqrt(np.clip(np.asarray(squares) / max(count, 1) - np.square(centre_F), 0, None))
        return centre_F, np.where(spread_F > 1e-9 * (1 + np.abs(centre_F)), spread_F, 1.0)


def _errors_of(numbers_SF: np.ndarray, origin_B: np.ndarray, weights_LH: np.ndarray, *, horizon: int) -> np.ndarray:
    """Errors [B, H, F] of the linear forecast of each number, as if it were a series; single precision, for speed."""
    lags, count = len(weights_LH), numbers_SF.shape[1]
    # The mean of the context is taken off and added again: that is a part of the map.
    whole_LH = (weights_LH + (1 - weights_LH.sum(axis=0)) / lags).astype(np.float32)
    windows_BFT = sliding_window_view(numbers_SF.astype(np.float32), lags + horizon, axis=0)[origin_B - lags]
    flat_QT = windows_BFT.reshape(-1, lags + horizon)  # one product of two matrices, not one for each window
    errors_QH = flat_QT[:, lags:] - flat_QT[:, :lags] @ whole_LH
    return errors_QH.reshape(len(origin_B), count, horizon).transpose(0, 2, 1).astype(np.float64)


def _together(parts: list[WindowIndex]) -> WindowIndex:
    return WindowIndex(np.concatenate([one.channel for one in parts]), np.concatenate([one.origin for one in parts]), 0)


def _ignore(_: int) -> None:
    """Nobody watches single windows here."""
