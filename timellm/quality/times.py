"""Checks of a table's timestamps: step, missing rows, changes of the clocks.

Inputs: `Examined`. Outputs: findings. Timestamps that cannot be put on a regular step are refused when the table is
read; what is found in those is in `timellm.quality.refused`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from pandas.tseries.offsets import Tick

from timellm.data.season import step_name
from timellm.quality.clocks import zone_of_springs
from timellm.quality.examined import Examined, runs, windows_left_out
from timellm.quality.finding import Finding, RepairOffer, Severity

_HOUR = pd.Timedelta(hours=1)
_MANY, _FEW = 0.5, 0.01
"""Shares of the windows: gaps that cost half of them are grave, and fewer than one in a hundred is worth knowing."""
_SHORT = 4
"""A gap of at most a quarter of a day, or so many rows where there is none, is filled well by a line."""


def frequency(table: Examined) -> Iterator[Finding]:
    """The step between rows, and how many of the steps in the file are that long."""
    steps, counts = np.unique(np.diff(np.flatnonzero(~table.absent_R)), return_counts=True)
    longer = sorted(
        ((int(step), int(count)) for step, count in zip(steps, counts, strict=True) if step > 1),
        key=lambda one: -one[1],
    )
    regular, total = int(counts[steps == 1].sum()), int(counts.sum())
    yield Finding(
        "frequency",
        "fact",
        "none",
        regular,
        regular / total if total else None,
        values={
            "frequency": table.table.frequency,
            "step": step_name(table.table.frequency),
            "steps": total,
            "longer": [{"rows": step, "times": count} for step, count in longer[:3]],
        },
    )


def missing_rows(table: Examined) -> Iterator[Finding]:
    """Rows that the file does not have; an hour that is skipped in spring counts as such (`daylight_saving`)."""
    gaps = runs(table.absent_R)
    zone, springs = _springs(table, gaps)
    gaps = gaps[~springs] if zone else gaps
    if not len(gaps):
        return
    lengths = gaps[:, 1] - gaps[:, 0] + 1
    order = np.argsort(-lengths, kind="stable")
    rows = len(table.index)
    lost, possible = windows_left_out(gaps, rows=rows, window=table.touched)
    count, longest = int(lengths.sum()), int(lengths.max())
    yield Finding(
        "missing_rows",
        severity_of(lost, possible),
        "windows_left_out",
        count,
        count / rows,
        where=table.spans(gaps[order]),
        values={
            "gaps": len(gaps),
            "longest": longest,
            "windows": possible,
            "windows_left_out": lost,
            "filled": table.filled,
        },
        repair=None if table.filled else fill_for(table, longest),
    )


def daylight_saving(table: Examined) -> Iterator[Finding]:
    """Hours that local clocks skip in spring and that the table therefore lacks."""
    gaps = runs(table.empty_rows_R)
    zone, springs = _springs(table, gaps)
    if not zone:
        return
    found = gaps[springs]
    lost, possible = windows_left_out(found, rows=len(table.index), window=table.touched)
    yield Finding(
        "daylight_saving",
        "warning",
        "windows_left_out",
        len(found),
        where=table.spans(found),
        values={
            "change": "spring",
            "zone": zone,
            "windows": possible,
            "windows_left_out": lost,
            "filled": table.filled,
        },
        repair=RepairOffer("time_zone", {"zone": zone}),
    )


def severity_of(lost: int, possible: int) -> Severity:
    """How grave it is that gaps take `lost` of `possible` windows."""
    if not possible or lost >= _MANY * possible:
        return "grave" if lost else "warning"
    return "warning" if lost >= _FEW * possible else "fact"


def fill_for(table: Examined, longest: int) -> RepairOffer:
    """What could fill gaps of which the longest has so many rows: a line through short ones, or a season."""
    seasons = [table.calendar[name] for name in ("day", "week", "year") if name in table.calendar]
    if not seasons or longest <= max(_SHORT, seasons[0] // 4):
        return RepairOffer("fill", {"method": "linear"})
    season = next((rows for rows in seasons if rows >= longest), seasons[-1])
    return RepairOffer("fill", {"method": "seasonal", "season": season})


def _springs(table: Examined, gaps: np.ndarray) -> tuple[str, np.ndarray]:
    """The time zone whose skipped hours these gaps are, and which of the gaps are; no zone where it is none."""
    nothing = "", np.zeros(len(gaps), bool)
    offset = table.table.offset
    if not isinstance(offset, Tick) or not len(gaps) or _HOUR % pd.Timedelta(offset):
        return nothing
    hour = int(_HOUR / pd.Timedelta(offset))
    an_hour = gaps[:, 1] - gaps[:, 0] + 1 == hour
    zone, skipped = zone_of_springs(table.index[gaps[an_hour, 0]])
    if not zone:
        return nothing
    springs = np.zeros(len(gaps), bool)
    springs[np.flatnonzero(an_hour)[skipped]] = True
    return zone, springs
