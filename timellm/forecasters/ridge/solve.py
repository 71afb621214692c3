"""Maps from sums over windows: one eigendecomposition gives the map of any penalty, and its error in a product.

The normal equations are summed over windows, for training and for validation, so that memory does not grow with the
rows. The validation error of a map is a quadratic form in them (Hoerl and Kennard 1970; Golub, Heath and Wahba 1979 for
the shared decomposition).

A channel's own map is drawn to the map of all channels instead of to zero, so that a channel with little to say of its
own keeps the shared one.

Shapes: B windows of a batch, F features, H horizon.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

PENALTIES = tuple(10.0**power for power in np.arange(-8, 1.01, 0.25))
"""As shares of the largest eigenvalue."""
OWN_PENALTIES = tuple(10.0**power for power in np.arange(-4, 2.01, 0.5))
"""Of a channel's distance from the map of all channels. Coarser and larger: a channel has a fraction of the windows."""


@dataclass
class Moments:
    """Sums over windows: of the products of features, of features and targets, and of squared targets."""

    features_FF: np.ndarray
    both_FH: np.ndarray
    targets: float = 0.0
    points: int = 0

    @classmethod
    def zero(cls, features: int, horizon: int) -> Moments:
        """Of no window."""
        return cls(np.zeros((features, features)), np.zeros((features, horizon)))

    @classmethod
    def total(cls, parts: Iterable[Moments]) -> Moments:
        """Of all windows of some parts."""
        first, *rest = parts
        total = cls(first.features_FF.copy(), first.both_FH.copy(), first.targets, first.points)
        for part in rest:
            total.features_FF += part.features_FF
            total.both_FH += part.both_FH
            total.targets += part.targets
            total.points += part.points
        return total

    def add(self, features_BF: np.ndarray, target_BH: np.ndarray) -> None:
        """Count a batch of windows."""
        self.features_FF += features_BF.T @ features_BF
        self.both_FH += features_BF.T @ target_BH
        self.targets += float(np.square(target_BH).sum())
        self.points += target_BH.size

    def of(self, columns: np.ndarray) -> Moments:
        """Of some of the features."""
        return Moments(self.features_FF[np.ix_(columns, columns)], self.both_FH[columns], self.targets, self.points)

    def squared(self, weights_FH: np.ndarray) -> float:
        """Sum of the squared errors of a map."""
        crossed = float((weights_FH * self.both_FH).sum())
        return self.targets - 2 * crossed + float((weights_FH * (self.features_FF @ weights_FH)).sum())


@dataclass(frozen=True)
class Solved:
    """The map with the lowest validation error."""

    weights_FH: np.ndarray
    penalty: float
    """As a share of the largest eigenvalue."""
    loss: float
    """MSE on the validation windows."""


def solve(training: Moments, validation: Moments) -> Solved:
    """The map of these windows."""
    return _best(training.features_FF, training.both_FH, validation, PENALTIES)


def solve_near(shared_FH: np.ndarray, training: Moments, validation: Moments) -> np.ndarray:
    """The map [F, H] of these windows, drawn to `shared_FH`; that itself where nothing is known or better."""
    if not (training.points and validation.points):
        return shared_FH
    left = Moments(
        validation.features_FF,
        validation.both_FH - validation.features_FF @ shared_FH,
        validation.squared(shared_FH),
        validation.points,
    )
    found = _best(training.features_FF, training.both_FH - training.features_FF @ shared_FH, left, OWN_PENALTIES)
    return shared_FH + found.weights_FH if found.loss * left.points < left.targets else shared_FH


def _best(features_FF: np.ndarray, both_FH: np.ndarray, validation: Moments, penalties: tuple[float, ...]) -> Solved:
    sizes_F, vectors_FF = np.linalg.eigh(features_FF)
    sizes_F = sizes_F.clip(min=0.0)
    largest = float(sizes_F[-1]) or 1.0  # every window is constant: any penalty gives the map of zeros
    turned_FH = vectors_FF.T @ both_FH
    # In the turned space a map is a column of numbers divided by (size + penalty): its error on the validation windows
    # takes the products of these, once, and no second look at the windows.
    crossed_F = np.einsum("fh,fh->f", turned_FH, vectors_FF.T @ validation.both_FH)
    seen_FF = (vectors_FF.T @ validation.features_FF @ vectors_FF) * (turned_FH @ turned_FH.T)
    losses = []
    for penalty in penalties:
        shrunk_F = 1 / (sizes_F + penalty * largest)
        squared = validation.targets - 2 * crossed_F @ shrunk_F + shrunk_F @ seen_FF @ shrunk_F
        losses.append(max(float(squared), 0.0) / validation.points)
    place = int(np.argmin(losses))
    penalty = float(penalties[place])
    weights_FH = vectors_FF @ (turned_FH / (sizes_F + penalty * largest)[:, None])
    return Solved(np.ascontiguousarray(weights_FH), penalty, losses[place])
