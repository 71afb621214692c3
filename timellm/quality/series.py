"""Checks of how a channel behaves: outliers, level shifts, growing variance.

Inputs: `Examined`. Outputs: findings. Each threshold is set so that what data does by itself (daily and yearly waves,
random walks, rain, heavy tails) is not found; tests hold it to that on synthetic and real tables.

Shapes: R rows, K known values, B blocks of rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

from timellm.quality.examined import Channel, Examined, runs
from timellm.quality.finding import Finding, RepairOffer

_FEWEST = 100
"""Known values below which these checks say nothing: there is too little to tell usual from unusual."""
_TAIL = 0.01
"""Share of a channel's values that may be outliers; more of them are how the channel behaves."""
_FAR = 5.0
"""How many times as far from the middle as 99 % of the values an outlier is. A normal distribution reaches 2.1 times
in a million values, rain (exponential) 3.4 times."""
_GAP = 2.0
"""An outlier also lies so many times as far out as the farthest usual value: a heavy tail thins out, without a gap."""
_MATTERS = 0.5
"""Share of the usual distance from the middle that a spike between usual values must have; a smaller one does no harm
to errors."""
_MOST_BLOCKS, _FEWEST_BLOCKS = 2000, 60
_SURE = 6.0
"""Robust standard deviations by which a level shift must exceed the usual change. The largest of 2000 normal changes is
3.5 of them, and a wave never exceeds 1."""
_CLEAR = 3.0
"""How many times the spread of the blocks beside it a level shift is."""
_AT_ONCE = 0.75
"""Share of a level shift that must happen within a cycle of the calendar; of a steady fall it is half."""
_MOST_SHIFTS = 5
"""A channel whose level changes more often does so by itself: a state, not an event."""
_VARIANCE_BLOCKS = 40
_RATIO = 2.0
"""How much the spread must have grown: bands from half the spread miss a third of the values that they promise."""
_TREND = 0.6
"""Rank correlation of spread and time; of 40 unrelated blocks it is 0.16 at random."""
_MAD = 1.4826  # makes the median absolute deviation of normal values their standard deviation


def outliers(table: Examined) -> Iterator[Finding]:
    """Single values far from all others of their channel, or far from both neighbours."""
    for channel in table.lively:
        if len(channel.kept_K) < _FEWEST:
            continue
        values_R = channel.values_R
        low, high = _usual(values_R, channel)
        extreme_R = (values_R < low) | (values_R > high)
        beside_R = _beyond_neighbours(values_R)
        low_beside, high_beside = _usual(beside_R, Channel(channel.name, beside_R))
        spike_R = (beside_R < low_beside) | (beside_R > high_beside)
        if spike_R.any():
            spike_R &= np.abs(beside_R) > _MATTERS * _spread(channel)[1]
        found_R = extreme_R | spike_R
        where = runs(found_R)
        if not len(where):
            continue
        farthest = np.abs(values_R - np.median(channel.sample))
        order = sorted(where.tolist(), key=lambda one: -float(np.nanmax(farthest[one[0] : one[1] + 1])))
        spans = table.spans(np.array(order), channel.name)
        usual = values_R[~found_R & channel.known_R]
        lowest, highest = _outwards(float(usual.min()), float(usual.max()))
        outside = bool(((values_R < lowest) | (values_R > highest)).any())
        yield Finding(
            "outliers",
            "warning",
            "large_errors",
            int(found_R.sum()),
            int(found_R.sum()) / len(channel.kept_K),
            channel.name,
            where=spans,
            values={
                "examples": [float(values_R[span.first_row]) for span in spans[:3]],
                "usual_low": lowest,
                "usual_high": highest,
                "inside_usual_range": not outside,
                "far_from": "all others" if extreme_R.any() else "both neighbours",
            },
            # A value that is wrong only beside its neighbours is not mended by limits.
            repair=RepairOffer("clip", {"channel": channel.name, "lower": lowest, "upper": highest})
            if outside
            else None,
        )


def _beyond_neighbours(values_R: np.ndarray) -> np.ndarray:
    """How far each value stands out from the nearer of its two neighbours; 0 for one between them, NaN beside a gap."""
    up, down = values_R[1:-1] - values_R[:-2], values_R[1:-1] - values_R[2:]
    found_R = np.full(len(values_R), np.nan)
    found_R[1:-1] = np.where(up * down < 0, 0.0, np.where(np.abs(up) < np.abs(down), up, down))
    found_R[1:-1][np.isnan(up + down)] = np.nan
    return found_R


