"""Bring actual values to every kept forecast that they belong to.

Inputs: a grown table, or a folder of them. Outputs: for each entry what came of it. A table is read as the run's own
was (timestamp column, decimal sign and so on), unless it is said otherwise. Reading one a second time changes nothing.

`ledger/inbox` of the workspace is looked into whenever the Ledger page opens and by `ledger score` without a file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from timellm.config import DataConfig
from timellm.data.table import load_table
from timellm.errors import DataError, LedgerError, TimeLLMError
from timellm.ledger.actuals import Arrival, Source, actuals, brings_something, revisions
from timellm.ledger.entry import Entry, new_id
from timellm.ledger.folder import Ledger, file_sha256

INBOX = "inbox"
_ALONE = {"channels": (), "known_ahead": (), "known_holidays": "", "description": ""}
"""Settings of the data without which actual values are read."""
_ENDINGS = (".csv", ".txt", ".tsv")


@dataclass(frozen=True)
class Outcome:
    """What one table was for one entry."""

    entry_id: str
    file: str
    new: int
    """Actual values that were not known before."""
    known: int
    """Actual values of it that the entry now has, old and new."""
    revised: int
    """Values of the context that differ from what the forecast saw."""
    refused: str = ""
    """Why the table does not belong to this entry; empty where it does."""


def inbox(ledger: Ledger) -> tuple[Path, ...]:
    """Tables in the watched folder, the oldest first; none while there is no such folder."""
    folder = ledger.root / INBOX
    if not folder.is_dir():
        return ()
    return tables_in(folder)


def tables_in(folder: Path) -> tuple[Path, ...]:
    """Tables of a folder, the oldest first."""
    found = [one for one in folder.iterdir() if one.suffix.lower() in _ENDINGS and one.is_file()]
    return tuple(sorted(found, key=lambda one: (one.stat().st_mtime_ns, one.name)))


def bring(
    ledger: Ledger,
    files: Sequence[Path],
    *,
    by: str,
    entries: Sequence[str] | None = None,
    reading: Mapping[str, Any] | None = None,
    name: str = "",
) -> tuple[Outcome, ...]:
    """Take the actual values of tables into the entries (all of them when none are named).

    `reading` are settings by which the files are read instead of the runs' own; `name` is what a file is called in the
    ledger, if not by its own name.

    Raises:
        LedgerError: an entry that is named does not exist, or the ledger cannot be written.
    """
    found: list[Outcome] = []
    cache: dict[str, pd.DataFrame | TimeLLMError] = {}
    for entry_id in ledger.ids() if entries is None else entries:
        try:
            entry = ledger.entry(entry_id)
            config = entry.run.config()
        except LedgerError as error:
            if entries is not None:
                raise
            found += [Outcome(entry_id, file.name, 0, 0, 0, str(error)) for file in files]
            continue
        for file in files:
            settings = config.updated(**(reading or {})).data.model_copy(
                update={"path": str(file), "known_file": "", **_ALONE}
            )
            title = name or file.name
            try:
                values = _values(settings, entry, cache)
                source = Source(title, file_sha256(file), str(file.resolve()))
                found.append(_take(ledger, entry, values, source, by))
            except (DataError, LedgerError) as error:
                found.append(Outcome(entry_id, title, 0, 0, 0, str(error)))
    return tuple(found)


def _values(settings: DataConfig, entry: Entry, cache: dict[str, Any]) -> pd.DataFrame:
    """A table, read once for all entries that read it alike.

    Raises:
        DataError: it cannot be read.
        LedgerError: its rows have another step.
    """
    key = hashlib.sha256(settings.model_dump_json().encode()).hexdigest()
    if key not in cache:
        try:
            cache[key] = load_table(settings)
        except TimeLLMError as error:
            cache[key] = error
    if isinstance(cache[key], TimeLLMError):
        raise cache[key]
    table = cache[key]
    if table.frequency != entry.frequency:
        raise LedgerError(f"it has one row every {table.frequency}, and the forecast one every {entry.frequency}")
    return table.values


def _take(ledger: Ledger, entry: Entry, values: pd.DataFrame, source: Source, by: str) -> Outcome:
    context, forecast = ledger.context(entry), ledger.forecast(entry)
    revised = revisions(context, values)
    rows = actuals(entry, forecast, values)
    before = ledger.arrivals(entry.id)
    # Rows that have only what is known ahead lie after the newest actual value.
    until = values[[name for name in entry.channels if name in values]].dropna(how="all").index[-1]
    arrival = Arrival(new_id(), datetime.now(UTC), by, source, until, revised, rows)
    known = {(name, ds) for one in before for name, ds in zip(one.rows["unique_id"], one.rows["ds"], strict=True)}
    came = set(zip(rows["unique_id"], rows["ds"], strict=True))
    if (len(rows) or revised) and brings_something(arrival, before):
        ledger.add_arrival(entry.id, arrival)
    return Outcome(entry.id, source.name, len(came - known), len(came | known), len(revised))
