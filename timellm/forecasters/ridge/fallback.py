"""What a large penalty leaves of a map: the mean of the context, its last value, or the best simple rule.

Shapes: L lags, F features, H horizon.
"""

from __future__ import annotations

import numpy as np

from timellm.config import LinearFallback
from timellm.forecasters.ridge.features import RidgeWindows
from timellm.forecasters.ridge.solve import Moments
from timellm.forecasters.simple_rules import Rule


def fallback_map(
    windows: RidgeWindows, name: LinearFallback, columns: np.ndarray, *, training: Moments, validation: Moments
) -> np.ndarray | None:
    """The map [F, H] of some scaled features that repeats what a fallback says; None for zeros, which repeat the mean.

    The best rule has the smallest squared error over the windows of both sums: a rule has nothing to fit, so that
    training windows tell of it as honestly as validation windows do.
    """
    if name == "mean":
        return None
    if name == "last":
        return _map(Rule("last"), windows)[columns]
    maps = (_map(rule, windows)[columns] for rule in windows.rules)
    return min(maps, key=lambda map_FH: training.squared(map_FH) + validation.squared(map_FH))


def _map(rule: Rule, windows: RidgeWindows) -> np.ndarray:
    """The map [F, H] of scaled features by which a rule forecasts; its weights sum to 1, so that the mean falls out."""
    map_FH = np.zeros((windows.count, windows.horizon))
    weights_LH = rule.weights(context=windows.lags, horizon=windows.horizon)
    map_FH[: windows.lags] = weights_LH / windows.scale_F[: windows.lags, None]
    return map_FH
