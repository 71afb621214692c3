"""What a linear forecaster does with each row of the context: its weights over rows and steps ahead.

Inputs: the folder of a run that is linear (a ridge, DLinear), or that has a linear path. Outputs: one or several maps,
and in words what a forecast has beside them.

Shapes: L rows of the context that are read, H horizon, M maps.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from timellm.config import DLinearConfig, RunConfig
from timellm.errors import ConfigError
from timellm.explain.parts import linear_path
from timellm.forecasters.decomposition import decompose
from timellm.forecasters.protocol import settings_of
from timellm.forecasters.ridge.forecaster import Ridge
from timellm.forecasters.ridge.limits import RECENT_ROWS
from timellm.forecasting.artifacts import RunFolder
from timellm.training.checkpoint import read_adapter

_SHARED = "All channels"
_BESIDE = "A constant by window, which follows from how much the window varies, is added."
_BESIDE_TOLD = {
    "level": " What the window's level says is added, too.",
    "calendar": " What the calendar says of the forecast's first moment is added, too.",
}


@dataclass(frozen=True)
class LinearMap:
    """One map from context to horizon."""

    title: str
    """The channel it is for, or a part of the model."""
    weights_LH: np.ndarray
    """How much each step ahead takes from each row of the context, the oldest row first."""
    beside: str
    """What a forecast has beside them."""

    def distances(self, count: int) -> list[tuple[int, float]]:
        """Distances in rows between a row and the step that it helps to forecast, with their mean weight.

        The largest weights first. A series that repeats each day has a large one at the length of a day. Distances that
        fewer than half of the steps reach within the context are left out.
        """
        rows, steps = self.weights_LH.shape
        # A row b before the forecast (1 is the last) lies b + s - 1 rows before step s.
        distance_LH = np.arange(rows, 0, -1)[:, None] + np.arange(steps)
        reached = np.bincount(distance_LH.ravel())
        mean = np.bincount(distance_LH.ravel(), weights=self.weights_LH.ravel()) / np.maximum(reached, 1)
        known = np.flatnonzero(reached >= max(1, min(rows, steps) / 2))
        best = known[np.argsort(-np.abs(mean[known]), kind="stable")[:count]]
        return [(int(at), float(mean[at])) for at in best]

    @property
    def last_row_share(self) -> float:
        """Share of the absolute weights that the last row of the context has."""
        sizes_LH = np.abs(self.weights_LH)
        return float(sizes_LH[-1].sum() / sizes_LH.sum()) if sizes_LH.any() else float("nan")


def linear_maps(run_dir: str | Path) -> tuple[LinearMap, ...]:
    """The maps of a run, that for all channels first.

    Raises:
        CheckpointError: the run folder is incomplete or damaged.
        ConfigError: the run has no linear map.
    """
    folder = RunFolder(Path(run_dir))
    config = folder.config()
    if not config.has_linear_map:
        raise ConfigError("this run has no linear map; choose a ridge, DLinear, or a Time-LLM with a linear path")
    if config.kind == "dlinear":
        return _of_dlinear(folder.path, config)
    ridge = Ridge.load(folder.path, config) if config.kind == "ridge" else linear_path(folder.path)
    titles = (_SHARED, *ridge.series)
    beside = _BESIDE + "".join(_BESIDE_TOLD[features] for features in ridge.features)
    return tuple(
        LinearMap(title, ridge.by_lag(i), beside + _from_others(ridge.from_others(i), to=title))
        for i, title in enumerate(titles)
    )


def _from_others(shares: dict[str, float], *, to: str) -> str:
    """What is added to the forecast of channel `to` for movements, and which other channel counts most."""
    others = {name: share for name, share in shares.items() if name != to}
    if not others:
        return ""
    most = max(others, key=others.__getitem__)
    moved = f"How the channels moved in the last {2 * max(RECENT_ROWS)} rows"
    return f" {moved} is added, too; of the others, {most} counts most ({others[most]:.0%} of the squared weights)."


def _of_dlinear(folder: Path, config: RunConfig) -> tuple[LinearMap, ...]:
    tensors = read_adapter(folder)
    seasonal_HT, trend_HT = (tensors[f"{name}.weight"].double() for name in ("seasonal", "trend"))
    every_row_TT1 = torch.eye(seasonal_HT.shape[1], dtype=torch.float64)[..., None]
    settings = settings_of(config, DLinearConfig)
    rest_TT1, mean_TT1 = decompose(every_row_TT1, moving_average=settings.moving_average)
    both_TH = rest_TT1[..., 0] @ seasonal_HT.T + mean_TT1[..., 0] @ trend_HT.T
    added = "A constant for each step ahead is added."
    return (
        LinearMap("Both maps together", both_TH.numpy(), added),
        LinearMap("Map of the trend", trend_HT.T.numpy(), "It reads the moving average of the context. " + added),
        LinearMap("Map of the rest", seasonal_HT.T.numpy(), "It reads what the moving average leaves. " + added),
    )
