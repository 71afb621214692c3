"""Kept forecasts as a table, and all their points as another one.

Inputs: the ledger. Outputs: `Row` for each entry, the newest first, and a long frame for export. A damaged entry is a
row that says so, and hides no other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from timellm.errors import LedgerError
from timellm.ledger.folder import Ledger
from timellm.ledger.points import points
from timellm.ledger.scoring import EntryScore, score


@dataclass(frozen=True)
class Row:
    """One entry of the list."""

    entry_id: str
    score: EntryScore | None
    """None where it is damaged."""
    damage: str = ""


def rows(ledger: Ledger, ids: Iterable[str] | None = None) -> tuple[Row, ...]:
    """Every entry, or some, with what can be said of it by now."""
    return tuple(row(ledger, entry_id) for entry_id in (ledger.ids() if ids is None else ids))


def row(ledger: Ledger, entry_id: str) -> Row:
    """One entry with what can be said of it by now."""
    try:
        return Row(entry_id, score(ledger, entry_id))
    except LedgerError as error:
        return Row(entry_id, None, str(error))


def all_points(ledger: Ledger, ids: Iterable[str] | None = None) -> pd.DataFrame:
    """The points of every entry, or of some: entry, run, made, by, cutoff, then those of timellm.ledger.points.

    Raises:
        LedgerError: there is no entry, or one is damaged.
    """
    parts = []
    for entry_id in ledger.ids() if ids is None else ids:
        entry = ledger.entry(entry_id)
        facts = {"entry": entry.id, "run": entry.run.id, "made": entry.made.isoformat(), "by": entry.by}
        frame = points(ledger, entry)
        for place, (name, value) in enumerate({**facts, "cutoff": entry.cutoff}.items()):
            frame.insert(place, name, value)
        parts.append(frame)
    if not parts:
        raise LedgerError("no forecast is kept yet; keep one with 'forecast DIR --keep' or on the Forecast page")
    return pd.concat(parts, ignore_index=True)


def refit_command(found: EntryScore) -> str:
    """The command that fits the run's settings to the newest table again."""
    file = found.newest_file or "GROWN.csv"
    return f"python -m timellm fit {file} --config {found.entry.run.folder}/config.json --run-dir NEW"
