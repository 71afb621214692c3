"""A newer table, or another of the same shape, beside the one that a run learned from: what differs.

Inputs: the run's table and the other one. Outputs: the other one, read as the run's was, and what differs, as data with
its sentences. A level or a spread is called unusual where no stretch of one context in the run's own table had it.

Shapes: N rows, T context.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from timellm.config import RunConfig
from timellm.data.effects import moment
from timellm.data.table import Table, load_table
from timellm.errors import DataError

Kind = Literal["rows", "revised", "columns", "range", "level", "spread"]
_SAME = 1e-9
"""Relative difference up to which two values are one that was written in two ways."""
_ANOTHER = 0.5
"""From this share of shared values that differ on, it is another series and not a revised one."""
_FEW = 0.02
"""Up to this share of values outside the range is usual: a series that grows has its largest values at its end."""
_NAMED = 5


@dataclass(frozen=True)
class Difference:
    """One way in which the other table is not like the run's own."""

    kind: Kind
    grave: bool
    """Whether a forecast from it should be looked at with care."""
    sentence: str
    channel: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"kind": self.kind, "grave": self.grave, "channel": self.channel, "sentence": self.sentence}


def read_newer(
    config: RunConfig, own: Table, data: Table | str | Path, *, known: str | Path | None = None, **reading: Any
) -> Table:
    """Another table with the run's channels, read as the run's own was; `known` is its second file.

    Raises:
        DataError: it cannot be read, lacks a channel, or has another step between rows.
    """
    if not isinstance(data, Table):
        settings = config.updated(**reading).data
        files = {"path": str(data), "known_file": "" if known is None else str(known)}
        data = load_table(settings.model_copy(update={**files, "channels": own.channels}))
    missing = [name for name in own.channels if name not in data.channels]
    if missing:
        raise DataError(f"the table has no channel '{missing[0]}'; the run was trained on {', '.join(own.channels)}")
    if data.frequency != own.frequency:
        raise DataError(
            f"the table has one row every {data.frequency}, but the run was trained on {own.frequency};"
            " resample it, or train a run on it"
        )
    return data


def differences(own: Table, other: Table, *, context: int) -> tuple[Difference, ...]:
    """What differs: rows, values that both have, further columns, and of each channel its last context."""
    found = [_rows(own, other)]
    found += _revised(own, other)
    if more := [name for name in other.channels if name not in own.channels]:
        named = ", ".join(f"'{name}'" for name in more[:_NAMED])
        rest = f" and {len(more) - _NAMED:,} more" if len(more) > _NAMED else ""
        found.append(Difference("columns", False, f"Not used, because the run does not know them: {named}{rest}."))
    for name in own.channels:
        found += _of_channel(name, own.values[name], other.values[name], context)
    return tuple(found)


def _rows(own: Table, other: Table) -> Difference:
    """Where it lies in time."""
    end, index = own.values.index[-1], other.values.index
    new, shared = int((index > end).sum()), len(index.intersection(own.values.index))
    missed = len(pd.date_range(end, index[0], freq=own.offset)) - 2 if index[0] > end else 0
    if not new:
        text = f"It has no row after {moment(end)}, the end of the run's own table; it ends at {moment(index[-1])}."
        return Difference("rows", False, text)
    text = f"It has {new:,} {_noun(new, 'row')} after {moment(end)}, the end of the run's own table"
    text += f", up to {moment(index[-1])}"
    if shared:
        return Difference("rows", False, f"{text}, and {shared:,} {_noun(shared, 'row')} that both have.")
    if missed > 0:
        return Difference("rows", True, f"{text}. Between the two, {missed:,} {_noun(missed, 'row')} are in neither.")
    return Difference("rows", False, f"{text}, and none that both have.")


def _revised(own: Table, other: Table) -> list[Difference]:
    """Values that both have and that are not the same."""
    both = own.values.index.intersection(other.values.index)
    if not len(both):
        return []
    ours, theirs = own.values.loc[both], other.values.loc[both, list(own.channels)]
    one, two = ours.to_numpy(), theirs.to_numpy()
    known = ~np.isnan(one) & ~np.isnan(two)
    differs = known & ~np.isclose(one, two, rtol=_SAME, atol=0)
    count, of = int(differs.sum()), int(known.sum())
    if not count:
        return []
    row, column = (int(place) for place in np.argwhere(differs)[0])
    before, now = _number(one[row, column]), _number(two[row, column])
    where = f"the first is '{own.channels[column]}' at {moment(both[row])}: {now}, before {before}"
    if count >= _ANOTHER * of:
        text = f"Of {of:,} values at shared times, {count:,} differ, so it is another series; {where}."
        return [Difference("revised", False, text)]
    return [Difference("revised", True, f"Of {of:,} values that both have, {count:,} were changed; {where}.")]


def _of_channel(name: str, own_N: pd.Series, other_N: pd.Series, context: int) -> list[Difference]:
    """Whether what the forecast would read is like what the run learned from."""
    known_N, last_T = own_N.dropna(), other_N.iloc[-context:].dropna()
    if len(known_N) < 2 or last_T.empty:
        return []
    found = []
    low, high = float(known_N.min()), float(known_N.max())
    outside = int(((last_T < low) | (last_T > high)).sum())
    if outside > _FEW * len(last_T):
        found.append(
            Difference(
                "range", True,
                f"'{name}': of its last {len(last_T):,} values, {outside:,} lie outside {_number(low)} to "
                f"{_number(high)}, the range of the run's own table.",
                name,
            )
        )  # fmt: skip
    stretches = own_N.rolling(min(context, len(own_N)), min_periods=max(2, min(context, len(own_N)) // 2))
    for kind, word, own, now in (
        ("level", "mean", stretches.mean(), float(last_T.mean())),
        ("spread", "standard deviation", stretches.std(), float(last_T.std())),
    ):
        least, most = float(own.min()), float(own.max())
        room = _SAME * max(abs(least), abs(most))
        if now < least - room or now > most + room:
            found.append(
                Difference(
                    kind, True,  # type: ignore[arg-type]
                    f"'{name}': the {word} of its last {len(last_T):,} values is {_number(now)}; over as many rows of "
                    f"the run's own table it was {_number(least)} to {_number(most)}.",
                    name,
                )
            )  # fmt: skip
    return found


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _noun(number: int, noun: str) -> str:
    return noun if number == 1 else f"{noun}s"
