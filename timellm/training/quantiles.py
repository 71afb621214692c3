"""What training knows of a network that gives quantiles, and their loss.

Such a network has `quantile_levels`, and is given `channel_B`, the channel of every window; it then returns
[B, H, 1 + Q]: the forecast, and behind it the offsets of Q quantiles from it. It is trained with the loss of its
forecast plus twice the mean pinball loss of the quantiles, which comes near the CRPS as levels become dense. Offsets
are learned round the forecast as it stands: the pinball loss gives no gradient to it, so that it stays a mean.

Shapes: B batch, W windows, H horizon, Q quantiles.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

WEIGHT = 2.0
"""Of the mean pinball loss beside the loss of the forecast."""


def levels_of(network: nn.Module) -> tuple[float, ...]:
    """Levels of the quantiles that a network gives; empty for most."""
    return getattr(network, "quantile_levels", ())


def pinball(error_BH: Tensor, offset_BHQ: Tensor, levels: tuple[float, ...]) -> Tensor:
    """Mean pinball loss of each window [B] (Koenker and Bassett, 1978); errors are target less forecast."""
    levels_Q = torch.tensor(levels, dtype=offset_BHQ.dtype, device=offset_BHQ.device)
    miss_BHQ = error_BH[..., None] - offset_BHQ
    return torch.maximum(levels_Q * miss_BHQ, (levels_Q - 1) * miss_BHQ).mean(dim=(1, 2))
