"""An even step: the records of each step made one row, which stands at the step's begin.

A row holds what was recorded from its own time up to the next row's, so that it is complete when the next row begins,
and no row knows of records that come after it. Steps are counted from fixed points (midnight of 1970-01-01, Monday, the
first of a month), so that a newer table is cut at the same places. A first or last step that a series covers in part is
left out where its records are dense enough to tell; a mean of half a day would otherwise stand for the day.

Shapes: E records, C columns.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from pandas.errors import OutOfBoundsDatetime, OutOfBoundsTimedelta
from pandas.tseries.frequencies import to_offset
from pandas.tseries.offsets import Day, MonthBegin, QuarterBegin, Tick, Week, YearBegin

from timellm.config.repair import RepairStep
from timellm.data.repair.entries import Entries
from timellm.data.repair.merging import aggregate
from timellm.data.repair.report import StepReport
from timellm.errors import ConfigError

_LATEST = 50  # steps between records that say how dense a series is at its end
_SHORTEST = pd.Timedelta(milliseconds=1)
_LONGEST = pd.Timedelta(days=36_525)
_MONDAY = np.datetime64("1970-01-05", "us")


def resample(entries: Entries, step: RepairStep) -> tuple[Entries, StepReport]:
    """Make `resample:STEP:HOW`.

    Raises:
        ConfigError: the step has no meaning.
    """
    offset = parse_step(step.arguments[0])
    order = np.lexsort((np.arange(len(entries)), entries.times.to_numpy(), entries.series))
    entries = replace(
        entries, times=entries.times.iloc[order], series=entries.series[order], values=entries.values[order]
    )
    starts = step_starts(pd.DatetimeIndex(entries.times), offset)
    over = _in_whole_steps(entries, starts, offset)
    notes = []
    if not over.all():
        part = pd.DatetimeIndex(np.unique(starts[~over]))
        notes.append(
            f"{int((~over).sum()):,} records are left out, because the table covers their steps in part only: those"
            f" that begin at {' and '.join(map(str, part[[0, -1]].unique()))}."
        )
    kept = entries.only(over)
    if not len(kept):
        raise ConfigError(
            f"'{step}' leaves no row: the table covers no whole step of {step.arguments[0]}; give a shorter one"
        )
    merged, report = aggregate(kept, starts[over], step.arguments[1])
    per_row = np.bincount(pd.factorize(pd.MultiIndex.from_arrays([kept.series, starts[over]]))[0])
    usual = int(np.median(per_row))
    few = int((per_row < usual).sum())
    notes.append(f"{len(kept):,} records became {len(merged):,} rows, usually {usual:,} a row.")
    if few:
        notes.append(f"{few:,} rows come of fewer.")
    removed = {
        name: report.removed.get(name, 0) + count
        for name, count in entries.by_channel(~np.isnan(entries.values) & ~over[:, None]).items()
    }
    report = replace(report, step=step, removed={**report.removed, **removed}, notes=tuple(notes))
    changed = np.asarray(starts != entries.times.to_numpy())
    return merged, replace(report, places=entries.places(changed))


def parse_step(alias: str) -> pd.DateOffset:
    """A step as a pandas offset, with an anchor where it needs one.

    Raises:
        ConfigError: it is none, or steps of it cannot be counted from a fixed point.
    """
    example = "use for example 15min, h, 3h, D, W-MON, MS, QS or YS"
    try:
        offset = to_offset("W-MON" if alias == "W" else alias)
        length = pd.Timestamp("2000-01-01") + offset - pd.Timestamp("2000-01-01")
        beyond = not _SHORTEST <= length <= _LONGEST
    except (OverflowError, OutOfBoundsDatetime, OutOfBoundsTimedelta):
        offset, beyond = None, True
    except ValueError:
        raise ConfigError(f"a table cannot be resampled to '{alias}', which is no step; {example}") from None
    if beyond or offset is None or offset.n < 1:  # a step that goes back has a length below 0, too
        raise ConfigError(f"a table cannot be resampled to '{alias}'; {example}")
    if isinstance(offset, Tick | Day | Week) or (
        isinstance(offset, MonthBegin | QuarterBegin | YearBegin) and offset.n == 1
    ):
        return offset
    raise ConfigError(
        f"a table cannot be resampled to '{alias}': a row stands at the begin of its step, and steps are counted"
        f" from a fixed point, which these have not; {example}"
    )


def step_starts(times: pd.DatetimeIndex, offset: pd.DateOffset) -> np.ndarray:
    """The begin of the step in which each moment lies, [E] datetime64[us]."""
    moments = times.as_unit("us").to_numpy()
    if isinstance(offset, Tick | Day | Week):
        length, origin = _fixed(offset)
        return origin + (moments - origin) // length * length
    first, last = times.min().normalize(), times.max()
    begins = pd.date_range(offset.rollback(first), last, freq=offset, unit="us").to_numpy()
    return begins[np.searchsorted(begins, moments, side="right") - 1]


def _fixed(offset: pd.DateOffset) -> tuple[np.timedelta64, np.datetime64]:
    """Length of a fixed step, and a moment from which it is counted."""
    if isinstance(offset, Week):
        monday = 0 if offset.weekday is None else offset.weekday
        return np.timedelta64(7 * offset.n, "D").astype("m8[us]"), _MONDAY + np.timedelta64(monday, "D")
    length = pd.Timedelta(days=offset.n) if isinstance(offset, Day) else pd.Timedelta(offset)
    return np.timedelta64(length.value // 1000, "us"), np.datetime64("1970-01-01", "us")


def _in_whole_steps(entries: Entries, starts: np.ndarray, offset: pd.DateOffset) -> np.ndarray:
    """Which records [E], sorted by series and time, lie in a step that their series covers from begin to end."""
    times = entries.times.to_numpy()
    over = np.ones(len(entries), bool)
    ends = np.append(np.flatnonzero(np.diff(entries.series)) + 1, len(entries))
    begins = np.concatenate([[0], ends[:-1]])
    for begin, end in zip(begins, ends, strict=True):
        own = starts[begin:end]
        for at, near in ((end - 1, times[max(begin, end - _LATEST) : end]), (begin, times[begin : begin + _LATEST])):
            steps = np.diff(near)
            steps = steps[steps > np.timedelta64(0)]
            if not len(steps):
                continue
            usual, step = np.median(steps), starts[at]
            over_at = (pd.Timestamp(step) + offset).to_datetime64()
            dense = 2 * usual <= over_at - step
            if dense and (times[at] + usual < over_at if at == end - 1 else times[at] - usual >= step):
                over[begin:end] &= own != step
    return over
