"""What was scored: the windows, named by a digest, and what their errors are measured against.

Inputs: the prepared table and the list of windows. Outputs: `ScoredWindows`, which goes into every file of scores, and
`Reference`. Two runs may be compared window by window when their digests are equal. The context does not count: runs
that see more or less of the past forecast the same windows.

Shapes: R rows, N channels, W windows, H horizon.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from timellm.evaluation.metrics import seasonal_naive_error

if TYPE_CHECKING:
    from timellm.data.prepared import PreparedData
    from timellm.data.table import Table
    from timellm.data.windows import WindowIndex

NEAR_ZERO = 0.01
"""A value below this share of its channel's mean absolute value counts as near zero."""
_DIGITS = 16


@dataclass(frozen=True)
class ScoredWindows:
    """The windows that a file of scores is about."""

    window_set: str
    """Digest of the windows; empty for scores of earlier versions, which had none."""
    fold: str
    """Which part or fold of a backtest; "test" is the test part."""
    windows: int
    cutoffs: int
    """Different origins among the windows."""
    first_origin: int
    """Row of the first forecast step of the earliest window."""
    span: int
    """Rows from the first forecast step of the earliest window to the last step of the latest one."""
    horizon: int
    season: int
    """Season of MASE, in rows; 0 where it is not known."""
    season_name: str
    """The season in words, such as "week"."""
    near_zero: float | None
    """Share of the scored values that are zero or near zero (`NEAR_ZERO`); None where it is not known."""

    @classmethod
    def of(
        cls, prepared: PreparedData, index: WindowIndex, *, season: int, season_name: str = "", fold: str = "test"
    ) -> Self:
        """Describe the windows `index` of a table, at least one; `season` is MASE's, in rows."""
        horizon = prepared.horizon
        first, last = int(index.origin.min()), int(index.origin.max())
        scored_RN = prepared.table.values.to_numpy(np.float64)[first : last + horizon, np.unique(index.channel)]
        return cls(
            window_set=window_set(prepared.table, index, horizon=horizon),
            fold=fold,
            windows=len(index),
            cutoffs=len(np.unique(index.origin)),
            first_origin=first,
            span=last - first + horizon,
            horizon=horizon,
            season=season,
            season_name=season_name or f"{season:,} rows",
            near_zero=near_zero_share(scored_RN),
        )

    @property
    def independent(self) -> float:
        """How many windows that do not overlap would cover the same rows, and no more than there are cut-offs."""
        return min(self.span / self.horizon, float(self.cutoffs)) if self.horizon else 0.0

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe."""
        return asdict(self)

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`.

        Raises:
            KeyError, TypeError, ValueError: a field is missing or of another kind.
        """
        texts: dict[str, Any] = {name: str(tree[name]) for name in ("window_set", "fold", "season_name")}
        names = ("windows", "cutoffs", "first_origin", "span", "horizon", "season")
        numbers: dict[str, Any] = {name: int(tree[name]) for name in names}
        near_zero = None if tree["near_zero"] is None else float(tree["near_zero"])
        return cls(**texts, **numbers, near_zero=near_zero)


@dataclass(frozen=True)
class Reference:
    """What errors of each channel are measured against, by the training rows."""

    channels: tuple[str, ...]
    scale: np.ndarray
    """[N] deviation, for the z-scored metrics."""
    naive_error: np.ndarray
    """[N] in-sample error of the seasonal naive, for MASE; 0 or NaN: MASE is undefined."""
    naive_squared_error: np.ndarray
    """[N] its in-sample squared error, for RMSSE; 0 or NaN: RMSSE is undefined."""

    @classmethod
    def of(cls, prepared: PreparedData, *, season: int) -> Self:
        """That of a table; `season` is MASE's, in rows."""
        absolute = seasonal_naive_error(prepared.training_values, season)
        squared = seasonal_naive_error(prepared.training_values, season, power=2)
        return cls(prepared.table.channels, np.asarray(prepared.scaler.scale), absolute, squared)

    def divisor(self, name: str) -> np.ndarray:
        """What a term of `timellm.evaluation.metrics.DIVIDED` is divided by, [N]; NaN where it is 0 or unknown."""
        numbers = np.square(self.scale) if name == "variance" else np.asarray(getattr(self, name), np.float64)
        return np.where(numbers > 0, numbers, np.nan)


def window_set(table: Table, index: WindowIndex, *, horizon: int) -> str:
    """Digest of what is forecast: timestamps and values of the scored rows, channels, horizon, list of windows."""
    first, last = int(index.origin.min()), int(index.origin.max()) + horizon
    order = np.lexsort((index.origin, index.channel))
    values_RN = table.values.to_numpy(np.float64)[first:last]
    parts = (
        table.values.index[first:last].to_numpy().astype("datetime64[us]").astype("<i8"),
        np.where(np.isnan(values_RN), np.nan, values_RN + 0.0).astype("<f8"),  # one kind of NaN, and no -0
        np.stack([index.channel[order], index.origin[order] - first]).astype("<i8"),
    )
    digest = hashlib.sha256(json.dumps([list(table.channels), horizon]).encode())
    for part in parts:
        digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()[:_DIGITS]


def near_zero_share(values_RN: np.ndarray) -> float:
    """Share of the known values [R, N] that are below `NEAR_ZERO` of their channel's mean absolute value."""
    size = np.abs(values_RN)
    known = ~np.isnan(size)
    count = known.sum(axis=0)
    mean = np.divide(np.nansum(size, axis=0), count, out=np.zeros(size.shape[1]), where=count > 0)
    near = known & ((size < NEAR_ZERO * mean) | (size == 0))
    return float(near.sum() / max(known.sum(), 1))
