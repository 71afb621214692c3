"""What is found in a table that cannot be used as it stands: duplicates, irregular steps, cells that are no numbers.

Inputs: the evidence of a `DataError`. Outputs: findings, each with the repair that makes the table usable, if one
does.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from timellm.config.repair import steps_of
from timellm.data.unfit import CellsAtFault, TimesAtFault
from timellm.errors import DataError, RepairableError
from timellm.quality.clocks import zone_of_autumns
from timellm.quality.finding import MOST_SPANS, Finding, RepairOffer, Span

_MOST_OF_THEM = 0.9
"""Share of the doubled timestamps that must lie in an hour that comes twice, for the clocks to explain them."""
_MOST_TEXTS = 10


def findings_of(error: DataError) -> tuple[Finding, ...]:
    """What made a table unusable, as data; nothing where the error does not say."""
    repairs = error.repairs if isinstance(error, RepairableError) else ()
    match error.evidence:
        case CellsAtFault() as cells:
            return (_non_numeric(cells, repairs),)
        case TimesAtFault(fault="irregular") as times:
            return (_irregular(times, repairs),)
        case TimesAtFault() as times:
            return _duplicates(times)
        case _:
            return ()


def _duplicates(found: TimesAtFault) -> tuple[Finding, ...]:
    doubled = pd.DatetimeIndex(found.times[found.at_fault].unique())
    count, rows = int(found.at_fault.sum()), len(found.times)
    zone, twice = zone_of_autumns(doubled)
    if zone and twice.mean() >= _MOST_OF_THEM:
        return (
            Finding(
                "daylight_saving", "grave", "refused", count, count / rows, where=_places(found),
                values={"change": "autumn", "zone": zone, "days": int(doubled.normalize().nunique())},
                repair=RepairOffer("time_zone", {"zone": zone}),
            ),
        )  # fmt: skip
    return (
        Finding(
            "duplicates",
            "grave",
            "refused",
            count,
            count / rows,
            where=_places(found),
            values={"timestamps": len(doubled), "alike": found.alike},
            repair=RepairOffer("aggregate", {"how": "first" if found.alike == count else "mean"}),
        ),
    )


def _irregular(found: TimesAtFault, repairs: tuple[str, ...]) -> Finding:
    steps_us = np.diff(found.times.unique().sort_values().as_unit("us").asi8)
    middle = pd.Timedelta(int(np.median(steps_us)), unit="us") if len(steps_us) else pd.Timedelta(0)
    count = int(found.at_fault.sum())
    return Finding(
        "irregular_steps",
        "grave",
        "refused",
        count,
        count / len(found.times),
        where=_places(found),
        values={
            "frequency": found.frequency,
            "median_step_s": middle.total_seconds(),
            "shortest_step_s": float(steps_us.min() / 1e6) if len(steps_us) else None,
            "longest_step_s": float(steps_us.max() / 1e6) if len(steps_us) else None,
        },
        repair=_resampled(repairs),
    )


def _resampled(repairs: tuple[str, ...]) -> RepairOffer | None:
    """The first resampling among the repairs that an error offers."""
    steps = [step for step in steps_of(repairs) if step.kind == "resample"]
    return RepairOffer("resample", dict(zip(("frequency", "how"), steps[0].arguments, strict=True))) if steps else None


def _non_numeric(found: CellsAtFault, repairs: tuple[str, ...]) -> Finding:
    texts = pd.Series(found.texts, dtype="str").value_counts()
    return Finding(
        "non_numeric",
        "grave",
        "refused",
        found.count,
        found.count / found.rows,
        found.column,
        values={
            "texts": [{"text": str(text), "times": int(times)} for text, times in texts.head(_MOST_TEXTS).items()],
            "lines": [int(line) for line in found.lines[:MOST_SPANS]],
        },
        repair=RepairOffer("drop", {"channel": found.column}) if repairs else None,
    )


def _places(found: TimesAtFault) -> tuple[Span, ...]:
    rows = np.flatnonzero(found.at_fault)[:MOST_SPANS]
    return tuple(Span(found.times[row], found.times[row], int(row), int(row), int(found.lines[row])) for row in rows)
