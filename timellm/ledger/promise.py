"""What the backtest promised: the errors of a run's test windows, by which the error of a kept forecast is judged.

Inputs: the forecasts of the test windows and what came. Outputs: `Promise`, which is kept with the forecast, and
`Judged`: whether an error is larger than that of 95 in 100 test windows at the same steps of the same channels.

Errors of several channels are added up in units of each channel's own mean test error, so that a channel of large
numbers does not decide alone. Windows of the test part overlap, so that fewer are independent than there are; how many
would not overlap is said beside the result.

Shapes: W origins, N channels, H horizon.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa

LIMIT = 0.95
"""Share of the test windows whose error is smaller than the limit."""
FEWEST = 20
"""Test windows without which nothing is said: the 95th of 100 cannot be told from fewer."""
_MOST_ORIGINS = 256
_MOST_VALUES = 2_000_000
"""Of all errors that are kept: 8 MB."""


@dataclass(frozen=True)
class Judged:
    """One error beside those of the test windows."""

    promised: float
    """Mean absolute error of the test windows at the same steps; NaN where there are none."""
    limit: float
    """The mean absolute error that 95 in 100 test windows stay below; NaN where that is not known."""
    ratio: float
    """The error in units of the promised one; NaN where that is not known."""
    limit_ratio: float
    """The ratio that 95 in 100 test windows stay below."""
    windows: int
    independent: float
    """How many windows that do not overlap would cover the same rows."""
    reason: str
    """Why nothing can be said; empty where something can."""

    @property
    def above(self) -> bool | None:
        """Whether the error is above the limit; None where that cannot be said."""
        return None if np.isnan(self.limit_ratio) or np.isnan(self.ratio) else self.ratio > self.limit_ratio


@dataclass(frozen=True)
class Promise:
    """Absolute errors of test windows."""

    channels: tuple[str, ...]
    origin_W: np.ndarray
    error_WNH: np.ndarray
    """NaN where a window is missing or nothing was measured."""

    @classmethod
    def of(
        cls, channels: tuple[str, ...], *, channel_V: np.ndarray, origin_V: np.ndarray, error_VH: np.ndarray
    ) -> Self:
        """From windows V, each named by its channel's number and its origin; at most 256 origins, evenly spread."""
        horizon = error_VH.shape[1]
        origins = np.unique(origin_V)
        most = max(FEWEST, min(_MOST_ORIGINS, _MOST_VALUES // max(1, horizon * len(channels))))
        if len(origins) > most:
            origins = origins[np.linspace(0, len(origins) - 1, most).round().astype(int)]
        error_WNH = np.full((len(origins), len(channels), horizon), np.nan, np.float32)
        kept = np.isin(origin_V, origins)
        error_WNH[np.searchsorted(origins, origin_V[kept]), channel_V[kept]] = error_VH[kept]
        return cls(channels, origins, error_WNH)

    def to_arrow(self) -> pa.Table:
        """One row an origin and channel: unique_id, origin, error [H]."""
        windows, channels, horizon = self.error_WNH.shape
        flat = pa.array(self.error_WNH.astype(np.float32).ravel())
        names = pa.array(np.tile(np.arange(channels), windows), pa.int32())
        return pa.table(
            {
                "unique_id": pa.DictionaryArray.from_arrays(names, pa.array(self.channels, pa.string())),
                "origin": pa.array(np.repeat(self.origin_W, channels), pa.int64()),
                "error": pa.FixedSizeListArray.from_arrays(flat, horizon),
            }
        )

    @classmethod
    def from_arrow(cls, rows: pa.Table, *, channels: tuple[str, ...], horizon: int) -> Self:
        """Inverse of `to_arrow`.

        Raises:
            ValueError, KeyError: the rows are not those of these channels and this horizon.
        """
        flat = rows["error"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        origin = rows["origin"].to_numpy()
        if len(flat) != len(rows) * horizon or len(rows) % len(channels):
            raise ValueError("its errors do not fit channels and horizon")
        if rows["unique_id"].to_pylist() != list(channels) * (len(rows) // len(channels)):
            raise ValueError("its rows are not in the order of the channels")
        return cls(channels, origin[:: len(channels)], flat.reshape(-1, len(channels), horizon).astype(np.float64))

    def judge(self, error_NH: np.ndarray, *, channels: Sequence[str]) -> Judged:
        """Judge absolute errors [N, H] of some of the channels, NaN where nothing is known yet.

        The windows are looked at where the errors are known, and only those that are known there as well.
        """
        known_NH = ~np.isnan(error_NH)
        numbers = [self.channels.index(name) for name in channels]
        all_WNH = self.error_WNH[:, numbers]
        whole_W = ~(np.isnan(all_WNH) & known_NH).any(axis=(1, 2))
        part_WNH = np.where(known_NH, all_WNH[whole_W], np.nan)
        count, independent = int(whole_W.sum()), self._independent(whole_W)
        if not known_NH.any():
            return _unknown("nothing is known yet", count, independent)
        if count < FEWEST:
            why = f"the backtest has {count:,} whole windows at these steps, and it takes {FEWEST}"
            return _unknown(why, count, independent)
        some_N = known_NH.any(axis=1)
        mean_N = np.nanmean(part_WNH[:, some_N], axis=(0, 2))
        if not (mean_N > 0).all():
            return _unknown(
                "the backtest has no error at all in a channel, so no error can be measured by it", count, 0
            )
        ratio_W = np.nanmean(part_WNH[:, some_N] / mean_N[:, None], axis=(1, 2))
        ratio = float(np.nanmean(error_NH[some_N] / mean_N[:, None]))
        limit_ratio = float(np.quantile(ratio_W, LIMIT))
        weights_N = known_NH[some_N].sum(axis=1)
        promised = float(np.average(mean_N, weights=weights_N))
        # Only of a single channel is the limit a number in units of the data.
        limit = limit_ratio * promised if len(mean_N) == 1 else float("nan")
        return Judged(promised, limit, ratio, limit_ratio, count, independent, "")

    def _independent(self, whole_W: np.ndarray) -> float:
        origins = self.origin_W[whole_W]
        if not len(origins):
            return 0.0
        horizon = self.error_WNH.shape[2]
        return min(float(origins.max() - origins.min() + horizon) / horizon, float(len(origins)))


def _unknown(reason: str, windows: int, independent: float) -> Judged:
    nothing = float("nan")
    return Judged(nothing, nothing, nothing, nothing, windows, independent, reason)
