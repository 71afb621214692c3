"""How many windows one forward pass without gradient takes; apart from the passes, so that it loads no torch."""

from __future__ import annotations

import math

EVALUATION_BATCH = 64
"""Windows in one forward pass without gradient, always; more does not run faster and takes memory."""


def evaluated_windows(windows: int) -> int:
    """Windows that are calculated without gradient to forecast so many: the last batch is filled up."""
    return math.ceil(windows / EVALUATION_BATCH) * EVALUATION_BATCH
