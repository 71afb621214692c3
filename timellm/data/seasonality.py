"""Find the seasons of a table in its values: a day, a week, a year, or whatever repeats.

Inputs: training rows and their frequency. Outputs: seasons in rows, and their names in words. The frequency alone does
not tell: hours of shop sales repeat every day and every week, hours of a tide every 12.4 hours, and some tables never.

A season is a peak of the autocorrelation that is clearly higher than those of all shorter seasons: a week of hours is
kept beside its day only if a week ago tells more than a day ago. Seasons of the calendar are added, because a year of
days hardly shows in two years of noise. Each is a candidate; which of them forecasts best is found by validation.

Pages use this, so it imports no torch.

Shapes: R rows, N channels, K lags.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset
from pandas.tseries.offsets import Tick

from timellm.errors import ConfigError

_STRETCH = 2**17
"""Latest rows that are looked at: enough for ten weeks of minutes or seven years of hours, and done in a second. Longer
seasons than half of it are of no use to a forecast, and the newest rows are the ones it continues."""
_MOST_CHANNELS = 16
"""Channels that are looked at, evenly spaced: seasons are common to a table's channels, or of no use to most."""
_HIGHER = 0.02
"""By how much a season must correlate better than every shorter one, so that 48 is not found beside 24."""
_SHARE = 0.4
"""Share of the best season's correlation that a shorter one needs: parts of a pattern are alike by chance."""
_PROMINENCE = 0.1
"""By how much a peak must rise above the lowest correlation before it: noise on a slow wave rises less."""
_WIDTH = 0.1
"""Share of a season within which its peak is the highest: the top of a year of noisy days has many peaks."""
_FLAT = 0.85
"""Share of a peak's correlation that a calendar season near it needs, to be named in its place."""
_FEWEST_PAIRS = 4
_NEAR = 0.02
"""A calendar season this close to one that was found is the same season."""
_UNITS: dict[str, dict[str, int]] = {
    "D": {"week": 7, "year": 365},
    "B": {"week": 5, "year": 261},
    "W": {"year": 52},
    "M": {"year": 12},
    "Q": {"year": 4},
}
_OF_TICKS = {name: pd.Timedelta(days=days) for name, days in {"day": 1, "week": 7, "year": 365}.items()}


def found_seasons(values_RN: np.ndarray, *, frequency: str, most: int = 4) -> tuple[int, ...]:
    """At most `most` seasons, in rows, shortest first, of which the training rows [R, N] hold two whole cycles each.

    Those that the autocorrelation shows come first, the best one ahead; those of the calendar fill up.

    Raises:
        ConfigError: pandas has no such frequency.
    """
    longest = len(values_RN) // 2
    calendar = [rows for rows in calendar_units(frequency).values() if rows <= longest]
    found = _peaks(values_RN)[::-1]
    for rows in calendar:
        if all(abs(rows - other) > _NEAR * other for other in found):
            found.append(rows)
    return tuple(sorted(found[:most]))


def shown_seasons(values_RN: np.ndarray, *, frequency: str, most: int = 4) -> tuple[tuple[int, float], ...]:
    """Seasons that the values [R, N] themselves show, with their autocorrelation: at most `most`, shortest first.

    A top that is as good as flat is given the length of the calendar: noise puts that of a year on day 353.

    Raises:
        ConfigError: pandas has no such frequency.
    """
    correlation_K, pairs_K = _autocorrelation(values_RN)
    seasons = []
    for lag in _peaks_of(correlation_K, pairs_K)[-most:]:
        units = calendar_units(frequency).values()
        near = [rows for rows in units if abs(rows - lag) <= _WIDTH / 2 * lag and rows < len(correlation_K)]
        rows = near[0] if near and correlation_K[near[0]] >= _FLAT * correlation_K[lag] else lag
        seasons.append((rows, float(correlation_K[rows])))
    return tuple(seasons)


def calendar_units(frequency: str) -> dict[str, int]:
    """Rows in an hour, a day, a week and a year, shortest first; those that are no whole number of rows are left out.

    Raises:
        ConfigError: pandas has no such frequency.
    """
    try:
        offset = to_offset(frequency)
    except ValueError:
        raise ConfigError(f"'{frequency}' is no pandas offset alias; use for example h, 15min, D, W or MS") from None
    if isinstance(offset, Tick):
        step = pd.Timedelta(offset)
        lengths = {"hour": pd.Timedelta(hours=1), **_OF_TICKS}
        rows = {name: length / step for name, length in lengths.items()}
    else:
        family = offset.rule_code.split("-")[0].removesuffix("S").removesuffix("E")
        rows = {name: count / offset.n for name, count in _UNITS.get(family, {}).items()}
    return {name: int(count) for name, count in rows.items() if count == int(count) and count > 1}