def _usual(values_R: np.ndarray, channel: Channel) -> tuple[float, float]:
    """Limits beyond which values are outliers; endless where there are none."""
    endless = -np.inf, np.inf
    middle, usual = _spread(channel)
    if not usual > 0:
        return endless
    with np.errstate(invalid="ignore"):
        distant_R = np.abs(values_R - middle)
        far = np.sort(distant_R[distant_R > _FAR / _GAP * usual])
        if not len(far) or far[-1] < _FAR * usual or len(far) > max(_TAIL * len(channel.kept_K), 1):
            return endless
        nearest = np.max(distant_R[distant_R <= _FAR / _GAP * usual])
    steps = far / np.concatenate([[nearest], far[:-1]])
    gaps = np.flatnonzero((far >= _FAR * usual) & (steps >= _GAP))
    if not len(gaps):
        return endless
    limit = float(far[gaps[0]]) * (1 - 1e-12)
    return middle - limit, middle + limit


def _spread(channel: Channel) -> tuple[float, float]:
    """The median, and the distance from it within which 99 % of the values lie."""
    if not len(channel.kept_K):
        return 0.0, 0.0
    middle = float(np.median(channel.sample))
    return middle, float(np.quantile(np.abs(channel.sample - middle), 1 - _TAIL))


def _outwards(low: float, high: float) -> tuple[float, float]:
    """Limits with a few digits that hold both."""
    if not high > low:
        return low, high
    digits = 4 - math.floor(math.log10(high - low))
    step = 10.0**-digits
    return min(low, round(low - step / 2, digits)), max(high, round(high + step / 2, digits))


def level_shifts(table: Examined) -> Iterator[Finding]:
    """Moments after which a channel stays on another level."""
    size = _block_rows(table)
    side, short = _side_blocks(table, size)
    for channel in table.lively:
        blocks_B, place_B = _block_means(channel.values_R, size)
        if len(blocks_B) < max(_FEWEST_BLOCKS, 4 * side) or len(channel.kept_K) < _FEWEST:
            continue
        at, jumps = _shifts(blocks_B, side, short)
        if not 0 < len(at) <= _MOST_SHIFTS:
            continue
        order = np.argsort(-np.abs(jumps), kind="stable")
        rows = [_first_row(channel.values_R, int(place_B[block]), size, side) for block in at]
        spread = float(np.std(channel.sample))
        yield Finding(
            "level_shift",
            "warning",
            "old_level",
            len(at),
            None,
            channel.name,
            where=table.spans(np.array([[rows[one]] * 2 for one in order]), channel.name),
            values={
                "shifts": [
                    {
                        "at": table.index[rows[one]],
                        "by": float(jumps[one]),
                        "deviations": float(abs(jumps[one]) / spread) if spread else None,
                    }
                    for one in order
                ],
                "rows_after_last": len(table.index) - max(rows),
            },
        )


def _shifts(blocks_B: np.ndarray, side: int, short: int) -> tuple[np.ndarray, np.ndarray]:
    """Blocks at which a new level begins, and by how much it differs; most of it within `short` blocks."""
    medians = np.median(sliding_window_view(blocks_B, 2 * side), axis=1)
    jump = medians[2 * side :] - medians[: -2 * side]  # at block i + 2 * side
    local = np.median(np.abs(sliding_window_view(blocks_B, 2 * side) - medians[:, None]), axis=1) * _MAD
    beside = np.maximum(local[2 * side :], local[: -2 * side])
    jump -= np.median(jump)  # a trend is no shift
    usual = _MAD * np.median(np.abs(jump))
    smallest = 1e-9 * max(float(np.abs(blocks_B).max()), 1e-300)
    sure = (np.abs(jump) > _SURE * max(usual, smallest)) & (np.abs(jump) > _CLEAR * np.maximum(beside, smallest))
    found: list[int] = []
    by: list[float] = []
    left = np.where(sure, np.abs(jump), 0.0)
    while len(found) <= _MOST_SHIFTS and left.max() > 0:
        peak = int(left.argmax())
        begin = _edge(blocks_B, peak, side)
        at_once = blocks_B[begin : begin + short].mean() - blocks_B[max(0, begin - short) : begin].mean()
        if at_once / jump[peak] >= _AT_ONCE:
            found.append(begin)
            by.append(float(jump[peak]))
        left[max(0, peak - 2 * side) : peak + 2 * side + 1] = 0.0
    return np.array(found, int), np.array(by)


