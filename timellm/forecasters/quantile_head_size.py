"""The size of a quantile head, from the settings alone; apart from the head, so that it loads no torch."""

from __future__ import annotations

from timellm.config import RunConfig

BESIDE = 3
"""Features of every window beside those of its network: mean, logarithm of the spread, and 1."""
_MOST_NUMBERS = 2_000_000
"""Of channels, steps and levels together; more channels share theirs."""


def rows_of(config: RunConfig) -> int:
    """Channels that have numbers of their own; 1 where all share them."""
    channels = len(config.data.channels)
    own = 1 < channels <= _MOST_NUMBERS // (config.task.horizon * max(len(config.quantiles), 1))
    return channels if own else 1


def head_weights(config: RunConfig, *, features: int) -> int:
    """Weights of the head of a network with these settings."""
    return len(config.quantiles) * config.task.horizon * (features + BESIDE + rows_of(config))
