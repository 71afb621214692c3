"""How much of what a network adds to its base is kept: a half of it, or less where that suits the validation windows.

A short training often points in the right direction and goes too far, and a validation part that is short cannot tell.
A half of an addition has at least three quarters of its gain where all of it would be best, and one quarter of its harm
where it is worth nothing: docs/recipe.md has the trials. The forecast is the base plus share times what is added, so
that every share is judged with the forecasts of one validation. This is shrinkage with one number, as in stacking
(Breiman, 1996); a share of 0 is the base alone.

Shapes: W windows, H horizon.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from timellm.training.evaluation import Validation, mean_squares

SHARES = (0.5, 0.25, 0.125)
"""Those that are tried."""
LEAST_GAIN = 0.03
"""Of the base's validation error: what is kept must gain so much. A share of almost anything gains a little, smaller
gains were luck in the trials, and a forecast that needs the network is far slower than its base."""
LEAST_DROP = 0.002
"""Of the lowest validation error: a training that waits for a lower one waits for so much."""


def with_share(found: Validation, share: float, *, base_error_WH: np.ndarray) -> Validation:
    """The validation with `share` of what the network adds to its base; `base_error_WH` are the errors of the base."""
    error_WH = base_error_WH + np.float32(share) * (found.error_WH - base_error_WH)
    loss, loss_W = mean_squares(error_WH)
    return replace(
        found,
        loss=loss,
        loss_W=loss_W,
        forecast_WH=found.forecast_WH + (found.error_WH - error_WH),
        error_WH=error_WH,
        share=share,
    )


@contextmanager
def keeping_share(network: nn.Module, share: float) -> Iterator[None]:
    """For the block that saves weights: the network adds `share` of what it does, and its quantiles are as they are.

    The network says by `forecast_start` which weights decide what is added, and what they are where nothing is. The
    forecast is linear in these weights.
    """
    if share == 1:
        yield
        return
    weights, kept = dict(network.named_parameters()), dict[str, Tensor]()
    with torch.no_grad():
        for name, start in network.forecast_start().items():
            kept[name] = weights[name].detach().clone()
            weights[name].copy_(start.lerp(kept[name], share))
        try:
            yield
        finally:
            for name, weight in kept.items():
                weights[name].copy_(weight)
