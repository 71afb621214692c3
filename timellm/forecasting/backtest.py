"""A backtest of a finished run: where its errors are, on cut-offs of your choice, and its best and worst windows.

Inputs: a run's folder, of any version: the stored forecasts of its test windows. Outputs: `Backtest`. Nothing is
trained or forecast anew but the best simple forecast beside it, and a choice of cut-offs is exact: it takes windows
from those that the run scored.

Shapes: W windows, H horizon.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

from timellm.data.prepared import PreparedData
from timellm.data.season import season_length
from timellm.data.windows import WindowIndex
from timellm.errors import ConfigError
from timellm.evaluation.accumulator import ForecastBatch
from timellm.evaluation.breakdown import Breakdown, Keys
from timellm.evaluation.leaderboard import best_naive, leaderboard
from timellm.evaluation.metrics import BROKEN_DOWN, METRICS
from timellm.evaluation.windows import Reference
from timellm.forecasting.artifacts import RunFolder

_BATCH = 4096


@dataclass(frozen=True)
class Cutoffs:
    """Which cut-offs of the test part count: every `step` rows back from the last one, at most `count` of them."""

    step: int = 1
    count: int | None = None

    def __post_init__(self) -> None:
        """Refuse what is no choice.

        Raises:
            ConfigError: a number is below 1.
        """
        if self.step < 1 or (self.count is not None and self.count < 1):
            raise ConfigError("a backtest has a step of 1 row or more, and 1 cut-off or more")

    def among(self, origin_W: np.ndarray) -> np.ndarray:
        """Places of the windows that count, by the row of each one's first forecast step."""
        back_W = int(origin_W.max()) - origin_W if len(origin_W) else origin_W
        kept_W = back_W % self.step == 0
        if self.count is not None:
            kept_W &= back_W // self.step < self.count
        return np.flatnonzero(kept_W)


LAST_HORIZON = Cutoffs(count=1)
"""The last horizon alone: what would the last rows have looked like?"""


@dataclass(frozen=True)
class Backtest:
    """What a run's errors come to on some cut-offs."""

    own: str
    naive: str | None
    """The best simple forecast of all test windows; None where the run keeps none."""
    by: dict[str, pd.DataFrame]
    """Dimension -> rows with columns model, the dimension, every metric but OWA, and points."""
    overall: dict[str, dict[str, float]]
    """Model -> metric -> error."""
    windows: pd.DataFrame
    """A row a window: channel, cutoff (last moment before it), begin, end, and the own error by every metric."""
    naive_windows: pd.DataFrame
    """The simple forecast's errors in the same rows; empty if there is none."""
    cutoffs: int
    horizon: int
    frequency: str

    def worst(self, metric: str, *, most: int = 5, best: bool = False) -> pd.DataFrame:
        """The windows with the largest own errors, or the smallest, that share no forecast step with one another.

        Columns channel, cutoff, begin, end, error, naive. Windows of one channel that overlap tell the same story.

        Raises:
            ConfigError: there is no such metric, or none for windows.
        """
        check_metric(metric)
        size = self.windows[metric].abs() if METRICS[metric].signed else self.windows[metric]
        order = size.dropna().sort_values(ascending=best, kind="stable").index
        chosen: list[int] = []
        taken: dict[str, list[int]] = {}
        for place in order:
            channel, origin = self.windows.at[place, "channel"], int(self.windows.at[place, "origin"])
            if all(abs(origin - other) >= self.horizon for other in taken.get(channel, [])):
                taken.setdefault(channel, []).append(origin)
                chosen.append(place)
            if len(chosen) == most:
                break
        rows = self.windows.loc[chosen, ["channel", "cutoff", "begin", "end"]].assign(error=self.windows[metric])
        naive = self.naive_windows[metric] if self.naive else np.nan
        return rows.assign(naive=naive).reset_index(drop=True)

    def rows_by(self, dimension: str) -> pd.DataFrame:
        """The rows of one dimension.

        Raises:
            ConfigError: all forecast moments are of one hour, weekday or month, or there is no such dimension.
        """
        if dimension not in self.by:
            raise ConfigError(
                f"the run's errors cannot be shown by {dimension}: all its rows are of one; choose one of"
                f" {', '.join(self.by)}"
            )
        return self.by[dimension]

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe but for NaN and timestamps."""
        return {
            "own": self.own,
            "naive": self.naive,
            "windows": len(self.windows),
            "cutoffs": self.cutoffs,
            "overall": self.overall,
            "by": {name: frame.to_dict("records") for name, frame in self.by.items()},
        }


def check_metric(metric: str) -> None:
    """Refuse a metric that is not worked out by key.

    Raises:
        ConfigError: there is no such metric, or none for windows.
    """
    if metric not in METRICS:
        raise ConfigError(f"there is no metric '{metric}'; choose one of {', '.join(BROKEN_DOWN)}")
    if metric not in BROKEN_DOWN:
        raise ConfigError(
            f"{METRICS[metric].short} is not worked out by window; choose one of {', '.join(BROKEN_DOWN)}"
        )


def backtest(folder: RunFolder, cutoffs: Cutoffs | None = None) -> Backtest:
    """The errors of a finished run on some cut-offs of its test part; on all of them when not given.

    Raises:
        CheckpointError: a file of the run is missing or damaged.
    """
    prepared, scores = folder.prepared(), folder.scores()
    index, forecast_WH = folder.test_windows(prepared)
    rows = (cutoffs or Cutoffs()).among(index.origin)
    reference = Reference.of(prepared, season=scores.scored.season or season_length(prepared.table.frequency))
    quick = folder.quick()
    naive = best_naive(leaderboard(scores, "mae"))
    naive = naive if naive in quick.rows else None
    keys = Keys.of(prepared.table.values.index, channels=prepared.table.channels, horizon=prepared.horizon)
    breakdown = Breakdown(keys, reference)
    actual = sliding_window_view(prepared.table.values.to_numpy(np.float64), prepared.horizon, axis=0)
    for begin in range(0, len(rows), _BATCH):
        some = rows[begin : begin + _BATCH]
        part = WindowIndex(index.channel[some], index.origin[some], 0)
        forecasts = {scores.own: forecast_WH[some]}
        if naive:
            forecasts[naive] = quick.rows[naive].predict(prepared, part)
        breakdown.add(ForecastBatch(part.channel, part.origin, actual[part.origin, part.channel], forecasts))
    models = (scores.own, naive) if naive else (scores.own,)
    return Backtest(
        own=scores.own,
        naive=naive,
        by=breakdown.frames(),
        overall={model: breakdown.overall(model) for model in models},
        windows=_windows(prepared, WindowIndex(index.channel[rows], index.origin[rows], 0)).assign(
            **{metric: breakdown.window_errors(scores.own, metric) for metric in BROKEN_DOWN}
        ),
        naive_windows=pd.DataFrame(
            {metric: breakdown.window_errors(naive, metric) for metric in BROKEN_DOWN} if naive else {}
        ),
        cutoffs=len(np.unique(index.origin[rows])),
        horizon=prepared.horizon,
        frequency=prepared.table.frequency,
    )


def _windows(prepared: PreparedData, index: WindowIndex) -> pd.DataFrame:
    moments, channels = prepared.table.values.index, np.array(prepared.table.channels, object)
    return pd.DataFrame(
        {
            "channel": channels[index.channel],
            "origin": index.origin,
            "cutoff": moments[index.origin - 1],
            "begin": moments[index.origin],
            "end": moments[index.origin + prepared.horizon - 1],
        }
    )
