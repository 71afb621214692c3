"""Checks of a table's cells: missing ones, and channels that are empty, constant, nearly constant or only count rows.

Inputs: `Examined`. Outputs: findings. All but the nearly constant ones look at every channel.

Shapes: R rows, N channels, n channels of a block, K known values of one channel.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from timellm.data.gaps import blocks
from timellm.quality.examined import OFTEN, Examined, runs, windows_left_out
from timellm.quality.finding import Finding, RepairOffer
from timellm.quality.times import fill_for, severity_of

MOST_OF_A_KIND = 50
"""Channels of which a kind of finding is worked out in full, those with the most missing values first."""
_ROUNDING = 1e-6
"""Share of a counter's step by which rounding may change it."""
_NEARLY_ALL = 0.99
"""Share of the steps that are one number; rows that are left out make longer ones."""
_FIRST = 64
_FEWEST = 8
"""Values below which equal steps are nothing to speak of."""


def missing_values(table: Examined) -> Iterator[Finding]:
    """Cells without a value in rows that the file has, channel by channel, the most first."""
    absent = int(table.absent_R.sum())
    rows = len(table.index)
    missing_N = rows - table.known_count_N - absent
    order = np.argsort(-missing_N, kind="stable")
    for place, at in enumerate(order):
        count = int(missing_N[at])
        if count <= 0:
            return
        if count + absent == rows:  # an empty channel, which is a finding of its own
            continue
        yield _missing(table, int(at), count, in_full=place < MOST_OF_A_KIND)


def _missing(table: Examined, at: int, count: int, *, in_full: bool) -> Finding:
    name, rows = table.names[at], len(table.index)
    share = count / rows
    if not in_full:
        return Finding("missing_values", "warning", "windows_left_out", count, share, name)
    missing_R = np.isnan(table.values_RN[:, at])
    gaps = runs(missing_R & ~table.absent_R)
    lengths = gaps[:, 1] - gaps[:, 0] + 1
    first, last = (int(row) for row in np.flatnonzero(~missing_R)[[0, -1]])
    inner = (gaps[:, 0] > first) & (gaps[:, 1] < last)
    lost, possible = windows_left_out(runs(missing_R), rows=rows, window=table.touched)
    order = np.argsort(-lengths, kind="stable")
    return Finding(
        "missing_values",
        severity_of(lost, possible),
        "windows_left_out",
        count,
        share,
        name,
        where=table.spans(gaps[order], name),
        values={
            "gaps": len(gaps),
            "longest": int(lengths.max()),
            "rows_before_first_value": first,
            "rows_after_last_value": rows - 1 - last,
            "inner_gaps": int(inner.sum()),
            "inner_rows": int(lengths[inner].sum()),
            "longest_inner": int(lengths[inner].max()) if inner.any() else 0,
            "windows": possible,
            "windows_left_out": lost,
            "filled": table.filled,
        },
        # What lies before the first value or after the last one is no gap, and nothing is filled there.
        repair=fill_for(table, int(lengths[inner].max())) if inner.any() and not table.filled else None,
    )


def empty(table: Examined) -> Iterator[Finding]:
    """Channels without any value."""
    for at in np.flatnonzero(table.known_count_N == 0):
        name, rows = table.names[at], len(table.index)
        yield Finding(
            "empty", "grave", "cannot_start", rows, 1.0, name, where=(table.span(0, rows - 1, name),),
            repair=_without(name),
        )  # fmt: skip


def constant(table: Examined) -> Iterator[Finding]:
    """Channels that always have one value."""
    rows = len(table.index)
    for first, values_Rn in blocks(table.values_RN):
        low, high = np.fmin.reduce(values_Rn, axis=0), np.fmax.reduce(values_Rn, axis=0)
        for at in np.flatnonzero(low == high):
            name = table.names[first + at]
            known = int(table.known_count_N[first + at])
            yield Finding(
                "constant", "warning", "nothing_to_learn", known, 1.0, name, where=(table.span(0, rows - 1, name),),
                values={"value": float(low[at])}, repair=_without(name),
            )  # fmt: skip


def nearly_constant(table: Examined) -> Iterator[Finding]:
    """Channels that nearly always have one value, such as a valve that is open 2 % of the time."""
    for channel in table.channels:
        value, count = channel.commonest
        known = len(channel.kept_K)
        if not OFTEN * known <= count < known:
            continue
        other_R = channel.known_R & (channel.values_R != value)
        others = np.unique(channel.values_R[other_R])
        where = runs(other_R)
        yield Finding(
            "nearly_constant",
            "warning",
            "flattering_errors",
            known - count,
            1 - count / known,
            channel.name,
            where=table.spans(where[::-1], channel.name),
            values={
                "value": value,
                "other_values": len(others),
                "other_value": float(others[0]) if len(others) == 1 else None,
                "times": len(where),
            },
            repair=_without(channel.name),
        )


def counters(table: Examined) -> Iterator[Finding]:
    """Channels that grow by one number from row to row: a row number or an ID, and nothing that was measured."""
    for first, values_Rn in blocks(table.values_RN):
        for at in np.flatnonzero(_steady(values_Rn[:_FIRST], least=0.5)):
            step = _step(values_Rn[:, at])
            if step is not None:
                name, rows = table.names[first + at], len(table.index)
                yield Finding(
                    "counter", "warning", "nothing_to_learn", int(table.known_count_N[first + at]), 1.0, name,
                    where=(table.span(0, rows - 1, name),), values={"step": step}, repair=_without(name),
                )  # fmt: skip


def _steady(values_Kn: np.ndarray, *, least: float) -> np.ndarray:
    """Channels of which this share of the steps is one number that is not 0, bool [n]."""
    if len(values_Kn) < _FEWEST:
        return np.zeros(values_Kn.shape[1], bool)
    steps = np.diff(values_Kn, axis=0)
    known = ~np.isnan(steps)
    usual = np.median(np.where(known, steps, 0.0), axis=0)
    same = np.abs(steps - usual) <= _ROUNDING * np.abs(usual)
    return (usual != 0) & (same.sum(axis=0) >= least * np.maximum(known.sum(axis=0), 1))


def _step(values_R: np.ndarray) -> float | None:
    """The step of a counter; None for other channels."""
    kept_K = values_R[~np.isnan(values_R)]
    if len(kept_K) < _FEWEST or not _steady(kept_K[:, None], least=_NEARLY_ALL)[0]:
        return None
    steps = np.diff(kept_K)
    return float(np.median(steps)) if (steps > 0).all() or (steps < 0).all() else None


def _without(channel: str) -> RepairOffer:
    return RepairOffer("drop", {"channel": channel})