def season_title(season: int, frequency: str) -> str:
    """A season as a reader says it: "24 rows (a day)", "364 rows (52 weeks)", or "37 rows".

    Raises:
        ConfigError: pandas has no such frequency.
    """
    title = f"{season:,} rows" if season > 1 else "1 row"
    for name, rows in reversed(calendar_units(frequency).items()):
        if season % rows == 0:
            count = season // rows
            article = "an" if name == "hour" else "a"
            return f"{title} ({article} {name})" if count == 1 else f"{title} ({count:,} {name}s)"
    return title


def _peaks(values_RN: np.ndarray) -> list[int]:
    """Seasons that the autocorrelation shows, shortest first: each correlates better than the ones before it."""
    return _peaks_of(*_autocorrelation(values_RN))


def _peaks_of(correlation_K: np.ndarray, pairs_K: np.ndarray) -> list[int]:
    if len(correlation_K) < 4:
        return []
    at_K, before_K, after_K = correlation_K[2:-1], correlation_K[1:-2], correlation_K[3:]
    lowest_K = np.minimum.accumulate(before_K)
    error_K = 2 / np.sqrt(pairs_K)  # two standard errors of the correlation of unrelated values
    peaks = (at_K > before_K) & (at_K >= after_K) & (at_K - lowest_K > _PROMINENCE) & (at_K > error_K[2:-1])
    found: list[int] = []
    highest = -np.inf
    for lag in np.flatnonzero(peaks) + 2:
        height = correlation_K[lag]
        width = int(_WIDTH * lag)
        margin = max(_HIGHER, error_K[lag])
        if height > highest + margin and height >= correlation_K[max(lag - width, 1) : lag + width + 1].max():
            highest = height
            found.append(int(lag))
    return [lag for lag in found if correlation_K[lag] >= _SHARE * highest]


def _autocorrelation(values_RN: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Correlation of the rows with those K rows before, and the pairs it rests on, up to one lag beyond half the rows.

    Straight lines are subtracted, a missing value is left out of every product, and channels are averaged. A lag of
    which no channel has enough pairs correlates by 0.
    """
    values_RN = values_RN[-_STRETCH:]
    channels = np.linspace(0, values_RN.shape[1] - 1, min(values_RN.shape[1], _MOST_CHANNELS)).round().astype(int)
    lags = len(values_RN) // 2 + 2
    total_K, count_K, most_pairs_K = np.zeros(lags), np.zeros(lags), np.zeros(lags)
    for channel in channels:
        rest_R = _without_line(values_RN[:, channel])
        if rest_R is None:
            continue
        known_R = ~np.isnan(rest_R)
        products_K = lagged_products(np.where(known_R, rest_R, 0.0), lags)
        pairs_K = lagged_products(known_R.astype(np.float64), lags).round()
        enough_K = pairs_K >= max(_FEWEST_PAIRS, 0.1 * known_R.sum())
        variance = products_K[0] / pairs_K[0]
        total_K[enough_K] += products_K[enough_K] / (pairs_K[enough_K] * variance)
        count_K += enough_K
        most_pairs_K = np.maximum(most_pairs_K, pairs_K)
    return total_K / np.maximum(count_K, 1), np.maximum(most_pairs_K, 1)


def _without_line(values_R: np.ndarray) -> np.ndarray | None:
    """Values minus their straight line, in units of the largest; None for a channel of which nothing is left."""
    known = np.isfinite(values_R)
    if known.sum() < 2 * _FEWEST_PAIRS:
        return None
    row_K = np.flatnonzero(known) - np.flatnonzero(known).mean()
    known_K = values_R[known]
    largest = np.abs(known_K).max()
    if largest == 0:
        return None
    known_K = known_K / largest
    known_K = known_K - known_K.mean()
    known_K -= row_K * (row_K @ known_K) / (row_K @ row_K)
    if np.abs(known_K).max() < 1e-9:  # a constant or a straight line: what is left is rounding
        return None
    rest_R = np.full(len(values_R), np.nan)
    rest_R[known] = known_K
    return rest_R


def lagged_products(values_R: np.ndarray, lags: int) -> np.ndarray:
    """Sums of products of values `0 .. lags - 1` rows apart, by the Fourier transform."""
    size = 1 << (2 * len(values_R) - 1).bit_length()  # so far that the end does not meet the beginning
    spectrum = np.fft.rfft(values_R, size)
    return np.fft.irfft(spectrum.real**2 + spectrum.imag**2, size)[:lags]
