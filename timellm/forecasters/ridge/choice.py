"""Which maps a linear forecast is the weighted mean of: what they know, and whether channels have maps of their own.

More is not better: the level of a price misleads, and a map of its own can be wrong about a channel with few windows.
The lowest validation error is partly luck, too, with a validation part that is often no longer than a few horizons. So
trials on later stretches of the table judge every kind of map (timellm.forecasters.ridge.trials).

The simplest map (the plain one of all channels) always takes part. So does every other whose error over all judged
windows is lower by one standard error of the difference, over blocks of a horizon (timellm.training.gain), and lower in
the last trial, too. A map that is told of other channels must also be so much better than the same map without them.
The shares make the error of the mean of the forecasts as small as they can on the judged windows (stacking, Wolpert
1992; no share is negative and their sum is 1, Breiman 1996). What is far from the simplest map is penalised, and more
so with fewer blocks. Where there are too few to be sure, only what the plain map falls back to is tried, and always
takes part; the penalty alone limits its share. Where a part has no window at all to judge by, these maps have equal
shares. docs/recipe.md has the measured worth.

Shapes: B windows of a batch, W windows, F features, H horizon, N channels, O kinds of map.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import nnls

from timellm.data.windows import WindowIndex
from timellm.forecasters.ridge.features import RidgeWindows
from timellm.forecasters.ridge.maps import Option, own_maps, shared_maps
from timellm.forecasters.ridge.solve import Moments
from timellm.forecasters.ridge.trials import (
    FAR,
    TRIALS,
    better_than_first,
    enough_to_be_sure,
    judged_blocks,
    moments_of,
    of_channel,
    stretches,
)

_ERRORS = 1.0
"""Standard errors of the difference."""
_PENALTY = 0.3
"""Of the squared distance from the simplest map's share, divided by the blocks, as a share of that map's error."""
_LEAST_SHARE = 0.01
"""A map with less is left out."""
_WHOLE = 1e3
"""How much the sum of the shares weighs in the least squares that find them."""


@dataclass(frozen=True)
class Choice:
    """The kinds of map that a forecast is the weighted mean of, and what judged them."""

    shares: dict[Option, float]
    """All above 0, with a sum of 1; the largest first."""
    simplest: Option
    to_simplest: dict[Option, float] = field(default_factory=dict)
    """Each option's squared error as a share of the simplest one's. Empty where the table is too short to judge, or
    there was no choice."""
    error: float = 1.0
    """That of the weighted mean."""
    is_short: bool = False
    """Whether the table is too short to judge what a map should know."""


def choose(
    windows: RidgeWindows,
    training: WindowIndex,
    validation: WindowIndex,
    *,
    options: tuple[Option, ...],
    on_windows: Callable[[int], None],
) -> Choice:
    """Judge `options`, the simplest of them first, and find their shares.

    `on_windows` is given the number of windows done since its last call; it may raise to stop.
    """
    parts = stretches(training, validation, horizon=windows.horizon)
    counts = judged_blocks(parts, horizon=windows.horizon)
    is_enough = enough_to_be_sure(counts)
    if not is_enough:
        first = options[0]
        options = tuple(option for option in options if option._replace(fallback=first.fallback) == first)
    if not counts or len(options) == 1:
        return Choice(dict.fromkeys(options, 1 / len(options)), options[0], is_short=not is_enough)
    totals = [moments_of(windows, part, on_windows) for part in parts]
    shared = [
        shared_maps(windows, options, training=Moments.total(totals[:fitted]), validation=totals[penalty])
        for fitted, penalty, _ in TRIALS
    ]
    has_own_maps = any(option.differs_by_channel for option in options)
    judged = Judged(options, horizon=windows.horizon, blocks=sum(counts), is_enough=is_enough)
    for channel in np.unique(validation.channel):
        own = [of_channel(part, channel) for part in parts]
        # The sums are needed for the channel's own maps alone.
        sums = [moments_of(windows, part, on_windows) for part in own] if has_own_maps else []
        for number, ((fitted, penalty, judging), of_all) in enumerate(zip(TRIALS, shared, strict=True)):
            weights = {option: of_all[option.shared].weights_FH for option in options}
            if has_own_maps:  # in place of the shared one, where they differ from it
                training_sums, penalty_sums = Moments.total(sums[:fitted]), sums[penalty]
                weights |= own_maps(windows, options, of_all, training=training_sums, validation=penalty_sums)
            for batch in windows.batches(own[judging], maps=len(options)):
                features_BF, target_BH = windows.features_and_targets(batch)
                forecasts = (
                    features_BF[:, windows.columns(option.features, others=option.others)] @ weights[option]
                    for option in options
                )
                errors_OBH = np.stack([forecast_BH - target_BH for forecast_BH in forecasts])
                judged.add(errors_OBH, origin_B=batch.origin + number * FAR)
                on_windows(0)
    return judged.choice()


class Judged:
    """The errors of every option on the judged windows of all trials."""

    def __init__(self, options: tuple[Option, ...], *, horizon: int, blocks: int, is_enough: bool) -> None:
        """`blocks` independent blocks of a horizon judge; `is_enough` says whether these can show what is better."""
        self._options, self._horizon, self._blocks, self._is_enough = options, horizon, blocks, is_enough
        self._loss: list[np.ndarray] = []
        self._origin: list[np.ndarray] = []
        self._products_OO = np.zeros((len(options), len(options)))

    def add(self, errors_OBH: np.ndarray, *, origin_B: np.ndarray) -> None:
        """Count some windows; the origins of trial k are `k * FAR` larger."""
        self._loss.append(np.square(errors_OBH).mean(axis=2))
        self._origin.append(origin_B)
        flat = errors_OBH.reshape(len(errors_OBH), -1)
        self._products_OO += flat @ flat.T

    def choice(self) -> Choice:
        """The shares of the options that are better than the first one, and of that."""
        loss_OW, origin_W = np.concatenate(self._loss, axis=1), np.concatenate(self._origin)
        if not loss_OW[0].any():  # nothing is left to gain where every forecast was exact
            return Choice({self._options[0]: 1.0}, self._options[0])
        better = list(range(1, len(loss_OW)))
        if self._is_enough:
            better = self._surely_better(loss_OW, origin_W)
        to_first_O = loss_OW.mean(axis=1) / loss_OW[0].mean()
        taking_part = [0, *better]
        products_OO = self._products_OO[np.ix_(taking_part, taking_part)] / self._products_OO[0, 0]
        shares_O = best_shares(products_OO, penalty=_PENALTY / self._blocks)
        order = [place for place in np.argsort(-shares_O, kind="stable") if shares_O[place] > 0]
        return Choice(
            {self._options[taking_part[place]]: float(shares_O[place]) for place in order},
            self._options[0],
            {option: float(share) for option, share in zip(self._options, to_first_O, strict=True)},
            float(shares_O @ products_OO @ shares_O),
            is_short=not self._is_enough,
        )

    def _surely_better(self, loss_OW: np.ndarray, origin_W: np.ndarray) -> list[int]:
        """The places of those that are better than the first one and, if told of other channels, than without these."""
        loss = dict(zip(self._options, loss_OW, strict=True))

        def better(than: Option, tried: list[Option]) -> list[Option]:
            compared = {than: loss[than]} | {option: loss[option] for option in tried}
            return better_than_first(compared, origin_W, horizon=self._horizon, errors=_ERRORS)

        found = better(self._options[0], list(self._options[1:]))
        return [
            self._options.index(option)
            for option in found
            if not option.others or option.alone not in loss or better(option.alone, [option])
        ]


def best_shares(products_OO: np.ndarray, *, penalty: float) -> np.ndarray:
    """Shares [O], none negative, with a sum of 1, for which the weighted mean of forecasts has the smallest error.

    `products_OO` are the sums of the products of errors. The penalty is that of the squared distance from the first
    option alone.
    """
    sizes_O, vectors_OO = np.linalg.eigh(products_OO)
    root_OO = np.sqrt(sizes_O.clip(min=0.0))[:, None] * vectors_OO.T
    alone_O = np.eye(len(products_OO))[0]
    sides = np.vstack([root_OO, np.sqrt(penalty) * np.eye(len(products_OO)), np.full(len(products_OO), _WHOLE)])
    wanted = np.concatenate([np.zeros(len(products_OO)), np.sqrt(penalty) * alone_O, [_WHOLE]])
    shares_O, _ = nnls(sides, wanted)
    shares_O[shares_O < _LEAST_SHARE * shares_O.sum()] = 0.0
    return shares_O / shares_O.sum()
