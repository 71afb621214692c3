"""How far forecasts move when prototypes or patches are taken from the attention, in several orders.

Inputs: forecasts' movements by order, number removed and window. Outputs: their means with intervals, ratios and areas.

Windows that begin within one horizon of each other share actual values, so that they are no independent evidence:
intervals come from a bootstrap that draws whole blocks of them, as timellm.training.gain counts them.

Shapes: O orders, K numbers removed, W windows, S bootstrap samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

Unit = Literal["prototypes", "patches"]
MOST, LEAST, RANDOM = "most attended", "least attended", "random"
MAIN_SHARE = 0.1
"""The share of prototypes, and of patches, by which the answer goes."""
SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.8, 0.9, 0.95, 0.99)
DRAWS_AT_MAIN, DRAWS = 19, 5
"""Random orders: at the main share 19, so that attention that says nothing beats all of them once in 20 runs."""
_SAMPLES, _SEED = 2000, 0


@dataclass(frozen=True)
class Interval:
    """A number with its 95 % interval; NaN where it is not known."""

    value: float
    low: float
    high: float

    def above(self, bound: float) -> bool:
        """Whether the whole interval lies above a bound; never if it is not known."""
        return self.low > bound


class Blocks:
    """Windows in blocks that share no actual value, to be drawn again and again."""

    LEAST = 5
    """Fewer blocks give no interval."""

    def __init__(self, origin_W: np.ndarray, *, horizon: int) -> None:
        _, block_W = np.unique((origin_W - origin_W.min()) // horizon, return_inverse=True)
        self.count = int(block_W.max()) + 1
        drawn = np.random.default_rng(_SEED).multinomial(self.count, np.full(self.count, 1 / self.count), _SAMPLES)
        self._times_SW = drawn[:, block_W].astype(np.float64)

    def mean(self, value_W: np.ndarray) -> Interval:
        """Mean of a number over windows; windows where it is NaN are left out."""
        return self.ratio(np.where(np.isfinite(value_W), value_W, 0.0), np.isfinite(value_W).astype(np.float64))

    def ratio(self, above_W: np.ndarray, below_W: np.ndarray) -> Interval:
        """Mean of one number by the mean of another one."""
        below = float(below_W.mean())
        value = float(above_W.mean()) / below if below else np.nan
        if self.count < self.LEAST or not below:
            return Interval(value, np.nan, np.nan)
        below_S = self._times_SW @ below_W
        drawn_S = (self._times_SW @ above_W)[below_S > 0] / below_S[below_S > 0]
        low, high = np.quantile(drawn_S, (0.025, 0.975))
        return Interval(value, float(low), float(high))


def numbers_removed(total: int) -> np.ndarray:
    """How many of `total` are removed, [K], from one to all but one: those next to `SHARES`, each once."""
    return np.unique([number_of(share, total) for share in SHARES])


def number_of(share: float, total: int) -> int:
    """How many of `total` a share is: at least one, and never all."""
    return min(max(round(share * total), 1), total - 1)


@dataclass(frozen=True)
class Removals:
    """Movements of forecasts without some prototypes or patches."""

    unit: Unit
    total: int
    """How many there are."""
    removed_K: np.ndarray
    orders: tuple[str, ...]
    """MOST, LEAST, and RANDOM once for each draw."""
    moved_OKW: np.ndarray
    """Root mean square over the horizon of what the forecast moves by, as a share of the forecasts' own deviation. NaN
    where a draw was not worked out."""
    error_OKW: np.ndarray
    """Change of the mean absolute error, as a share of the mean error of all windows with nothing removed. NaN where
    actual values are missing."""
    blocks: Blocks

    @property
    def main(self) -> int:
        """Where in `removed_K` the main share is."""
        return int(np.flatnonzero(self.removed_K == number_of(MAIN_SHARE, self.total))[0])

    def of(self, order: str, *, error: bool = False) -> np.ndarray:
        """Movements, or changes of the error, [K, W] of one order; the mean of all random draws."""
        chosen = [name == order for name in self.orders]
        values_OKW = (self.error_OKW if error else self.moved_OKW)[chosen]
        taken_OK1 = np.isfinite(self.moved_OKW[chosen]).any(axis=2, keepdims=True)
        return np.where(taken_OK1, values_OKW, 0).sum(axis=0) / taken_OK1.sum(axis=0)

    def ratio(self, order: str = MOST) -> Interval:
        """How far the first ones of an order move the forecast, by how far random ones do, at the main share."""
        return self.blocks.ratio(self.of(order)[self.main], self.of(RANDOM)[self.main])

    def beaten(self) -> tuple[int, int]:
        """How many random draws move the forecast less than the most attended ones at the main share, of how many."""
        mean_O = self.moved_OKW[:, self.main].mean(axis=1)
        draws = [mean for name, mean in zip(self.orders, mean_O, strict=True) if name == RANDOM and np.isfinite(mean)]
        return int(sum(mean < mean_O[self.orders.index(MOST)] for mean in draws)), len(draws)

    def stands_out(self) -> bool:
        """Whether the most attended ones surely matter more than random ones: for windows and for draws."""
        beaten, draws = self.beaten()
        return beaten == draws and self.ratio().above(1)

    def area(self, order: str) -> float:
        """Area under the deletion curve of an order: the mean movement while from none to all but one are removed."""
        removed = np.concatenate([[0], self.removed_K]) / (self.total - 1)
        return float(np.trapezoid(np.concatenate([[0.0], self.of(order).mean(axis=1)]), removed))

    def frame(self) -> pd.DataFrame:
        """One row for an order and a number removed.

        `low` and `high` are the 95 % interval over windows, and for random orders the lowest and highest draw.
        """
        rows = []
        for order in (MOST, RANDOM, LEAST):
            for k, removed in enumerate(self.removed_K):
                row = {"unit": self.unit, "order": order, "removed": int(removed), "share": removed / self.total}
                for name, values_OKW in (("moved", self.moved_OKW), ("error", self.error_OKW)):
                    found = self._interval(order, k, values_OKW, error=name == "error")
                    row |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
                rows.append(row)
        return pd.DataFrame(rows)

    def _interval(self, order: str, k: int, values_OKW: np.ndarray, *, error: bool) -> Interval:
        value_W = self.of(order, error=error)[k]
        if order != RANDOM:
            return self.blocks.mean(value_W)
        taken = [i for i, name in enumerate(self.orders) if name == RANDOM and np.isfinite(self.moved_OKW[i, k]).any()]
        mean_R = values_OKW[taken, k].mean(axis=1)
        return Interval(float(value_W.mean()), float(mean_R.min()), float(mean_R.max()))
