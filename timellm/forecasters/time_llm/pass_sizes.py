"""Sizes of the passes that read prompts; apart from the passes, so that the estimate of memory loads no torch."""

from __future__ import annotations

LENGTHS = 8
"""Prompts are padded to a multiple of so many tokens: the library keeps buffers for every shape of matrix product."""
MOST_KEPT_BYTES = 256 * 2**20
"""Of keys and values that a training keeps, because their prompts may come again."""


def prompts_in_pass(*, on_cpu: bool, quantized: bool) -> int:
    """Prompts in one pass, always.

    Few, because a pass is filled up and most prompts of a batch may be kept already; a processor is as fast with 8 of
    40 tokens as with 32. A graphics card is not, and each pass unpacks quantised weights anew.
    """
    return 8 if on_cpu and not quantized else 32
