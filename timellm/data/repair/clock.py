"""The local clock of a zone to UTC, or to the zone's standard time all year.

A local clock skips an hour in spring and has one twice in autumn. Which of two equal times came first says the order of
the records: within such a night, all records after the clock has gone back belong to the second pass. A night whose
doubled hour stands only once is read as the second pass, in standard time, and the report says so.

Shapes: E records.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from timellm.config.repair import RepairStep
from timellm.data.repair.entries import MOST_PLACES, Entries
from timellm.data.repair.report import StepReport
from timellm.errors import DataError

ZONES = (
    "Europe/Berlin", "Europe/London", "Europe/Athens", "America/New_York", "America/Chicago", "America/Denver",
    "America/Los_Angeles", "America/Halifax", "Australia/Sydney", "Australia/Adelaide", "Pacific/Auckland",
)  # fmt: skip
"""One zone of each rule; zones of one rule cannot be told apart by their clock alone."""


@dataclass(frozen=True)
class Localized:
    """Local times as UTC."""

    utc: pd.DatetimeIndex
    """[E]; NaT where there is no such time."""
    absent: np.ndarray
    """[E] times that the zone's clock skipped."""
    doubled: int
    """Records in an hour that stands twice."""
    single: pd.DatetimeIndex
    """Local times of a doubled hour that stand once though the hour came twice."""


def local_to_utc(times: pd.DatetimeIndex, series: np.ndarray, zone: str, *, newest_first: bool) -> Localized:
    """Local times [E] of a zone as UTC; the records' order says to which pass of a doubled hour each belongs."""
    ambiguous = np.asarray(times.tz_localize(zone, ambiguous="NaT", nonexistent="shift_forward").isna())
    second = np.zeros(len(times), bool)
    single = times[:0]
    if ambiguous.any():
        at = np.flatnonzero(ambiguous)
        at = at[::-1] if newest_first else at
        second[at], once = _second_pass(times[at], series[at])
        single = times[at][once]
    localized = times.tz_localize(zone, ambiguous=~second, nonexistent="NaT")
    absent = np.asarray(localized.isna())
    utc = localized.tz_convert("UTC").tz_localize(None)
    return Localized(utc, absent, int(ambiguous.sum()) - len(single), single)


