"""Forecasts of a batch of windows with prototypes or patches masked, and how far they move.

Inputs: a run with its backbone, windows, and the orders in which units are masked. Outputs: movements on the scale of
the forecasts, z-scored by channel.

Shapes: B windows, P patches, V prototypes, U units (P or V), O orders, K numbers removed, H horizon.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch

from timellm.data.prepared import PreparedData
from timellm.data.windows import WindowIndex
from timellm.explain.gradients import Attributions, has_gradients, integrated_gradients
from timellm.explain.orders import Orders
from timellm.forecasters.time_llm.forecaster import TimeLLMForecaster
from timellm.forecasters.time_llm.masks import Masks, Opened

BATCH = 32


@dataclass(frozen=True)
class Moved:
    """What masks do to windows."""

    deviation_B: np.ndarray
    """Standard deviation of each forecast over the horizon, nothing masked."""
    error_B: np.ndarray
    """Mean absolute error, nothing masked."""
    even_B: np.ndarray
    """Movement with the same weight for every prototype, root mean square over the horizon."""
    moved_OKB: tuple[np.ndarray, ...]
    """Movements for each kind of unit; NaN where an order is not worked out."""
    error_OKB: tuple[np.ndarray, ...]
    """Change of the mean absolute error."""
    attributions: Attributions | None
    """None without Captum."""

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The windows of several batches."""

        def along_windows(arrays: Iterator[tuple[np.ndarray, ...]]) -> tuple[np.ndarray, ...]:
            return tuple(np.concatenate(one, axis=2) for one in zip(*arrays, strict=True))

        known = [one.attributions for one in parts if one.attributions is not None]
        return cls(
            np.concatenate([one.deviation_B for one in parts]),
            np.concatenate([one.error_B for one in parts]),
            np.concatenate([one.even_B for one in parts]),
            along_windows(one.moved_OKB for one in parts),
            along_windows(one.error_OKB for one in parts),
            Attributions.joined(known) if known else None,
        )


def passes(orders: Sequence[Orders]) -> int:
    """Forecasts of a batch that `moved` asks for; integrated gradients count as twenty."""
    return 2 + sum(map(len, orders)) + (20 if has_gradients() else 0)


def batches(
    forecaster: TimeLLMForecaster, prepared: PreparedData, index: WindowIndex
) -> Iterator[tuple[slice, Opened, np.ndarray]]:
    """The windows of `index` in batches: which they are, opened, and their actual values [B, H], z-scored.

    An actual value that is not known, because it was missing or lies beyond the table, is NaN.
    """
    network = forecaster.network.eval()
    device = next(network.parameters()).device
    source = prepared.source(device, base=forecaster.base.on(prepared) if forecaster.base else None)
    scaled_RN = prepared.scaler.transform(prepared.seen)
    for begin in range(0, len(index), BATCH):
        part = index.part(begin, begin + BATCH)
        context_BT = source.contexts(part.channel, origin=part.origin)
        with torch.no_grad():
            opened = network.opened(context_BT, **source.beside(part.channel, origin=part.origin))
        yield slice(begin, begin + len(part)), opened, _actual(scaled_RN, part, horizon=prepared.horizon)


def _actual(scaled_RN: np.ndarray, index: WindowIndex, *, horizon: int) -> np.ndarray:
    rows_BH, last = index.origin[:, None] + np.arange(horizon), len(scaled_RN) - 1
    return np.where(rows_BH <= last, scaled_RN[rows_BH.clip(max=last), index.channel[:, None]], np.nan)


def moved(opened: Opened, actual_BH: np.ndarray, orders: Sequence[Orders], *, on_pass: Callable[[int], None]) -> Moved:
    """Mask the windows' units in each order; `orders` are of these windows. `on_pass` gets how many passes are done."""
    done = 0

    def forecast(masks: Masks = Masks()) -> np.ndarray:  # noqa: B008 - it is frozen
        nonlocal done
        with torch.no_grad():
            found = opened.forecast(masks).double().cpu().numpy()
        done += 1
        on_pass(done)
        return found

    whole_BH = forecast()
    error_B = np.abs(whole_BH - actual_BH).mean(axis=1)

    def movement(other_BH: np.ndarray) -> np.ndarray:
        return np.sqrt(np.square(other_BH - whole_BH).mean(axis=1))

    moved_OKB, errors_OKB = [], []
    even_B = movement(forecast(Masks(even=True)))
    for one in orders:
        shape = (*one.wanted_OK.shape, len(whole_BH))
        moves_OKB, error_OKB = np.full(shape, np.nan), np.full(shape, np.nan)
        for order, number in zip(*np.nonzero(one.wanted_OK), strict=True):
            mask_BU = torch.as_tensor(one.place_OWU[order] < one.removed_K[number], device=opened.patches_BPM.device)
            masks = Masks(prototypes=mask_BU) if one.unit == "prototypes" else Masks(patches=mask_BU)
            other_BH = forecast(masks)
            moves_OKB[order, number] = movement(other_BH)
            error_OKB[order, number] = np.abs(other_BH - actual_BH).mean(axis=1) - error_B
        moved_OKB.append(moves_OKB)
        errors_OKB.append(error_OKB)
    attributions = integrated_gradients(opened) if has_gradients() else None
    on_pass(passes(orders))
    return Moved(whole_BH.std(axis=1), error_B, even_B, tuple(moved_OKB), tuple(errors_OKB), attributions)
