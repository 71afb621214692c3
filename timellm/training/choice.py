"""By what a validation is judged, and so which step's weights are kept.

Inputs: validations of one training. Outputs: for each the number that is compared, and whether the weights are kept
with the step's own forecast. A network without quantiles is judged by its squared error. With them, twice the mean
pinball loss is added, as in training. A network that forecasts before its first step (Time-LLM begins as a ridge)
changes its forecast only where that is surely better by the squared error alone, as it would without quantiles; the
quantiles of another step can be kept round the forecast of the start. Of what a step adds to that forecast, a share is
kept (timellm.training.share).

Shapes: W windows, H horizon.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import nn

from timellm.data.source import WindowSource
from timellm.data.windows import WindowIndex
from timellm.training.evaluation import Validation
from timellm.training.gain import is_surely_lower
from timellm.training.quantiles import WEIGHT, levels_of, pinball
from timellm.training.share import LEAST_GAIN, SHARES, with_share


@dataclass(frozen=True)
class Judged:
    """What one validation comes to."""

    value: float
    """What is compared between steps; lower is better."""
    value_W: np.ndarray
    """The same by window."""
    error: float
    """MSE of what would be kept."""
    share: float = 1.0
    """Share of what the network adds that would be kept; 0 is the forecast of the start."""


@dataclass(frozen=True)
class Judge:
    """Judges the validations of one training."""

    network: nn.Module
    source: WindowSource
    validated: WindowIndex
    from_start: bool
    """Whether the network adds to a forecast, from which training began."""

    def at_best_share(self, found: Validation) -> Validation:
        """The validation with that share of what the network adds that is best, of those that are surely better.

        If none is surely better than the forecast from which training began, it is the best one of all.
        """
        if not self.from_start:
            return found
        tried = [with_share(found, share, base_error_WH=self._start_WH) for share in SHARES]
        sure = [one for one in tried if self.surely_lower(one.loss_W, self._start_W)]
        return min(sure or tried, key=lambda one: one.loss)

    def of(self, found: Validation, *, first: bool = False) -> Judged:
        """What a validation comes to; the `first` is that of the start."""
        levels = levels_of(self.network)
        if not levels:
            return Judged(found.loss, found.loss_W, found.loss, share=found.share)
        sure = self.from_start and self.surely_lower(found.loss_W, self._start_W) and self.gains_enough(found.loss)
        own = first or not self.from_start or sure
        return self._judged(found, own=own)

    def of_base(self, found: Validation) -> Judged:
        """What it comes to with the forecast to which the network adds in place of its own."""
        return self._judged(found, own=False)

    def _judged(self, found: Validation, *, own: bool) -> Judged:
        levels, error_WH = levels_of(self.network), found.error_WH if own else self._start_WH
        squared_W = value_W = np.square(error_WH).mean(axis=1, dtype=np.float64)
        if levels:
            pinball_W = pinball(torch.from_numpy(error_WH), torch.from_numpy(found.offset_WHQ), levels).double().numpy()
            value_W = squared_W + WEIGHT * pinball_W
        return Judged(float(value_W.mean()), value_W, float(squared_W.mean()), share=found.share if own else 0.0)

    def gains_enough(self, error: float) -> bool:
        """Whether an MSE is far enough below that of the forecast from which training began to be worth a network."""
        return bool(error <= self._start_W.mean() * (1 - LEAST_GAIN))

    def surely_lower(self, loss_W: np.ndarray, start_W: np.ndarray) -> bool:
        """Whether a loss is surely lower than that of the start (timellm.training.gain)."""
        origin_W, channel_W = self.validated.origin, self.validated.channel
        return is_surely_lower(loss_W, start_W, origin_W=origin_W, horizon=self.source.horizon, channel_W=channel_W)

    @cached_property
    def _start_W(self) -> np.ndarray:
        return np.square(self._start_WH).mean(axis=1, dtype=np.float64)

    @cached_property
    def _start_WH(self) -> np.ndarray:
        """Errors of the forecast from which training began, float32: that to which the network adds."""
        channel, origin = self.validated.channel, self.validated.origin
        _, target_WH = self.source.gather(channel, origin=origin)
        return (target_WH - self.source.beside(channel, origin=origin)["base_BH"]).cpu().numpy()
