"""One training step: which windows it takes, the gradient of their loss, and the optimiser that applies it.

Shapes: B batch, T context, H horizon, Q forecast and quantiles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional as F

from timellm.config import TrainingConfig
from timellm.data.source import WindowSource
from timellm.data.windows import WindowIndex
from timellm.training.processes import add_up_gradients, is_sharded
from timellm.training.quantiles import WEIGHT, levels_of, pinball

_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"mse": F.mse_loss, "mae": F.l1_loss, "huber": F.huber_loss}


@dataclass(frozen=True)
class TrainingWindows:
    """Where windows come from, and which ones train and which ones decide when to stop."""

    source: WindowSource
    training: WindowIndex
    validation: WindowIndex


def optimizer_for(network: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """The optimiser that `config` names, over everything `network` registers."""
    # Fused: one pass over weights and moments. With the paper's vocabulary map (50 million weights) that is 5 times
    # faster and needs no temporary copies of them.
    common = {"lr": config.learning_rate, "fused": True}
    if config.optimizer == "adam":
        return torch.optim.Adam(network.parameters(), **common)
    return torch.optim.AdamW(network.parameters(), weight_decay=config.weight_decay, **common)


def batches(index: WindowIndex, config: TrainingConfig, *, start: int = 0) -> Iterator[np.ndarray]:
    """Positions in `index` for steps `start`, `start` + 1 ...; a batch may span two epochs, so no window is dropped.

    Each epoch has an order of its own that follows from seed and number, so that training can go on at any step.
    """
    size = min(config.batch_size, len(index))
    epoch, offset = divmod(start * size, len(index))
    pool = np.random.default_rng([config.seed, epoch]).permutation(len(index))[offset:]
    while True:
        while len(pool) < size:
            epoch += 1
            pool = np.concatenate([pool, np.random.default_rng([config.seed, epoch]).permutation(len(index))])
        yield pool[:size]
        pool = pool[size:]


def accumulate(
    accelerator: Accelerator, network: nn.Module, windows: TrainingWindows, chosen: np.ndarray, config: TrainingConfig
) -> tuple[float, float | None]:
    """Add the gradient of the mean loss over the windows at positions `chosen`, divided over processes and into parts.

    Returns that loss, and by how much the forecasts' part of it is below that of the forecasts to which the network
    adds; None if it adds to none.

    Only one part's activations are alive at a time, and it is no larger than with one process. A part's mean counts by
    its share of the windows, so that parts that do not divide evenly, or a process that has none, still sum to the
    undivided batch's gradient. DeepSpeed averages over processes, and all of them meet in each of its backward passes.
    """
    processes, own = accelerator.num_processes, accelerator.process_index
    levels = levels_of(network)
    count = min(-(-config.accumulation // processes), -(-len(chosen) // processes))
    averaged = processes if is_sharded(accelerator) else 1
    loss_of = _LOSSES[config.loss]
    losses = torch.zeros(2, device=accelerator.device)
    parts = np.array_split(chosen, count * processes)[own * count : (own + 1) * count]
    for number, part in enumerate(parts, start=1):
        share = len(part) / len(chosen)
        drawn = part if len(part) else chosen[:1]  # counts nothing, by its share
        channel, origin = windows.training.channel[drawn], windows.training.origin[drawn]
        context_BT, target_BH = windows.source.gather(channel, origin=origin)
        beside = windows.source.beside(channel, origin=origin, channels=bool(levels))
        found = network(context_BT, **beside)
        forecast_loss = loss_of(found[..., 0] if levels else found, target_BH)
        loss = (forecast_loss + _pinball_loss(found, target_BH, levels) if levels else forecast_loss) * share
        accelerator.sync_gradients = number == count
        accelerator.backward(loss * averaged)
        losses[0] += loss.detach()
        if "base_BH" in beside:
            losses[1] += (loss_of(beside["base_BH"], target_BH) - forecast_loss.detach()) * share
    add_up_gradients(accelerator, network)
    # Once, because on a GPU it waits for all that was asked for.
    loss_sum, gain = accelerator.reduce(losses).tolist()
    return loss_sum, gain if windows.source.has_base else None


def _pinball_loss(found_BHQ: Tensor, target_BH: Tensor, levels: tuple[float, ...]) -> Tensor:
    """Weighted mean loss of the offsets of quantiles, which stand behind the forecast and do not move it."""
    return WEIGHT * pinball(target_BH - found_BHQ[..., 0].detach(), found_BHQ[..., 1:], levels).mean()
