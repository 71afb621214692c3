"""Trials on later and later stretches of a table, before the test part: which of several ways is surely better.

The training part is cut in time into five stretches. Each trial fits on some of them, finds its penalty on the next
stretch, and is judged on a later one; the last trial is the fit that the run would use:

    fit on 1 2 3, penalty on 4, judged on 5
    fit on 1 2 3 4, penalty on 5, judged on validation
    fit on 1 2 3 4 5, penalty on validation, judged on validation

With fewer than eight blocks to judge by nothing is surely better: a standard error of so few is not to be relied on.

Shapes: W windows.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

import numpy as np

from timellm.data.windows import WindowIndex
from timellm.forecasters.ridge.features import RidgeWindows
from timellm.forecasters.ridge.limits import MOST_TRIED_WINDOWS
from timellm.forecasters.ridge.solve import Moments
from timellm.training.gain import FEWEST_INDEPENDENT, blocks, is_surely_lower

_STRETCHES = 5
TRIALS = ((3, 3, 4), (4, 4, 5), (5, 5, 5))
"""Stretches that are fitted; the part that finds the penalty; the part that judges. Part 5 is the validation part."""
_JUDGED = sorted({judged for _, _, judged in TRIALS})
FAR = 10**12
"""More rows than any table has: the windows of two trials never share a block."""
_FEWEST_BLOCKS = 2
"""Blocks of a horizon in each judged part; all of them together have FEWEST_INDEPENDENT at least."""

Tried = TypeVar("Tried", bound=Hashable)


def judged_blocks(parts: list[WindowIndex], *, horizon: int) -> list[int]:
    """Independent blocks of a horizon in each of the judged ones of these parts; none where a part has no window."""
    return [blocks(parts[number].origin, horizon) for number in _JUDGED] if all(map(len, parts)) else []


def enough_to_be_sure(counts: list[int]) -> bool:
    """Whether so many blocks in each judged part can show that something is surely better."""
    return bool(counts) and min(counts) >= _FEWEST_BLOCKS and sum(counts) >= FEWEST_INDEPENDENT


def better_than_first(
    loss: Mapping[Tried, np.ndarray], origin_W: np.ndarray, *, horizon: int, errors: float
) -> list[Tried]:
    """Those with a lower error than the first one, by some standard errors, that are better in the last trial, too.

    `loss` has the errors of the judged windows [W], trial after trial; the origins of trial k are `k * FAR` larger.
    """
    first, last_W = next(iter(loss)), origin_W >= (len(TRIALS) - 1) * FAR
    return [
        tried
        for tried, loss_W in loss.items()
        if tried != first
        and loss_W[last_W].mean() < loss[first][last_W].mean()
        and is_surely_lower(loss_W, loss[first], origin_W=origin_W, horizon=horizon, errors=errors)
    ]


def moments_of(windows: RidgeWindows, index: WindowIndex, on_windows: Callable[[int], None]) -> Moments:
    """The sums over the windows of an index; `on_windows` is given each batch's number."""
    moments = Moments.zero(windows.count, windows.horizon)
    for batch in windows.batches(index):
        moments.add(*windows.features_and_targets(batch))
        on_windows(len(batch))
    return moments


def stretches(training: WindowIndex, validation: WindowIndex, *, horizon: int) -> list[WindowIndex]:
    """The five stretches and the validation part, thinned; no target of a stretch reaches into the next one."""
    every = -(-(len(training) + len(validation)) // MOST_TRIED_WINDOWS)
    edges = np.linspace(training.origin.min(), training.origin.max() + 1, _STRETCHES + 1).astype(int)
    # The last one ends where the training part does, and its targets do, too.
    ends = [*(edges[1:-1] - horizon + 1), edges[-1]]
    stretches = [
        _where(training, (training.origin >= begin) & (training.origin < end) & (training.origin % every == 0))
        for begin, end in zip(edges[:-1], ends, strict=True)
    ]
    return [*stretches, _where(validation, validation.origin % every == 0)]


def _where(index: WindowIndex, mask_W: np.ndarray) -> WindowIndex:
    return WindowIndex(index.channel[mask_W], index.origin[mask_W], 0)


def of_channel(index: WindowIndex, channel: int) -> WindowIndex:
    """The windows of one channel."""
    return _where(index, index.channel == channel)
