"""Which features a map should have, and whether channels should have maps of their own.

More is not better: the level of a price misleads, and a map of its own can be wrong about a channel with few windows.
The lowest validation error is partly luck, too, with a validation part that is often no longer than a few horizons. So
three trials decide. The training part is cut in time into five stretches. Each trial fits on some of them, finds its
penalty on the next stretch, and is judged on a later one; the last trial is the fit that the run would use:

    fit on 1 2 3, penalty on 4, judged on 5
    fit on 1 2 3 4, penalty on 5, judged on validation
    fit on 1 2 3 4 5, penalty on validation, judged on validation

The simplest map (the plain one of all channels) stays, unless another is surely better: its error over all judged
windows is lower by 1.645 standard errors of the difference, over blocks of a horizon (timellm.training.gain), and it is
lower in the last trial, too. Of those that are, the one with the lowest error is taken. With fewer than eight blocks to
judge by, nothing is tried: a standard error of so few is not to be relied on. For one comparison of independent windows
that would be a level of 95 %. Here five maps are tried and the validation part is judged twice, so it is a rule of
thumb; docs/recipe.md has its measured worth.

Shapes: W windows, F features, H horizon, N channels.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from itertools import product
from typing import TypeVar

import numpy as np

from timellm.config import LinearFeatures, LinearMaps
from timellm.data.windows import WindowIndex
from timellm.forecasters.ridge.features import RidgeWindows
from timellm.forecasters.ridge.limits import MOST_TRIED_WINDOWS
from timellm.forecasters.ridge.solve import Moments, solve, solve_near
from timellm.training.gain import FEWEST_INDEPENDENT, blocks, is_surely_lower

_STRETCHES = 5
TRIALS = ((3, 3, 4), (4, 4, 5), (5, 5, 5))
"""Stretches that are fitted; the part that finds the penalty; the part that judges. Part 5 is the validation part."""
_ERRORS = 1.645
"""Standard errors of the difference."""
FAR = 10**12
"""More rows than any table has: the windows of two trials never share a block."""
_FEWEST_BLOCKS = 2
"""Blocks of a horizon in each judged part; all of them together have FEWEST_INDEPENDENT at least."""

Option = tuple[LinearFeatures, LinearMaps]
Tried = TypeVar("Tried", bound=Hashable)


@dataclass(frozen=True)
class Choice:
    """What was chosen, and each option's error as a share of the simplest one's."""

    option: Option
    simplest: Option
    """The first of those that there were."""
    to_simplest: dict[Option, float]
    """Empty where the table is too short to choose, or there was no choice."""


def choose(
    windows: RidgeWindows,
    training: WindowIndex,
    validation: WindowIndex,
    *,
    kinds: tuple[LinearFeatures, ...],
    maps: tuple[LinearMaps, ...],
    on_windows: Callable[[int], None],
) -> Choice:
    """Choose between all pairs of `kinds` and `maps`, both with the simplest first.

    `on_windows` is given the number of windows done since its last call; it may raise to stop.
    """
    parts = stretches(training, validation, horizon=windows.horizon)
    if not enough_to_choose(parts, horizon=windows.horizon):
        return Choice((kinds[0], maps[0]), (kinds[0], maps[0]), {})
    channels = np.unique(validation.channel)
    totals = [moments_of(windows, part, on_windows) for part in parts]
    columns = {kind: windows.columns(kind) for kind in kinds}
    shared = [{kind: _shared(totals, columns[kind], trial) for kind in kinds} for trial in TRIALS]
    options = list(product(kinds, maps))
    loss: dict[Option, list[np.ndarray]] = {option: [] for option in options}
    origin: list[np.ndarray] = []
    for channel in channels:
        own = [of_channel(part, channel) for part in parts]
        # The sums are needed for the channel's own maps alone.
        sums = [moments_of(windows, part, on_windows) for part in own] if "by_channel" in maps else []
        for number, (trial, shared_maps) in enumerate(zip(TRIALS, shared, strict=True)):
            found: dict[Option, np.ndarray] = {}
            for kind, one in options:
                weights_FH = shared_maps[kind]
                if one == "by_channel":
                    weights_FH = solve_near(weights_FH, *_sides(sums, columns[kind], trial))
                found[kind, one] = weights_FH
            for batch in windows.batches(own[trial[2]]):
                features_BF, target_BH = windows.features_and_targets(batch)
                for (kind, one), weights_FH in found.items():
                    error_BH = features_BF[:, columns[kind]] @ weights_FH - target_BH
                    loss[kind, one].append(np.square(error_BH).mean(axis=1))
                origin.append(batch.origin + number * FAR)
                on_windows(0)
    found_loss = {option: np.concatenate(found) for option, found in loss.items()}
    best, shares = surely_best(found_loss, np.concatenate(origin), horizon=windows.horizon)
    return Choice(best, options[0], shares)


def enough_to_choose(parts: list[WindowIndex], *, horizon: int) -> bool:
    """Whether the judged ones of these parts have blocks of a horizon enough."""
    counts = [blocks(parts[number].origin, horizon) for number in {judged for _, _, judged in TRIALS}]
    return min(counts) >= _FEWEST_BLOCKS and sum(counts) >= FEWEST_INDEPENDENT and all(map(len, parts))


def surely_best(
    loss: dict[Tried, np.ndarray], origin_W: np.ndarray, *, horizon: int
) -> tuple[Tried, dict[Tried, float]]:
    """The option that is surely better than the first one, or that; and each one's error as a share of the first's.

    `loss` has the errors of the judged windows [W], trial after trial; the origins of trial k are `k * FAR` larger.
    """
    simplest, last = next(iter(loss)), origin_W >= (len(TRIALS) - 1) * FAR
    simplest_W = loss[simplest]
    better = [
        option
        for option, loss_W in loss.items()
        if loss_W[last].mean() < simplest_W[last].mean()
        and is_surely_lower(loss_W, simplest_W, origin_W=origin_W, horizon=horizon, errors=_ERRORS)
    ]
    shares = {option: float(loss_W.mean() / simplest_W.mean()) for option, loss_W in loss.items()}
    return min(better, key=lambda option: shares[option], default=simplest), shares


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


def _sides(parts: list[Moments], columns: np.ndarray, trial: tuple[int, int, int]) -> tuple[Moments, Moments]:
    """What a trial fits on, and what it finds its penalty on."""
    fitted, penalty, _ = trial
    return Moments.total(parts[:fitted]).of(columns), parts[penalty].of(columns)


def _shared(totals: list[Moments], columns: np.ndarray, trial: tuple[int, int, int]) -> np.ndarray:
    return solve(*_sides(totals, columns, trial)).weights_FH
