"""Errors of quantiles and bands: pinball loss, weighted quantile loss, scaled CRPS, coverage, width, Winkler score.

Inputs: actual values, and quantiles or the two ends of a band, in original units; NaN where one is missing. Outputs:
the value of every point, NaN where it is undefined, which can be added up batch by batch with its count; and the
measures that are no plain mean of these. `MEASURES` has the words for each.

Shapes: B windows of a batch, H horizon, Q quantiles in ascending order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from timellm.errors import ConfigError


@dataclass(frozen=True)
class Measure:
    """The words for one measure of quantiles or bands."""

    short: str
    """In a table's heading."""
    name: str
    """Written out, as it stands after "the" in a sentence."""
    explanation: str
    source: str


MEASURES: Mapping[str, Measure] = {
    "pinball": Measure(
        "Pinball loss",
        "mean pinball loss",
        "Mean over points and quantiles: the miss, times q where the actual value lies above the q quantile, and times"
        " 1 - q where it lies below. In the data's own units; lower is better.",
        "Koenker and Bassett 1978; as in the M5 competition, without the factor 2 that some texts have",
    ),
    "wql": Measure(
        "WQL",
        "weighted quantile loss",
        "Twice the sum of pinball losses over the sum of absolute actual values, as a mean over the quantiles. With the"
        " median alone it is WAPE as a share. Lower is better; undefined where all actual values are 0.",
        "Salinas et al. 2020 (DeepAR); as in GluonTS and AutoGluon",
    ),
    "scaled_crps": Measure(
        "Scaled CRPS",
        "scaled continuous ranked probability score",
        "The weighted quantile loss of each channel alone, as a mean over channels: twice the mean pinball loss is the"
        " CRPS, worked out from the quantiles at hand. Lower is better; a channel whose actual values are all 0 is left"
        " out.",
        "Rangapuram et al. 2021; as in utilsforecast",
    ),
    "coverage": Measure(
        "Coverage",
        "coverage",
        "Share of the actual values inside the band, its ends included. It should be the level of the band: neither"
        " lower nor higher.",
        "Hyndman and Athanasopoulos, Forecasting: Principles and Practice, section 5.5",
    ),
    "width": Measure(
        "Width",
        "mean width of the band",
        "Mean distance between the ends of the band, in the data's own units. Of two bands that cover as promised, the"
        " narrower one is better.",
        "Gneiting and Raftery 2007, section 6.2",
    ),
    "winkler": Measure(
        "Winkler score",
        "Winkler score",
        "Mean width of the band, plus 2 / (1 - level) times the distance of an actual value that lies outside. In the"
        " data's own units; lower is better.",
        "Winkler 1972; Hyndman and Athanasopoulos, section 5.9",
    ),
}
"""Every measure by the name that files and tables have for it."""


def pinball(actual_BH: np.ndarray, quantiles_BHQ: np.ndarray, *, levels_Q: np.ndarray) -> np.ndarray:
    """Pinball loss of every point and quantile, [B, H, Q].

    Raises:
        ConfigError: the levels are not between 0 and 1, not in ascending order, or not as many as the quantiles.
    """
    levels_Q = _levels(levels_Q, quantiles_BHQ)
    miss_BHQ = actual_BH[..., None] - quantiles_BHQ
    return np.maximum(levels_Q * miss_BHQ, (levels_Q - 1) * miss_BHQ)


def weighted_quantile_loss(actual_BH: np.ndarray, quantiles_BHQ: np.ndarray, *, levels_Q: np.ndarray) -> float:
    """Twice the sum of pinball losses over the sum of absolute actual values, as a mean over quantiles.

    Points without an actual value or without all quantiles are left out. NaN if no point remains, or if the actual
    values that remain are all 0.

    Raises:
        ConfigError: as `pinball`.
    """
    loss_BH = pinball(actual_BH, quantiles_BHQ, levels_Q=levels_Q).mean(axis=-1)
    known_BH = ~np.isnan(loss_BH)
    size = np.abs(actual_BH[known_BH]).sum()
    return float(2 * loss_BH[known_BH].sum() / size) if size > 0 else float("nan")


def scaled_crps(
    actual_BH: np.ndarray, quantiles_BHQ: np.ndarray, *, levels_Q: np.ndarray, channel_B: np.ndarray
) -> float:
    """The weighted quantile loss of each channel, as a mean over channels; `channel_B` numbers each window's channel.

    Channels for which it is undefined are left out; NaN if it is for all.

    Raises:
        ConfigError: as `pinball`.
    """
    found = [
        weighted_quantile_loss(actual_BH[channel_B == one], quantiles_BHQ[channel_B == one], levels_Q=levels_Q)
        for one in np.unique(channel_B)
    ]
    known = [loss for loss in found if not np.isnan(loss)]
    return float(np.mean(known)) if known else float("nan")


def covered(actual_BH: np.ndarray, low_BH: np.ndarray, high_BH: np.ndarray) -> np.ndarray:
    """1 where the actual value lies in the band, its ends included, and 0 where it does not: [B, H].

    Their mean is the coverage. NaN where a value or an end is missing.
    """
    inside_BH = ((low_BH <= actual_BH) & (actual_BH <= high_BH)).astype(np.float64)
    return np.where(np.isnan(actual_BH + low_BH + high_BH), np.nan, inside_BH)


def width(low_BH: np.ndarray, high_BH: np.ndarray) -> np.ndarray:
    """Distance between the ends of the band, [B, H]; NaN where an end is missing."""
    return high_BH - low_BH


def winkler(actual_BH: np.ndarray, low_BH: np.ndarray, high_BH: np.ndarray, *, level: float) -> np.ndarray:
    """Winkler score of every point of a band that should hold the share `level` of the values, [B, H].

    Raises:
        ConfigError: the level is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ConfigError(f"a band's level is a share between 0 and 1, such as 0.8, not {level!r}")
    outside_BH = np.maximum(low_BH - actual_BH, 0) + np.maximum(actual_BH - high_BH, 0)
    return width(low_BH, high_BH) + 2 / (1 - level) * outside_BH


def mean_known(points: np.ndarray) -> float:
    """Mean of the points that are defined; NaN if none is."""
    known = points[~np.isnan(points)]
    return float(known.mean()) if known.size else float("nan")


def _levels(levels_Q: np.ndarray, quantiles_BHQ: np.ndarray) -> np.ndarray:
    levels_Q = np.asarray(levels_Q, np.float64)
    if levels_Q.ndim != 1 or not len(levels_Q) or not ((levels_Q > 0) & (levels_Q < 1)).all():
        raise ConfigError(f"levels of quantiles are shares between 0 and 1, such as 0.1, not {levels_Q.tolist()}")
    if not (np.diff(levels_Q) > 0).all():
        raise ConfigError(f"levels of quantiles are given in ascending order, each once, not as {levels_Q.tolist()}")
    if quantiles_BHQ.shape[-1] != len(levels_Q):
        raise ConfigError(f"{quantiles_BHQ.shape[-1]} quantiles do not fit {len(levels_Q)} levels")
    return levels_Q
