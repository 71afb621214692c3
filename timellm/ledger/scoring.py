"""How good a kept forecast was, on the moments that are known by now, and whether the backtest had promised better.

Inputs: the points of an entry (timellm.ledger.points). Outputs: `EntryScore`: a row for each channel and one for all.
Metrics are those of timellm.evaluation.metrics; the seasonal naive beside them was made from the context that the
forecast saw, when it was kept. An undefined number is NaN.

The promise is about the model's own numbers, so adjustments change nothing of it. They are scored on the points that
were adjusted, beside the model on the same points.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import numpy as np
import pandas as pd

from timellm.ledger.actuals import Arrival, Revision
from timellm.ledger.entry import Entry, bounds, levels
from timellm.ledger.folder import Ledger
from timellm.ledger.points import points
from timellm.ledger.promise import Judged, Promise

State = Literal["waiting", "due", "partly scored", "scored"]
ALL = "All channels"


@dataclass(frozen=True)
class AdjustmentScore:
    """Adjustments beside the model, on the points that were adjusted and are known."""

    points: int
    model: float
    """Mean absolute error of the model's numbers."""
    adjusted: float
    """Mean absolute error of the adjusted ones."""

    @property
    def change(self) -> float:
        """By which share the adjustments changed the error: -0.1 is a tenth better; NaN where the model had none."""
        return self.adjusted / self.model - 1 if self.model > 0 else float("nan")


@dataclass(frozen=True)
class Score:
    """One channel, or all of them."""

    channel: str
    known: int
    """Points whose actual value is known."""
    of: int
    mae: float
    naive_mae: float
    """That of the seasonal naive, on the known points that it has a forecast of."""
    skill: float
    """1 - MAE / MAE of the seasonal naive, on those points; above 0 is better than it."""
    mase: float
    coverage: Mapping[float, float]
    """Level in percent -> share of the known points within its bounds."""
    judged: Judged
    adjusted: AdjustmentScore | None
    """None where nothing was adjusted, or nothing of it is known yet."""


@dataclass(frozen=True)
class EntryScore:
    """What can be said of a kept forecast by now."""

    entry: Entry
    state: State
    overall: Score
    channels: tuple[Score, ...]
    revised: tuple[Revision, ...]
    """Values of the context that are other ones in the newest table."""
    revised_actuals: int
    """Actual values that are other ones than those which came first; the newest are scored."""
    arrivals: tuple[Arrival, ...]
    adjustments: int
    """How often something was adjusted."""

    @property
    def below_promise(self) -> bool:
        """Whether the error is above that of 95 in 100 test windows."""
        return self.overall.judged.above is True

    @property
    def newest_file(self) -> str:
        """The newest table that a new run can be fitted on; empty where there is none."""
        files = [one.source.path for one in self.arrivals if one.source.path]
        return files[-1] if files else ""


def score(ledger: Ledger, entry_id: str, *, now: datetime | None = None) -> EntryScore:
    """Score one entry on what is known of it.

    Raises:
        LedgerError: there is no such entry, or it is damaged.
    """
    entry = ledger.entry(entry_id)
    rows, promise, arrivals = points(ledger, entry), ledger.promise(entry), ledger.arrivals(entry_id)
    first = rows["y_first"].to_numpy(np.float64)
    return EntryScore(
        entry=entry,
        state=_state(entry, rows, arrivals, now or datetime.now(UTC)),
        overall=_score(ALL, rows, entry, promise),
        channels=tuple(_score(str(name), rows[rows["unique_id"] == name], entry, promise) for name in entry.channels),
        revised=arrivals[-1].revised if arrivals else (),
        revised_actuals=int((rows["y"].notna() & ~np.isclose(rows["y"], first, rtol=1e-9, atol=0)).sum()),
        arrivals=arrivals,
        adjustments=len(ledger.adjustments(entry_id)),
    )


def _state(entry: Entry, rows: pd.DataFrame, arrivals: tuple[Arrival, ...], now: datetime) -> State:
    known = rows["y"].notna()
    if known.all() or (known.any() and max(one.until for one in arrivals) >= entry.end):
        return "scored"
    if known.any():
        return "partly scored"
    moment = pd.Timestamp(now.replace(tzinfo=None))
    return "due" if rows["ds"].min() <= moment else "waiting"


def _score(name: str, rows: pd.DataFrame, entry: Entry, promise: Promise | None) -> Score:
    known = rows[rows["y"].notna()]
    error = (known["y"] - known["yhat"]).abs()
    naive = (known["y"] - known["seasonal_naive"]).abs()
    both = naive.notna()
    naive_mae = _mean(naive[both])
    divisor = known["unique_id"].map(lambda one: entry.naive_errors.get(one)).astype("float64")
    defined = divisor > 0
    coverage = {}
    for level in levels(tuple(rows.columns)):
        low, high = (known[column] for column in bounds(level))
        banded = low.notna() & high.notna()
        inside = (known["y"] >= low) & (known["y"] <= high)
        coverage[level] = _mean(inside[banded].astype("float64"))
    return Score(
        channel=name,
        known=len(known),
        of=len(rows),
        mae=_mean(error),
        naive_mae=naive_mae,
        skill=1 - _mean(error[both]) / naive_mae if naive_mae > 0 else float("nan"),
        mase=_mean(error[defined] / divisor[defined]),
        coverage=coverage,
        judged=_judged(known.assign(error=error), entry, promise),
        adjusted=_adjusted(known),
    )


def _judged(known: pd.DataFrame, entry: Entry, promise: Promise | None) -> Judged:
    nothing = float("nan")
    if promise is None:
        return Judged(nothing, nothing, nothing, nothing, 0, 0.0, "the run has no scored test windows")
    channels = [name for name in entry.channels if (known["unique_id"] == name).any()] or list(entry.channels[:1])
    error_NH = np.full((len(channels), entry.horizon), np.nan)
    number = known["unique_id"].map({name: place for place, name in enumerate(channels)}).to_numpy(np.int64)
    error_NH[number, known["step"].to_numpy() - 1] = known["error"].to_numpy()
    return promise.judge(error_NH, channels=channels)


def _adjusted(known: pd.DataFrame) -> AdjustmentScore | None:
    mine = known[known["adjusted"].notna()]
    if mine.empty:
        return None
    model, adjusted = (mine["y"] - mine["yhat"]).abs(), (mine["y"] - mine["adjusted"]).abs()
    return AdjustmentScore(len(mine), _mean(model), _mean(adjusted))


def _mean(values: pd.Series) -> float:
    return float(values.mean()) if len(values) else float("nan")
