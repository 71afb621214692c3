"""Actual values that arrive after a forecast was kept, and values of its past that were revised since.

Inputs: a table that was read anew, and what the entry keeps. Outputs: `Arrival`. A table belongs to an entry if its
rows of the context are those that the forecast saw. Where half of them or more differ it is another series, and where
it has none of them nobody can tell; both are refused. Single values that differ were revised: they are named and kept,
and the context that the forecast saw stays what it is.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa

from timellm.errors import LedgerError
from timellm.ledger.entry import Entry

_OTHER_SERIES = 0.5
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Source:
    """Where actual values came from."""

    name: str
    """A file, or the connection that was asked."""
    sha256: str
    path: str = ""
    """A file that a new run can be fitted on; empty where there is none."""


@dataclass(frozen=True)
class Revision:
    """One value of the context that is another one today; None where it is missing."""

    channel: str
    moment: pd.Timestamp
    seen: float | None
    now: float | None


@dataclass(frozen=True)
class Arrival:
    """Actual values of one entry that one table brought."""

    id: str
    at: datetime
    by: str
    source: Source
    until: pd.Timestamp
    """The last row of that table."""
    revised: tuple[Revision, ...]
    """Values of the context that differ from what the forecast saw."""
    rows: pd.DataFrame = field(compare=False)
    """unique_id, ds, y: the known values at the forecast's moments."""

    def facts(self) -> dict[str, Any]:
        """All but the rows, JSON-safe."""
        revised = [{**asdict(one), "moment": one.moment.isoformat()} for one in self.revised]
        times = {"at": self.at.isoformat(), "until": self.until.isoformat()}
        return {"id": self.id, "by": self.by, "source": asdict(self.source), "revised": revised, **times}

    @classmethod
    def from_parts(cls, facts: dict[str, Any], rows: pd.DataFrame) -> Self:
        """Inverse of `facts`, with the rows.

        Raises:
            ValueError, KeyError, TypeError: a fact is missing or of another kind.
        """
        revised = tuple(Revision(**{**one, "moment": pd.Timestamp(one["moment"])}) for one in facts["revised"])
        at, until = datetime.fromisoformat(facts["at"]), pd.Timestamp(facts["until"])
        return cls(facts["id"], at, facts["by"], Source(**facts["source"]), until, revised, rows)


def actuals(entry: Entry, forecast: pd.DataFrame, values: pd.DataFrame) -> pd.DataFrame:
    """The known values of a table at the moments of a forecast: unique_id, ds, y; `values` has a column a channel."""
    moments = values.index[(values.index > entry.cutoff) & (values.index <= entry.end)]
    here = [name for name in entry.channels if name in values.columns]
    rows = values.loc[moments, here].rename_axis(index="ds").reset_index()
    long = rows.melt("ds", var_name="unique_id", value_name="y").dropna(subset="y")
    return forecast[["unique_id", "ds"]].merge(long, on=["unique_id", "ds"])


def revisions(context: pd.DataFrame, values: pd.DataFrame) -> tuple[Revision, ...]:
    """Values of the context (unique_id, ds, y) that the table has otherwise.

    Raises:
        LedgerError: none of its channels is there, it has no row of the context, or most values differ.
    """
    found: list[Revision] = []
    channels = [name for name in context["unique_id"].unique() if name in values.columns]
    if not channels:
        raise LedgerError("it has none of the forecast's channels")
    for name in channels:
        seen = context[context["unique_id"] == name].set_index("ds")["y"]
        moments = seen.index.intersection(values.index)
        if not len(moments):
            raise LedgerError(
                f"it has no row of what the forecast saw ({seen.index[0]} to {seen.index[-1]}), so nobody can tell"
                " whether it is the same series; bring a table that begins earlier"
            )
        then, now = seen.loc[moments].to_numpy(np.float64), values.loc[moments, name].to_numpy(np.float64)
        changed = _changed(then, now)
        if changed.sum() >= _OTHER_SERIES * len(moments):
            raise LedgerError(
                f"its channel '{name}' differs from what the forecast saw in {changed.sum():,} of {len(moments):,}"
                " rows, so it is another series"
            )
        found += [
            Revision(name, moment, _or_none(before), _or_none(after))
            for moment, before, after in zip(moments[changed], then[changed], now[changed], strict=True)
        ]
    return tuple(found)


def merged(arrivals: tuple[Arrival, ...]) -> pd.DataFrame:
    """The newest known value of each moment: unique_id, ds, y, first (the value that came first), source."""
    columns = ["unique_id", "ds"]
    parts = [one.rows.assign(source=one.source.name) for one in arrivals]
    if not parts:
        empty = {"unique_id": "object", "ds": "datetime64[us]", "y": "float64", "first": "float64", "source": "object"}
        return pd.DataFrame(columns=list(empty)).astype(empty)
    rows = pd.concat(parts, ignore_index=True)
    newest = rows.drop_duplicates(columns, keep="last")
    first = rows.drop_duplicates(columns, keep="first").rename(columns={"y": "first"})
    return newest.merge(first[[*columns, "first"]], on=columns)[[*columns, "y", "first", "source"]]


def brings_something(arrival: Arrival, before: tuple[Arrival, ...]) -> bool:
    """Whether an arrival says anything that those before it did not."""
    if not before:
        return True
    if any(one.source.sha256 == arrival.source.sha256 for one in before):
        return False
    if arrival.until > max(one.until for one in before) or set(arrival.revised) != set(before[-1].revised):
        return True
    known = merged(before).set_index(["unique_id", "ds"])["y"]
    new = arrival.rows.set_index(["unique_id", "ds"])["y"]
    return not new.index.isin(known.index).all() or bool(
        _changed(known.loc[new.index].to_numpy(), new.to_numpy()).any()
    )


def to_arrow(rows: pd.DataFrame) -> pa.Table:
    """Rows unique_id, ds, y as they are kept."""
    return pa.table(
        {
            "unique_id": pa.array(rows["unique_id"], pa.string()),
            "ds": pa.array(rows["ds"].to_numpy().astype("datetime64[us]"), pa.timestamp("us")),
            "y": pa.array(rows["y"].to_numpy(np.float64), pa.float64(), from_pandas=True),
        }
    )


def _changed(then: np.ndarray, now: np.ndarray) -> np.ndarray:
    same = np.isclose(then, now, rtol=_ROUNDING, atol=0.0, equal_nan=True)
    return ~same


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
