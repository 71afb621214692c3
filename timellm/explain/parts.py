"""A forecast of Time-LLM taken apart: what its linear path says, and what the language model adds to it.

Inputs: a run's folder and its forecasts. Outputs: the linear path's forecasts of the same windows, and the share of the
forecasts' variance that each part carries. The language model is not needed: its part is the forecast without the
linear path's.

Shapes: W windows, H horizon, T context.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from timellm.data.prepared import PreparedData
from timellm.data.windows import WindowIndex
from timellm.errors import CheckpointError
from timellm.forecasters.ridge.forecaster import Ridge
from timellm.forecasters.time_llm.kept import LINEAR_PATH, path_config
from timellm.training.checkpoint import load_config, read_adapter

_LEARNED, _SHARE = "linear_path.weight_FH", "linear_share.share_H"
_BATCH = 512


def linear_path(run_dir: Path) -> Ridge:
    """The linear path of a run, as a forecaster of its own.

    Raises:
        CheckpointError: the run has none, or its weights are missing or damaged.
    """
    config = load_config(run_dir)
    if config.model.linear_path == "none":
        raise CheckpointError(f"{run_dir} has no linear path; its run was trained without one")
    path = Ridge.load(run_dir, path_config(config), file=LINEAR_PATH)
    tensors = read_adapter(run_dir)
    if _SHARE in tensors:
        path = path.weighted(tensors[_SHARE].double().numpy())
    return path.corrected(tensors[_LEARNED].double().numpy()) if _LEARNED in tensors else path


@dataclass(frozen=True)
class Shares:
    """Shares of the variance of a run's forecasts around the mean of their contexts; together they are 1."""

    linear_path: float
    language_model: float


def shares(path: Ridge, prepared: PreparedData, *, index: WindowIndex, forecast_WH: np.ndarray) -> Shares:
    """What each part carries of forecasts [W, H] in original units: its covariance with the whole, by the variance.

    A share may lie below 0 or above 1, where the parts contradict each other; both are NaN if all forecasts are their
    contexts' means.
    """
    whole = added = 0.0
    linear = path.on(prepared)
    for begin in range(0, len(index), _BATCH):
        part = index.part(begin, begin + _BATCH)
        scale_W1 = prepared.scaler.scale[part.channel][:, None]
        rows_WT = part.origin[:, None] + np.arange(-prepared.context, 0)
        mean_W1 = prepared.past.before(part.origin, channel=part.channel, rows_WK=rows_WT).mean(axis=1, keepdims=True)
        whole_WH = (forecast_WH[begin : begin + len(part)] - mean_W1) / scale_W1
        linear_WH = prepared.restore(linear(part), part)
        added_WH = (forecast_WH[begin : begin + len(part)] - linear_WH) / scale_W1
        whole += float(np.square(whole_WH).sum())
        added += float((added_WH * whole_WH).sum())
    share = added / whole if whole else math.nan
    return Shares(1 - share, share)
