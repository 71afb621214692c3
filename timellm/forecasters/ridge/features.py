"""What a ridge reads of a window: its features, z-scored by channel, in float64.

- plain: the last L values of the context without their mean, and their deviation, which serves as intercept: on windows
  divided by their deviation it is a column of ones. Windows are weighted by their deviation, so that the z-scored error
  is made small; that undoes the division, so nothing is divided at all. Without these weights the map is unstable on
  tables whose windows differ in size by orders of magnitude.
- level: also the mean that was taken off, and a one. A series that returns to its usual level is forecast better; the
  level of one that drifts (a price) misleads.
- calendar: also one column for each hour of the week, day of the week or month at which a forecast begins, whichever
  fits the step between rows. In each window one column of a kind holds the deviation and the others 0, so that it is an
  intercept of its own.

Beside these kinds, columns of the other channels tell how every channel moved just before the forecast begins
(timellm.forecasters.ridge.recent).

Order of the columns: lags, calendar, level, other channels, deviation. Targets are without the mean of their context.

A fit sees columns that are multiplied by `scale_F`, which says how easily each gets a large weight.

Shapes: B windows of a batch, L lags, H horizon, C columns of the calendar, F features of all kinds.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import pandas as pd

from timellm.config import LinearFeatures, LinearPenalty
from timellm.data.calendar import calendar_ones, grain_of, row_starts
from timellm.data.gaps import Past
from timellm.data.prepared import PreparedData
from timellm.data.seasonality import found_seasons
from timellm.data.windows import WindowIndex
from timellm.forecasters.ridge import limits
from timellm.forecasters.ridge.recent import Recent
from timellm.forecasters.simple_rules import Rule, rules_for

_HALF_AGE = 24
"""Rows: at this age the penalty is twice that of a row just before the forecast begins, with `by_age`."""


class RidgeWindows:
    """Cuts the features of one or several kinds out of one table's windows."""

    def __init__(
        self,
        prepared: PreparedData,
        kinds: tuple[LinearFeatures, ...],
        *,
        lags: int | None = None,
        penalty: LinearPenalty = "even",
        recent: Recent | None = None,
    ) -> None:
        """`lags` are those of a map that was found before; `recent` tells of the other channels."""
        self._prepared = prepared
        self._past: Past = prepared.scaled_past
        self.horizon = prepared.horizon
        self.lags = min(prepared.context, limits.MOST_LAGS) if lags is None else lags
        self._grain = grain_of(prepared.table.offset) if "calendar" in kinds else "none"
        self._starts = row_starts(prepared.table, 1) if self._grain != "none" else pd.DatetimeIndex([])
        self.calendar = calendar_ones(self._starts[:1], self._grain).shape[1]
        self.level = limits.LEVEL_COLUMNS if "level" in kinds else 0
        self._moved = recent.on(prepared) if recent else None
        self.recent = len(recent.usual_R) if recent else 0
        self.count = self.lags + self.calendar + self.level + self.recent + 1
        self.scale_F = np.ones(self.count)
        if penalty == "by_age":
            self.scale_F[: self.lags] = (1 + np.arange(self.lags, 0, -1) / _HALF_AGE) ** -0.5
        # A column that speaks for a whole context weighs as much as all its rows: a penalty would else remove it first.
        told = slice(self.lags, self.lags + self.calendar + self.level)
        self.scale_F[told] = np.sqrt(np.square(self.scale_F[: self.lags]).sum())
        self._is_scaled = bool((self.scale_F != 1).any())  # a plain ridge saves the pass

    def columns(self, kind: LinearFeatures, *, others: bool = False) -> np.ndarray:
        """The columns of one kind among all of them, with those of the other channels or without."""
        extra = {"calendar": (0, self.calendar), "level": (self.calendar, self.calendar + self.level)}.get(kind, (0, 0))
        told = np.r_[: self.lags, self.lags + extra[0] : self.lags + extra[1]]
        return np.r_[told, self.columns_of_others if others else (), self.count - 1].astype(np.intp)

    @property
    def columns_of_others(self) -> np.ndarray:
        """The columns that tell of the other channels."""
        return np.arange(self.count - 1 - self.recent, self.count - 1)

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The simple rules that are linear in the lags, with the seasons of the training rows."""
        seasons = found_seasons(self._prepared.training_values, frequency=self._prepared.table.frequency)
        rules = rules_for(seasons, context=self.lags, positive=False)
        return tuple(rule for rule in rules if rule.past_rows <= self.lags)

    def batches(self, index: WindowIndex, *, maps: int = 1) -> Iterator[WindowIndex]:
        """The windows of an index in parts that take little memory, with the errors of so many maps beside them."""
        size = max(1, limits.BATCH_VALUES // (self.count + maps * self.horizon))
        return (index.part(begin, begin + size) for begin in range(0, len(index), size))

    def features(self, index: WindowIndex) -> tuple[np.ndarray, np.ndarray]:
        """Features [B, F] and means [B, 1]."""
        rows_BL = index.origin[:, None] + np.arange(-self.lags, 0)
        context_BL = self._past.before(index.origin, channel=index.channel, rows_WK=rows_BL)
        mean_B1 = context_BL.mean(axis=1, keepdims=True)
        features_BF = np.empty((len(index), self.count))
        centred_BL = np.subtract(context_BL, mean_B1, out=features_BF[:, : self.lags])
        deviation_B = np.sqrt(np.square(centred_BL).mean(axis=1))
        if self.calendar:
            ones_BC = calendar_ones(self._starts[index.origin], self._grain)
            features_BF[:, self.lags : self.lags + self.calendar] = ones_BC * deviation_B[:, None]
        if self.level:
            begin = self.lags + self.calendar
            features_BF[:, begin : begin + self.level] = np.hstack([mean_B1, np.ones_like(mean_B1)])
        if self._moved:
            features_BF[:, self.columns_of_others] = self._moved(index.origin)
        features_BF[:, -1] = deviation_B
        return features_BF, mean_B1

    def features_and_targets(self, index: WindowIndex) -> tuple[np.ndarray, np.ndarray]:
        """Features [B, F], scaled for a fit, and targets [B, H] without the mean of their context."""
        features_BF, mean_B1 = self.features(index)
        rows_BH = index.origin[:, None] + np.arange(self.horizon)
        target_BH = self._past.values_NR[index.channel[:, None], rows_BH] - mean_B1
        if self._is_scaled:
            features_BF *= self.scale_F
        return features_BF, target_BH
