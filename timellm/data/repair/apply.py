"""The steps of a repair, one after the other, between reading and the regular grid; gaps are filled at the windows.

Inputs: the records of a table and the steps. Outputs: repaired records with a report of each step. The file itself is
never changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from timellm.config.repair import RepairStep, filling
from timellm.data.gaps import filled_at_the_end
from timellm.data.repair.cells import clip, drop
from timellm.data.repair.clock import change_clock
from timellm.data.repair.entries import MOST_PLACES, Entries
from timellm.data.repair.merging import merge_duplicates
from timellm.data.repair.report import StepReport
from timellm.data.repair.resampling import parse_step, resample


@dataclass(frozen=True)
class Repaired:
    """Records after all steps."""

    entries: Entries
    reports: tuple[StepReport, ...]
    frequency: str | None
    """Step of the last resampling; None without one."""


def repaired(entries: Entries, steps: Iterable[RepairStep], *, gone: frozenset[str] = frozenset()) -> Repaired:
    """Make the steps in their order, but channels are left out first; `gone` are those the settings leave out already.

    Raises:
        DataError, ConfigError: a step cannot be made on this table; says why and what to do.
    """
    reports, frequency = [], None
    for step in sorted(steps, key=lambda step: step.arguments[0] != "channel"):
        match step.kind:
            case "timezone":
                entries, report = change_clock(entries, step)
            case "drop":
                entries, report = drop(entries, step, gone=gone)
            case "duplicates":
                entries, report = merge_duplicates(entries, step)
            case "resample":
                entries, report = resample(entries, step)
                frequency = parse_step(step.arguments[0]).freqstr
            case "clip":
                entries, report = clip(entries, step)
            case _:
                continue  # where there is a grid
        reports.append(report)
    return Repaired(entries, tuple(reports), frequency)


def fill_report(values: pd.DataFrame, texts: Iterable[str]) -> StepReport | None:
    """What the fill step gives to a window that ends with the table; None without such a step."""
    texts = tuple(texts)
    missing = filling(texts)
    if missing is None:
        return None
    step = RepairStep.parse(texts[-1])
    before = np.isnan(values.to_numpy(np.float64))
    if missing == "skip":
        return StepReport(step, notes=("Windows that touch a missing value are left out.",) if before.any() else ())
    after = np.isnan(filled_at_the_end(values.to_numpy(np.float64), missing))
    filled = before & ~after
    counts = filled.sum(axis=0)
    notes = []
    if before.any():
        notes.append("Only what a model sees is filled, from what was known then; values to forecast never are.")
    if after.any():
        notes.append(f"{int(after.sum()):,} cells have nothing before them and stay missing.")
    return StepReport(
        step,
        added={str(name): int(count) for name, count in zip(values.columns, counts, strict=True) if count},
        places=tuple(map(str, values.index[filled.any(axis=1)][:MOST_PLACES])),
        notes=tuple(notes),
    )