def _second_pass(times: pd.DatetimeIndex, series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which records of doubled hours belong to the second pass, and which of them stand once; in order of time."""
    rows = pd.DataFrame({"series": series, "night": times.normalize(), "time": times})
    nights = rows.groupby(["series", "night"], sort=False)
    back = nights["time"].diff() <= pd.Timedelta(0)
    after = back.groupby([rows["series"], rows["night"]], sort=False).cumsum() > 0
    went_back = after.groupby([rows["series"], rows["night"]], sort=False).transform("any")
    again = rows.groupby(["series", "time"], sort=False).cumcount() > 0
    # Records that are sorted by time stand as 2:00, 2:00, 2:15, 2:15: there the order within equal times decides.
    twice = rows.assign(after=after).duplicated(["series", "time", "after"])
    by_time = twice.groupby([rows["series"], rows["night"]], sort=False).transform("any")
    second = np.where(by_time, again, after)
    once = ~went_back.to_numpy()
    return np.where(once, True, second), once


def change_clock(entries: Entries, step: RepairStep) -> tuple[Entries, StepReport]:
    """Make `timezone:ZONE:CLOCK`.

    Raises:
        DataError: a record with values stands in the hour that the zone's clock skips in spring.
    """
    zone, clock = step.arguments
    notes = []
    told: pd.DatetimeIndex | None = None
    if entries.utc:
        utc = pd.DatetimeIndex(entries.times)
        notes.append("The file gives offsets from UTC, so its times are UTC already.")
    else:
        times = pd.DatetimeIndex(entries.times)
        found = local_to_utc(times, entries.series, zone, newest_first=entries.newest_first)
        _refuse_absent(entries, found, zone)
        if found.absent.any():
            notes.append(f"{int(found.absent.sum()):,} records without values stood in the hour that {zone} skips.")
            entries = entries.only(~found.absent)
        utc = found.utc[~found.absent]
        notes.append(f"{len(utc):,} records are moved to UTC.")
        spring, told = _jumps(entries, utc)
        if spring:
            often = "once" if spring == 1 else f"{spring:,} times"
            notes.append(f"The hour that the clock skips in spring is no gap any more ({often}).")
        if found.doubled:
            notes.append(f"{found.doubled:,} records of doubled autumn hours are told apart.")
        if len(found.single):
            nights = found.single.normalize().unique()
            notes.append(
                f"In {len(nights):,} autumn nights, such as {nights[0]:%Y-%m-%d}, the doubled hour stands once; it is"
                " read in standard time, and the hour before it is missing."
            )
    if clock == "standard":
        hours = _standard_offset(zone, utc)
        utc = utc + hours
        told = None if told is None else told + hours
        notes.append(f"The clock is UTC{hours.total_seconds() / 3600:+g} all year.")
    places = () if told is None else tuple(map(str, told[:MOST_PLACES]))
    entries = replace(entries, times=pd.Series(utc.as_unit("us"), index=entries.times.index), utc=True)
    return entries, StepReport(step, places=places, notes=tuple(notes))


def _jumps(entries: Entries, utc: pd.DatetimeIndex) -> tuple[int, pd.DatetimeIndex]:
    """How often the clock goes forward among the records, and the first moments in UTC after it goes either way."""
    offsets = pd.Series(pd.DatetimeIndex(entries.times) - utc, utc).groupby(level=0).first()
    steps = offsets.diff().iloc[1:]
    changes = steps[steps != pd.Timedelta(0)]
    return int((changes > pd.Timedelta(0)).sum()), pd.DatetimeIndex(changes.index)


def moved_clock(
    times: pd.DatetimeIndex, step: RepairStep, *, utc: bool, place: Callable[[int], str]
) -> pd.DatetimeIndex:
    """The moments of another file on the clock that a step makes; `place` says where a row stands.

    Raises:
        DataError: a moment is skipped by the zone's clock.
    """
    rows = pd.Series(times, index=pd.RangeIndex(len(times)))
    zeros = np.zeros(len(times), np.int64)
    entries = Entries(rows, zeros, (), np.zeros((len(times), 1)), long=True, utc=utc, place=place)
    return pd.DatetimeIndex(change_clock(entries, step)[0].times)


def _refuse_absent(entries: Entries, found: Localized, zone: str) -> None:
    wrong = found.absent & ~np.isnan(entries.values).all(axis=1)
    if not wrong.any():
        return
    record = entries.times.index[int(wrong.argmax())]
    raise DataError(
        f"{entries.place(record)}: {entries.times.loc[record]} does not exist on the clock of {zone}, which skips that"
        f" hour ({int(wrong.sum()):,} such records); name another zone in 'repair', or correct the records"
    )


def _standard_offset(zone: str, utc: pd.DatetimeIndex) -> pd.Timedelta:
    """The zone's offset in winter, in the year of the last record."""
    year = utc.max().year
    days = [pd.Timestamp(year, month, 1, tz=ZoneInfo(zone)) for month in (1, 7)]
    return min(pd.Timedelta(day.utcoffset()) for day in days)


def zones_that_fit(times: pd.DatetimeIndex, series: np.ndarray) -> tuple[str, ...]:
    """Zones whose doubled autumn hours explain every timestamp that stands twice; none where nothing stands twice."""
    keys = pd.DataFrame({"series": series, "time": times})
    again = keys.duplicated(keep=False).to_numpy()
    if not again.any() or keys.groupby(["series", "time"], sort=False).size().max() > 2:
        return ()
    doubled, fitting = times[again].unique(), []
    for zone in ZONES:
        explained = doubled.tz_localize(zone, ambiguous="NaT", nonexistent="shift_forward").isna().all()
        if explained and times.tz_localize(zone, ambiguous=np.zeros(len(times), bool), nonexistent="NaT").notna().all():
            fitting.append(zone)
    return tuple(fitting)
