"""Maps from sums over windows: one eigendecomposition gives the map of any penalty, and its error in a product.

The normal equations are summed over windows, for training and for validation, so that memory does not grow with the
rows. The validation error of a map is a quadratic form in them (Hoerl and Kennard 1970; Golub, Heath and Wahba 1979 for
the shared decomposition).

A map is drawn to another one by its penalty: that of all channels to what it falls back to
(timellm.forecasters.ridge.fallback), and a channel's own to that of all channels, so that a channel with little to say
of its own keeps the shared one.

Shapes: B windows of a batch, F features, H horizon.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

PENALTIES = tuple(10.0**power for power in np.arange(-8, 3.01, 0.25))
"""As shares of the largest eigenvalue; the largest one leaves almost nothing but what the map falls back to."""
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

    def left_by(self, weights_FH: np.ndarray, columns: np.ndarray, *, on: np.ndarray) -> Moments:
        """Of the features `on`, with what a map of the features `columns` leaves of the targets."""
        left_FH = self.both_FH[on] - self.features_FF[np.ix_(on, columns)] @ weights_FH
        return Moments(self.features_FF[np.ix_(on, on)], left_FH, self.of(columns).squared(weights_FH), self.points)

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


@dataclass(frozen=True)
class Spectrum:
    """The sums of some windows, decomposed once for all maps that are fitted to these windows."""

    training: Moments
    sizes_F: np.ndarray
    vectors_FF: np.ndarray

    @classmethod
    def of(cls, training: Moments) -> Spectrum:
        """Decompose the sums of the windows to fit."""
        sizes_F, vectors_FF = np.linalg.eigh(training.features_FF)
        return cls(training, sizes_F.clip(min=0.0), vectors_FF)

    def solve(self, validation: Moments, *, toward_FH: np.ndarray | None = None) -> Solved:
        """The map of these windows, drawn to `toward_FH`, by default to zeros (the mean of the context)."""
        return self._best(validation, PENALTIES, toward_FH=toward_FH)

    def solve_near(self, shared_FH: np.ndarray, validation: Moments) -> np.ndarray:
        """A channel's map [F, H], drawn to `shared_FH`; that itself where nothing is known or better."""
        if not (self.training.points and validation.points):
            return shared_FH
        found = self._best(validation, OWN_PENALTIES, toward_FH=shared_FH)
        return found.weights_FH if found.loss * validation.points < validation.squared(shared_FH) else shared_FH

    def _best(self, validation: Moments, penalties: tuple[float, ...], *, toward_FH: np.ndarray | None) -> Solved:
        fitted_FH, seen_FH, squared_left = self.training.both_FH, validation.both_FH, validation.targets
        if toward_FH is not None:  # what is fitted is then what that map leaves
            fitted_FH = fitted_FH - self.training.features_FF @ toward_FH
            seen_FH = seen_FH - validation.features_FF @ toward_FH
            squared_left = validation.squared(toward_FH)
        largest = float(self.sizes_F[-1]) or 1.0  # every window is constant: any penalty gives the map of zeros
        turned_FH = self.vectors_FF.T @ fitted_FH
        # In the turned space a map is a column of numbers divided by (size + penalty): its error on the validation
        # windows takes the products of these, once, and no second look at the windows.
        crossed_F = np.einsum("fh,fh->f", turned_FH, self.vectors_FF.T @ seen_FH)
        seen_FF = (self.vectors_FF.T @ validation.features_FF @ self.vectors_FF) * (turned_FH @ turned_FH.T)
        losses = []
        for penalty in penalties:
            shrunk_F = 1 / (self.sizes_F + penalty * largest)
            squared = squared_left - 2 * crossed_F @ shrunk_F + shrunk_F @ seen_FF @ shrunk_F
            losses.append(max(float(squared), 0.0) / validation.points)
        place = int(np.argmin(losses))
        penalty = float(penalties[place])
        weights_FH = self.vectors_FF @ (turned_FH / (self.sizes_F + penalty * largest)[:, None])
        if toward_FH is not None:
            weights_FH += toward_FH
        return Solved(np.ascontiguousarray(weights_FH), penalty, losses[place])
