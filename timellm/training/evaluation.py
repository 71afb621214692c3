"""Forecasts of many windows without gradient, divided over the processes of a run; and the validation error.

Shapes: W windows, H horizon, T context, B batch, Q quantiles.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from timellm.data.source import WindowSource
from timellm.data.windows import WindowIndex
from timellm.training.evaluation_batch import EVALUATION_BATCH
from timellm.training.processes import gathered
from timellm.training.quantiles import levels_of


@dataclass(frozen=True)
class Validation:
    """Errors and forecasts of the validation windows."""

    loss: float
    """MSE."""
    loss_W: np.ndarray
    """MSE of each window."""
    forecast_WH: np.ndarray
    error_WH: np.ndarray
    """Target less forecast."""
    offset_WHQ: np.ndarray
    """Quantiles less forecast; of no quantile for most networks."""
    share: float = 1.0
    """Share of what the network adds to its base that is in these forecasts (timellm.training.share)."""


@torch.inference_mode()
def forecast_windows(
    network: nn.Module,
    source: WindowSource,
    index: WindowIndex,
    *,
    on_batch: Callable[[int], None] = lambda done: None,
    accelerator: Accelerator | None = None,
    quantiles: bool = False,
) -> np.ndarray:
    """Forecasts [W, H] of the windows in `index`, on the scale of `source`; `on_batch` gets the number done.

    With `quantiles`, of a network that gives them, [W, H, 1 + Q]: the forecast, and behind it the offsets of quantiles.

    The last batch is filled up with its last window: matrix products of another size are summed in another order, and
    in bfloat16 a window's forecast would then depend on how many others were asked for (by up to 3 % of a standard
    deviation). With `accelerator`, each of its processes forecasts an equal share, and all get all forecasts.
    """
    network.eval()
    processes, own = (accelerator.num_processes, accelerator.process_index) if accelerator else (1, 0)
    count = -(-len(index) // processes)  # the same in all processes; the last window fills up
    mine = (np.arange(count) * processes + own).clip(max=len(index) - 1)
    shape = (count, source.horizon, *([1 + len(levels_of(network))] if quantiles else []))
    forecast_WH = np.empty(shape, np.float32)
    for begin in range(0, count, EVALUATION_BATCH):
        end = min(begin + EVALUATION_BATCH, count)
        chosen = mine[np.arange(begin, begin + EVALUATION_BATCH).clip(max=count - 1)]
        channel, origin = index.channel[chosen], index.origin[chosen]
        contexts_BT = source.contexts(channel, origin=origin)
        beside = source.beside(channel, origin=origin, channels=quantiles)
        forecast_BH = network(contexts_BT, **beside)
        forecast_WH[begin:end] = forecast_BH.float().cpu().numpy()[: end - begin]
        on_batch(min(end * processes, len(index)))
    if processes == 1:
        return forecast_WH
    by_process = gathered(accelerator, torch.from_numpy(forecast_WH))  # [processes, count, H]
    return by_process.transpose(0, 1).reshape(-1, *shape[1:])[: len(index)].numpy()


def validate(
    network: nn.Module, source: WindowSource, index: WindowIndex, *, accelerator: Accelerator | None = None
) -> Validation:
    """Forecast the z-scored windows in `index`; the result is the same in every process."""
    quantiles = bool(levels_of(network))
    found = forecast_windows(network, source, index, accelerator=accelerator, quantiles=quantiles)
    forecast_WH, offset_WHQ = (found[..., 0], found[..., 1:]) if quantiles else (found, found[..., None][..., :0])
    _, target_WH = source.gather(index.channel, origin=index.origin)
    error_WH = target_WH.cpu().numpy() - forecast_WH
    return Validation(*mean_squares(error_WH), forecast_WH, error_WH, offset_WHQ)


def mean_squares(error_WH: np.ndarray) -> tuple[float, np.ndarray]:
    """MSE of all windows, and of each [W] in float64."""
    squared_WH = error_WH**2
    return float(np.mean(squared_WH)), squared_WH.mean(axis=1, dtype=np.float64)