def _edge(blocks_B: np.ndarray, peak: int, side: int) -> int:
    """The block from which on the level is another, near a peak of the jumps: where two means explain most."""
    first, last = peak, peak + 4 * side
    part = blocks_B[first:last]
    left = np.arange(1, len(part))
    sums = np.cumsum(part)[:-1]
    contrast = left * (len(part) - left) * (sums / left - (part.sum() - sums) / (len(part) - left)) ** 2
    return first + int(contrast.argmax()) + 1


def _first_row(values_R: np.ndarray, block: int, size: int, side: int) -> int:
    """The first row of a level that begins near a block: rows before it are nearer to the blocks before."""
    count = len(values_R) // size
    parts = values_R[: count * size].reshape(count, size)
    first, last = max(block - 2, 0), min(block + 2, count)
    before, after = parts[max(0, first - side) : first], parts[last : last + side]
    if size == 1 or not len(before) or not len(after):
        return block * size
    near = parts[first:last]
    with np.errstate(invalid="ignore"):
        worse = (near - _means(before)) ** 2 - (near - _means(after)) ** 2
    costs = np.concatenate([[0.0], np.cumsum(np.nan_to_num(worse.ravel()))])
    return first * size + int(costs.argmin())


def _means(parts: np.ndarray) -> np.ndarray:
    """Mean of each column of blocks, NaN where none is known."""
    known = np.count_nonzero(~np.isnan(parts), axis=0)
    return np.divide(np.nansum(parts, axis=0), known, out=np.full(parts.shape[1], np.nan), where=known > 0)


def growing_variance(table: Examined) -> Iterator[Finding]:
    """Channels whose changes from row to row have become much larger from the first quarter to the last."""
    for channel in table.lively:
        steps = np.abs(np.diff(channel.kept_K))
        size = len(steps) // _VARIANCE_BLOCKS
        if size < 5:
            continue
        spread_B = steps[-size * _VARIANCE_BLOCKS :].reshape(_VARIANCE_BLOCKS, size).mean(axis=1)
        quarter = _VARIANCE_BLOCKS // 4
        before, now = float(np.median(spread_B[:quarter])), float(np.median(spread_B[-quarter:]))
        if not before > 0 or now < _RATIO * before:
            continue
        ranks = pd.Series(spread_B).rank().to_numpy()
        trend = float(np.corrcoef(ranks, np.arange(_VARIANCE_BLOCKS))[0, 1])
        if trend < _TREND:
            continue
        positions = np.flatnonzero(channel.known_R)
        begin = int(positions[-size * quarter])
        yield Finding(
            "growing_variance", "warning", "narrow_bands", size * quarter, None, channel.name,
            where=(table.span(begin, int(positions[-1]), channel.name),),
            values={"ratio": now / before, "before": before, "now": now},
        )  # fmt: skip


def _block_rows(table: Examined) -> int:
    """Rows of a block: a day or an hour where there are enough of them, so that their waves average out."""
    rows = len(table.index)
    for name in ("day", "hour"):
        size = table.calendar.get(name, 0)
        if size and _FEWEST_BLOCKS <= rows // size <= _MOST_BLOCKS:
            return size
    return max(1, -(-rows // _MOST_BLOCKS))


def _side_blocks(table: Examined, size: int) -> tuple[int, int]:
    """Half of the blocks that are compared on each side, and those in which a shift must happen.

    Both are whole days or weeks, so that their waves do not count; a year is too slow a wave to matter for the latter.
    """
    for name in ("day", "week", "year"):
        blocks, rest = divmod(table.calendar.get(name, 0), size)
        if not rest and 5 <= blocks <= 60:
            side = blocks if blocks <= 30 else -(-blocks // 2)
            return side, max(2, side // 6) if name == "year" else side
    return 10, 3


def _block_means(values_R: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Means of whole blocks of rows, and their numbers; blocks without a known value are left out."""
    count = len(values_R) // size
    parts = values_R[: count * size].reshape(count, size)
    known = np.count_nonzero(~np.isnan(parts), axis=1)
    sums = np.nansum(parts, axis=1)
    place = np.flatnonzero(known)
    return sums[place] / known[place], place
