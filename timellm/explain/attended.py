"""How much each prototype is attended over the test period, and by patches of which shape.

Inputs: a reader of attention and the run's table. Outputs: shares of attention, and sample patches.

Shapes: W windows, h heads, P patches, V prototypes, T context.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from timellm.data.prepared import PreparedData
from timellm.data.windows import WindowIndex
from timellm.explain.reader import AttentionReader
from timellm.forecasters.time_llm.attention_history import effective

_MOST_WINDOWS = 500
_SHAPE_WINDOWS = 200
_SHAPES, _CANDIDATES = 6, 24


@dataclass(frozen=True)
class Attended:
    """Attention over the windows of the test period."""

    share_V: np.ndarray
    """Mean over windows, patches and heads; sums to 1."""
    effective: float
    """Prototypes effectively attended: exp of the entropy of a patch's attention, median over patches and heads."""
    windows: int
    of_windows: int
    """Windows of the test period; if there are more than `windows`, these are evenly spaced among them."""


def attended(reader: AttentionReader, prepared: PreparedData, *, most_windows: int = _MOST_WINDOWS) -> Attended:
    """Attention of at most `most_windows` windows of the test period.

    Raises:
        DataError: there is no test window.
    """
    every = prepared.windows("test")
    index = every.evenly(most_windows)
    sum_V = torch.zeros(len(reader.words), dtype=torch.float64)
    numbers: list[torch.Tensor] = []
    for _, weights in reader.over(prepared, index):
        weights_WhPV = torch.from_numpy(weights)
        sum_V += weights_WhPV.mean(dim=(1, 2)).sum(dim=0, dtype=torch.float64)
        numbers.append(effective(weights_WhPV).flatten())
    return Attended(
        share_V=(sum_V / len(index)).numpy(),
        effective=float(torch.cat(numbers).median()),
        windows=len(index),
        of_windows=len(every),
    )


class Shape(NamedTuple):
    """A patch that attends much to a prototype."""

    channel: str
    start: pd.Timestamp
    values: np.ndarray
    """Its rows, in deviations from the mean of its window."""
    attention: float
    """What it gives the prototype, mean over heads."""


def shapes(reader: AttentionReader, prepared: PreparedData) -> tuple[tuple[Shape, ...], ...]:
    """For each prototype, up to six patches of the test period that attend to it most, most attentive first.

    Windows do not overlap, so that one moment is not shown several times; nor do the patches.
    """
    index = _apart(prepared.windows("test"), prepared.context).evenly(_SHAPE_WINDOWS)
    rows = [weights.mean(axis=1) for _, weights in reader.over(prepared, index)]
    weights_RV = torch.from_numpy(np.concatenate(rows)).flatten(0, 1)  # R: patches of all windows
    best = weights_RV.topk(min(_CANDIDATES, len(weights_RV)), dim=0)
    normed_WT = _normed(prepared, index)
    found = []
    for weights, places in zip(best.values.T.tolist(), best.indices.T.tolist(), strict=True):
        taken: list[tuple[int, int, int]] = []
        chosen: list[Shape] = []
        for weight, place in zip(weights, places, strict=True):
            window, patch = divmod(place, len(reader.spans_P2))
            begin, end = (int(row) for row in reader.spans_P2[patch])
            if any(window == other and begin < last and first < end for other, first, last in taken):
                continue
            taken.append((window, begin, end))
            first_row = int(index.origin[window]) - prepared.context + begin
            channel, start = prepared.table.channels[index.channel[window]], prepared.table.values.index[first_row]
            chosen.append(Shape(channel, start, normed_WT[window, begin:end], weight))
            if len(chosen) == _SHAPES:
                break
        found.append(tuple(chosen))
    return tuple(found)


def _apart(index: WindowIndex, context: int) -> WindowIndex:
    """The windows of `index`, channel after channel in time order, that do not overlap the one taken before."""
    keep, channel, free_from = [], -1, 0
    for place, (own, origin) in enumerate(zip(index.channel.tolist(), index.origin.tolist(), strict=True)):
        if own != channel or origin - context >= free_from:
            keep.append(place)
            channel, free_from = own, origin
    return WindowIndex(index.channel[keep], index.origin[keep], 0)


def _normed(prepared: PreparedData, index: WindowIndex) -> np.ndarray:
    """Contexts [W, T] of windows, each in deviations from its own mean."""
    rows_WT = index.origin[:, None] + np.arange(-prepared.context, 0)
    context_WT = prepared.scaled_past.before(index.origin, channel=index.channel, rows_WK=rows_WT)
    deviation_W1 = context_WT.std(axis=1, keepdims=True)
    return (context_WT - context_WT.mean(axis=1, keepdims=True)) / np.where(deviation_W1 > 0, deviation_W1, 1.0)
