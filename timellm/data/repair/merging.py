"""Records of one timestamp and series made one: their mean, sum, first or last value.

A missing value counts for nothing: the mean of 3 and nothing is 3, and the sum of nothing is missing.

Shapes: E records, C columns, G groups.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from timellm.config.repair import RepairStep
from timellm.data.repair.entries import Entries
from timellm.data.repair.report import StepReport


def merge_duplicates(entries: Entries, step: RepairStep) -> tuple[Entries, StepReport]:
    """Make `duplicates:HOW`; the merged record stands where the first one stood."""
    again = pd.DataFrame({"series": entries.series, "time": entries.times.to_numpy()}).duplicated(keep=False)
    if not again.any():
        return entries, StepReport(step)
    merged, report = aggregate(entries, entries.times.to_numpy(), step.arguments[0])
    extra = len(entries) - len(merged)
    note = f"{extra:,} records stood at a timestamp that was there already."
    places = entries.places(again.to_numpy())
    return merged, replace(report, step=step, places=places, notes=(note,))


def aggregate(entries: Entries, labels: np.ndarray, how: str) -> tuple[Entries, StepReport]:
    """One record for each label [E] of a series, datetime64; the report counts what became of the values.

    `last` and `first` are those in the order of the records.
    """
    keys = pd.DataFrame({"series": entries.series, "label": labels})
    group = keys.groupby(["series", "label"], sort=False).ngroup().to_numpy()
    groups = int(group.max()) + 1
    first = np.full(groups, len(group), np.int64)
    np.minimum.at(first, group, np.arange(len(group)))
    grouped = pd.DataFrame(entries.values).groupby(group)
    found = grouped.sum(min_count=1) if how == "sum" else getattr(grouped, how)()
    values = found.to_numpy(np.float64)
    counts = grouped.count().to_numpy()
    times = pd.Series(labels[first], index=entries.times.index[first])
    merged = replace(entries, times=times, series=entries.series[first], values=values)
    shifted = ~np.isnan(entries.values) & (labels != entries.times.to_numpy())[:, None]
    moved = (counts == 1) & (pd.DataFrame(shifted).groupby(group).sum().to_numpy() > 0)
    report = StepReport(
        step=RepairStep("duplicates", (how,)),
        changed=merged.by_channel((counts > 1) | moved),
        removed=merged.by_channel(np.maximum(counts - 1, 0)),
    )
    return merged, report
