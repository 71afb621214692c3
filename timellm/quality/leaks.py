"""Check for columns that hold another one's values: at the same row, or shifted in time.

Inputs: `Examined`. Outputs: findings. A column that shows a channel's values before their time makes scores look better
than any forecast will be.

Pairs are found by the correlation of changes from row to row, at every lag, over the latest rows; changes, because slow
waves and trends are alike in most tables. A pair counts if it correlates nearly perfectly at one lag and clearly less
at all others: two channels with one strict season are alike at many.

Shapes: R rows, C columns, L lags.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from timellm.quality.examined import Examined
from timellm.quality.finding import Finding, RepairOffer, Severity

_LATEST = 2**14
_MOST_COLUMNS = 16
_LONGEST_LAG = 1000
_ALIKE = 0.995
"""Correlation of changes from which on two columns are one: noise of 10 % of the changes lowers it below that."""
_NEARLY = 0.95
"""Correlation from which on it is worked out exactly, over the rows that both columns have at the lag."""
_ELSEWHERE = 0.9
"""Correlation at another lag from which on it is a common season, and no copy."""
_FEWEST = 50


def leaks(table: Examined) -> Iterator[Finding]:
    """Columns that equal a channel, at the same row or shifted."""
    names, changes_CR, ahead = _columns(table)
    if len(names) < 2:
        return
    rows = changes_CR.shape[1]
    size = 1 << (2 * rows - 1).bit_length()
    spectra = np.fft.rfft(changes_CR, size)
    longest = min(_LONGEST_LAG, rows // 4)
    norms = np.sqrt((changes_CR**2).sum(axis=1))
    overlap = 1 - np.abs(np.arange(-longest, longest + 1)) / rows
    for one in range(len(names)):
        for other in range(one + 1, len(names)):
            if names[one] in ahead and names[other] in ahead:
                continue
            products = np.fft.irfft(spectra[one] * np.conj(spectra[other]), size)
            # At lag k > 0, `one` repeats what `other` was k rows before.
            lagged = np.concatenate([products[-longest:], products[: longest + 1]]) / (norms[one] * norms[other])
            strength = np.abs(lagged) / overlap
            peak = int(strength.argmax())
            if strength[peak] < _NEARLY or _is_season(strength, peak):
                continue
            lag = peak - longest
            correlation = _correlation(changes_CR[one], changes_CR[other], lag)
            if correlation >= _ALIKE:
                yield from _findings(table, ahead, (names[one], names[other]), lag, correlation)


def _columns(table: Examined) -> tuple[list[str], np.ndarray, set[str]]:
    """Columns to compare, their changes from row to row without mean (0 where unknown), and those known ahead."""
    known = table.table.known
    rows = min(_LATEST, len(table.index))
    found = {one.name: one.values_R[-rows:] for one in table.lively[:_MOST_COLUMNS]}
    ahead: set[str] = set()
    if known is not None and known.values_SNK.shape[1] == 1:
        begin = len(table.index) - rows
        for place, name in enumerate(known.names[:_MOST_COLUMNS]):
            if name not in known.categories and name not in found:
                found[name] = known.values_SNK[begin : len(table.index), 0, place]
                ahead.add(name)
    names, changes = [], []
    for name, values_R in found.items():
        change = np.diff(values_R)
        there = ~np.isnan(change)
        if there.sum() < max(_FEWEST, 0.5 * len(change)):
            continue
        change = np.where(there, change - change[there].mean(), 0.0)
        largest = np.abs(change).max()
        if largest > 1e-12 * max(float(np.nanmax(np.abs(values_R))), 1e-300):
            names.append(name)
            changes.append(change / largest)
    return names, np.array(changes), ahead


def _is_season(strength: np.ndarray, peak: int) -> bool:
    """Whether other lags correlate nearly as well, away from the peak itself."""
    apart = np.abs(np.arange(len(strength)) - peak) > 2
    return bool((strength[apart] > _ELSEWHERE * strength[peak]).any())


def _correlation(one_R: np.ndarray, other_R: np.ndarray, lag: int) -> float:
    """Correlation of `one` with `other` from `lag` rows before, without its sign."""
    if lag < 0:
        one_R, other_R, lag = other_R, one_R, -lag
    one_R, other_R = one_R[lag:], other_R[: len(other_R) - lag]
    there = (one_R != 0) | (other_R != 0)
    if there.sum() < _FEWEST:
        return 0.0
    return float(abs(np.corrcoef(one_R, other_R)[0, 1]))


def _findings(
    table: Examined, ahead: set[str], pair: tuple[str, str], lag: int, correlation: float
) -> Iterator[Finding]:
    """Of a pair that is one column; named by the one that shows the other's values before their time."""
    early, late = pair[::-1] if lag >= 0 else pair
    lag = abs(lag)
    if early in ahead or late in ahead:
        # Known ahead, it must not hold a channel's values of the horizon; values from before it may be known.
        suspect, target = (early, late) if early in ahead else (late, early)
        if suspect == late and lag >= table.task.horizon:
            return
        severity: Severity = "grave"
    else:
        suspect, target = early, late
        severity = "warning" if lag else "fact"
    leading = bool(lag) or severity == "grave"
    yield Finding(
        "leak" if leading else "copy",
        severity,
        "known_answer" if leading else "redundant",
        lag,
        None,
        suspect,
        where=(table.span(0, len(table.index) - 1),),
        values={
            "of": target,
            "rows_ahead": lag if suspect == early else -lag,
            "correlation": correlation,
            "known_ahead": suspect in ahead,
        },
        repair=RepairOffer("drop", {"channel": suspect}) if suspect not in ahead else None,
    )
