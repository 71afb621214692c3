"""Whether a step is better than the forecaster that training began with, or only lucky on the validation windows.

The lowest of many validation errors is partly luck. A network that begins as a good forecaster (Time-LLM begins as a
ridge) would be given up for a worse one on most tables where training finds nothing. So a step takes its place only if
its error is lower by more than one standard error of the difference (the rule by which Breiman et al., 1984, choose a
tree; section 3.4.3).

Shapes: W windows, K blocks.
"""

from __future__ import annotations

import numpy as np

FEWEST_INDEPENDENT = 8
"""Windows that do not overlap; fewer tell little."""


def blocks(origin_W: np.ndarray, horizon: int) -> int:
    """Blocks of windows that share no actual value with another block."""
    return len(np.unique((origin_W - origin_W.min()) // horizon)) if len(origin_W) else 0


def is_surely_lower(
    loss_W: np.ndarray,
    start_W: np.ndarray,
    *,
    origin_W: np.ndarray,
    horizon: int,
    channel_W: np.ndarray | None = None,
    errors: float = 1.0,
) -> bool:
    """Whether the mean of `loss_W` is below that of `start_W` by more than some standard errors of the difference.

    Windows that begin within one horizon of each other share actual values and count as one block. Where that leaves
    fewer than two, as in a panel whose series have one window each, every channel of `channel_W` is a block, if there
    are at least `FEWEST_INDEPENDENT`. Otherwise the standard error is not known, and a lower mean is enough.
    """
    difference_W = np.asarray(loss_W, np.float64) - np.asarray(start_W, np.float64)
    _, block_W = np.unique((origin_W - origin_W.min()) // horizon, return_inverse=True)
    if block_W.max() == 0 and channel_W is not None:
        channels, by_channel_W = np.unique(channel_W, return_inverse=True)
        block_W = by_channel_W if len(channels) >= FEWEST_INDEPENDENT else block_W
    windows_K = np.bincount(block_W)
    mean = difference_W.mean()
    if len(windows_K) < 2:
        return bool(mean < 0)
    # By blocks of unequal sizes: the variance of a ratio (Cochran 1977, section 2.11).
    left_K = np.bincount(block_W, weights=difference_W - mean) / windows_K.mean()
    error = np.sqrt(np.square(left_K).sum() / (len(left_K) * (len(left_K) - 1)))
    return bool(mean < -errors * error)
