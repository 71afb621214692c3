"""Repairs that keep the timestamps: values within limits, and channels or rows left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from timellm.config.repair import RepairStep, moment_of
from timellm.data.repair.entries import Entries
from timellm.data.repair.report import StepReport
from timellm.errors import ConfigError, DataError


def clip(entries: Entries, step: RepairStep) -> tuple[Entries, StepReport]:
    """Make `clip:LOW:HIGH` or `clip:LOW:HIGH:CHANNEL`: a value beyond a limit becomes the limit.

    Raises:
        ConfigError: there is no such channel.
    """
    low, high = (float(text) if text else None for text in step.arguments[:2])
    chosen = np.ones(entries.values.shape, bool)
    if len(step.arguments) > 2:
        chosen = _cells_of(entries, _channel(entries, step.arguments[2], step))
    clipped = np.where(chosen, np.clip(entries.values, low, high), entries.values)
    beyond = ~np.isnan(entries.values) & (clipped != entries.values)
    report = StepReport(step, changed=entries.by_channel(beyond), places=entries.places(beyond))
    return replace(entries, values=clipped), report


def drop(entries: Entries, step: RepairStep, *, gone: frozenset[str]) -> tuple[Entries, StepReport]:
    """Make `drop:channel:NAME` or `drop:rows:BEGIN/END`, both ends included; `gone` are channels left out already.

    Raises:
        ConfigError: there is no such channel.
        DataError: nothing would be left.
    """
    if step.arguments[0] == "rows":
        return _drop_rows(entries, step)
    name = step.arguments[1]
    if name in gone:
        return entries, StepReport(step)
    place = _channel(entries, name, step)
    if len(entries.names) == 1:
        raise DataError(f"repair '{step}' leaves no channel; take it out of 'repair'")
    cells = ~np.isnan(entries.values) & _cells_of(entries, place)
    report = StepReport(step, removed=entries.by_channel(cells), places=entries.places(cells))
    names = tuple(one for one in entries.names if one != name)
    if not entries.long:
        return replace(entries, names=names, values=np.delete(entries.values, place, axis=1)), report
    entries = entries.only(entries.series != place)
    series = np.where(entries.series > place, entries.series - 1, entries.series)
    return replace(entries, names=names, series=series), report


def _drop_rows(entries: Entries, step: RepairStep) -> tuple[Entries, StepReport]:
    begin, end = (moment_of(text, end=at_end) for text, at_end in zip(step.arguments[1:], (False, True), strict=True))
    inside = np.ones(len(entries), bool)
    if begin is not None:
        inside &= (entries.times >= pd.Timestamp(begin)).to_numpy()
    if end is not None:
        inside &= (entries.times <= pd.Timestamp(end)).to_numpy()
    if inside.all():
        raise DataError(f"repair '{step}' leaves no row; name a shorter span")
    cells = ~np.isnan(entries.values) & inside[:, None]
    return entries.only(~inside), StepReport(step, removed=entries.by_channel(cells), places=entries.places(inside))


def _channel(entries: Entries, name: str, step: RepairStep) -> int:
    if name not in entries.names:
        known = ", ".join(entries.names[:20]) + (" ..." if len(entries.names) > 20 else "")
        raise ConfigError(f"repair '{step}' names channel '{name}', which is not in the table; there are: {known}")
    return entries.names.index(name)


def _cells_of(entries: Entries, place: int) -> np.ndarray:
    if entries.long:
        return (entries.series == place)[:, None]
    return np.broadcast_to(np.arange(entries.values.shape[1]) == place, entries.values.shape)
