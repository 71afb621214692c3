"""The regular grid under a table's rows: its step, its phase, and which timestamps miss it.

Inputs: timestamps. Outputs: a pandas offset alias and the grid from first to last. Steps are fixed (h, 15min, D, W-MON)
or of the calendar (MS, ME, QS, QE, YS, YE, B).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from pandas.errors import OutOfBoundsDatetime, OutOfBoundsTimedelta
from pandas.tseries.frequencies import to_offset
from pandas.tseries.offsets import Day, Tick, Week

from timellm.errors import ConfigError, DataError

_WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_UNITS = ((86_400_000_000, "D"), (3_600_000_000, "h"), (60_000_000, "min"), (1_000_000, "s"), (1_000, "ms"), (1, "us"))
_LONGEST_STEP = pd.Timedelta(days=36_525)
_SPARSEST = 20  # grid rows for each row present; beyond, a timestamp is wrong rather than rows missing


def infer_frequency(times: pd.DatetimeIndex) -> str:
    """Offset alias of the most common step between increasing, distinct timestamps (at least two)."""
    clock_times = times - times.normalize()
    steps_us = np.diff(times.as_unit("us").asi8)
    day_us = _UNITS[0][0]
    if clock_times.nunique() == 1:
        if steps_us.min() >= 28 * day_us and (alias := _calendar_alias(times)):
            return alias
        if _mode(steps_us) == day_us and times.day_of_week.max() < 5 and times[-1] - times[0] >= pd.Timedelta(days=6):
            return "B"
    return _fixed_alias(_mode(steps_us), times)


def parse_frequency(alias: str, times: pd.DatetimeIndex) -> str:
    """A frequency given by the user, with the week's or quarter's anchor taken from the rows when it has none.

    Raises:
        ConfigError: pandas has no such offset, or it does not go forward.
    """
    try:
        offset = to_offset(alias)
        beyond = offset is not None and times[0] + offset - times[0] > _LONGEST_STEP
    except (OverflowError, OutOfBoundsDatetime, OutOfBoundsTimedelta):
        beyond = True
    except ValueError:
        raise ConfigError(
            f"setting 'frequency' is '{alias}', which is no pandas offset alias; "
            "use for example h, 15min, D, B, W, MS, ME, QS or YS"
        ) from None
    if beyond:
        raise ConfigError(f"setting 'frequency' is '{alias}', a step of over 100 years; use for example h, D or MS")
    if offset is None or offset.n < 1:
        raise ConfigError(f"setting 'frequency' is '{alias}', but a step must go forward; use for example h or D")
    plain = alias.strip().lstrip("0123456789")
    if plain == "W":
        return f"{offset.n if offset.n > 1 else ''}W-{_WEEKDAYS[_mode(times.day_of_week.to_numpy())]}"
    if plain in ("QS", "YS", "QE", "YE") and offset.n == 1 and not offset.is_on_offset(times[0]):
        return f"{plain}-{_MONTHS[times[0].month - 1]}"
    return offset.freqstr


def regular_grid(times: pd.DatetimeIndex, frequency: str) -> pd.DatetimeIndex:
    """The grid from the first to the last timestamp that lies on it; `times` are increasing and distinct.

    Raises:
        DataError: the grid would be far longer than the rows present, so that a timestamp must be wrong.
    """
    offset = to_offset(frequency)
    step = _fixed_step(offset)
    if step is None:
        start = offset.rollforward(times[0])
        rows = (times[-1] - times[0]) / ((start + offset) - start)
    else:
        # The commonest phase, not the first row's: one stray first row must not put every other row off the grid.
        phase = (times.as_unit("us").asi8 - times.as_unit("us").asi8[0]) % (step // pd.Timedelta(microseconds=1))
        start = times[phase == _mode(phase)][0]
        rows = (times[-1] - start) / step
    if rows > max(_SPARSEST * len(times), 100):
        widest = int(np.argmax(np.diff(times.asi8)))
        raise DataError(
            f"at a step of {frequency} the timestamps from {times[0]} to {times[-1]} would need {rows:,.0f} rows, but "
            f"only {len(times):,} are there; the widest gap follows {times[widest]}. Correct the timestamps there, or "
            "set 'frequency' to a longer step"
        )
    return pd.date_range(start, times[-1], freq=offset, unit="us")


def fill_share(times: pd.Series) -> float:
    """Share of the regular grid's rows that are present; how plausible these timestamps are, 0 to 1."""
    present = pd.DatetimeIndex(times.dropna().unique()).sort_values()
    if len(present) < 2:
        return 0.0
    try:
        grid = regular_grid(present, infer_frequency(present))
    except DataError:
        return 0.0
    return float(present.isin(grid).sum() / max(len(grid), len(present)))


def _mode(numbers: np.ndarray) -> int:
    """Most common number; the smallest of equals."""
    values, counts = np.unique(numbers, return_counts=True)
    return int(values[np.argmax(counts)])


def _calendar_alias(times: pd.DatetimeIndex) -> str | None:
    """MS, QS, YS or their end-of-period kin, if all days are first or all are last days of a month."""
    at_start, at_end = bool(times.is_month_start.all()), bool(times.is_month_end.all())
    if not (at_start or at_end):
        return None
    months = (times.year * 12 + times.month).to_numpy()
    step, kind = _mode(np.diff(months)), "S" if at_start else "E"
    if step == 12:
        month = _MONTHS[times[0].month - 1]
        return f"Y{kind}" if month == ("JAN" if at_start else "DEC") else f"Y{kind}-{month}"
    if step == 3:
        # QS starts quarters in January, April, July and October; QE ends them in March, June, September and December.
        place = times[0].month % 3
        return f"Q{kind}" if place == (1 if at_start else 0) else f"Q{kind}-{_MONTHS[times[0].month - 1]}"
    return f"M{kind}" if step == 1 else f"{step}M{kind}"


def _fixed_alias(step_us: int, times: pd.DatetimeIndex) -> str:
    week_us = 7 * _UNITS[0][0]
    if step_us == week_us:
        return f"W-{_WEEKDAYS[_mode(times.day_of_week.to_numpy())]}"
    unit_us, unit = next((size, name) for size, name in _UNITS if step_us % size == 0)
    count = step_us // unit_us
    return unit if count == 1 else f"{count}{unit}"


def _fixed_step(offset: pd.DateOffset) -> pd.Timedelta | None:
    if isinstance(offset, Tick):
        return pd.Timedelta(offset)
    if isinstance(offset, Day):
        return pd.Timedelta(days=offset.n)
    return pd.Timedelta(weeks=offset.n) if isinstance(offset, Week) else None
