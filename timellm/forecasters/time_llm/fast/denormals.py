"""The processor's switch for numbers too small for a full mantissa (below 1e-38)."""

from __future__ import annotations

import torch


def count_denormals_as_zero(zero: bool) -> None:
    """Set the switch, for this thread and those that it starts later; so it comes before the first product.

    A peaked softmax over prototypes is full of such numbers, and a processor takes many times as long for each: a tenth
    of a faithful step. It is a switch of the process and not of a network, so the network that was loaded last decides.
    """
    torch.set_flush_denormal(zero)
