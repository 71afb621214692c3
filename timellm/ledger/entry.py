"""One kept forecast: which run made it, when, by whom, from what, and the hand's corrections of it.

Inputs: the files of an entry's folder (timellm.ledger.folder). Outputs: frozen objects with a JSON form that has a
version. Nothing of an entry is ever changed: an adjustment or an arrival of actual values is one more file.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any, Self

import pandas as pd

from timellm.config import RunConfig
from timellm.errors import ConfigError, LedgerError

VERSION = 1
ID = re.compile(r"\d{8}-\d{6}-[a-z0-9]{5}")
_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"  # without those that look alike
_MOST_LETTERS = 2000
_BAND = re.compile(r"yhat-(lo|hi)-(\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class KeptRun:
    """The run that made a forecast, as it was then; the run itself may be gone."""

    id: str
    """Name of its folder, which is the run's id in the workspace."""
    folder: str
    name: str
    model: str
    """The name of its own model on the leaderboard."""
    settings: str
    """Its settings in force, as `RunConfig.to_json` writes them."""
    settings_sha256: str
    weights_sha256: Mapping[str, str]
    """File of the run's folder -> digest, of those that hold what it learned."""

    def config(self) -> RunConfig:
        """Its settings.

        Raises:
            LedgerError: another version wrote them, and this one cannot read them.
        """
        try:
            return RunConfig.from_json(self.settings)
        except ConfigError as error:
            raise LedgerError(f"the settings of run '{self.id}' are from another version: {error}") from error


@dataclass(frozen=True)
class Entry:
    """What is known about one kept forecast, beside its numbers."""

    id: str
    made: datetime
    """When it was kept, in UTC."""
    by: str
    note: str
    run: KeptRun
    cutoff: pd.Timestamp
    """The last moment that the model saw."""
    end: pd.Timestamp
    """The last moment that it forecasts."""
    frequency: str
    horizon: int
    season: int
    """Rows of the season of the seasonal naive beside it: the one that did best in the run's validation."""
    season_name: str
    """That season in words, such as "168 rows (a week)"."""
    channels: tuple[str, ...]
    source: str
    """The file that the context was read from."""
    table_sha256: str
    """Digest of that whole table: moments, channels and values."""
    naive_errors: Mapping[str, float | None]
    """Channel -> what MASE divides by, as in the run's own scores; None where undefined."""
    files_sha256: Mapping[str, str]
    """File of the entry's folder -> digest."""
    kept_with: Mapping[str, str]
    """Versions of the programs that were in use when it was kept."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe."""
        times = {name: getattr(self, name).isoformat() for name in ("made", "cutoff", "end")}
        return {**asdict(self), **times, "channels": list(self.channels), "version": VERSION}

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`.

        Raises:
            ValueError, KeyError, TypeError: a field is missing or of another kind, or another version wrote it.
        """
        if tree["version"] != VERSION:
            raise ValueError(f"it has version {tree['version']}, and this program reads version {VERSION}")
        known: dict[str, Any] = {field.name: tree[field.name] for field in fields(cls)}
        run = KeptRun(**{field.name: known["run"][field.name] for field in fields(KeptRun)})
        times = {name: pd.Timestamp(known[name]) for name in ("cutoff", "end")}
        made = datetime.fromisoformat(known["made"])
        if made.tzinfo is None or any(one.tz is not None for one in times.values()):
            raise ValueError("a moment of it has the wrong kind of time zone")
        if not known["channels"] or not all(isinstance(name, str) for name in known["channels"]):
            raise ValueError("its channels are no list of names")
        return cls(**{**known, **times, "made": made, "run": run, "channels": tuple(known["channels"])})


@dataclass(frozen=True)
class Change:
    """One value of a forecast that somebody changed."""

    channel: str
    moment: pd.Timestamp
    was: float
    """What stood there before, by the model or by an earlier adjustment."""
    becomes: float | None
    """The new value; None takes the model's again."""


@dataclass(frozen=True)
class Adjustment:
    """What somebody changed at one time, and why."""

    id: str
    at: datetime
    by: str
    reason: str
    changes: tuple[Change, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe."""
        changes = [{**asdict(one), "moment": one.moment.isoformat()} for one in self.changes]
        return {**asdict(self), "at": self.at.isoformat(), "changes": changes, "version": VERSION}

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`.

        Raises:
            ValueError, KeyError, TypeError: a field is missing or of another kind.
        """
        changes = tuple(
            Change(
                str(one["channel"]),
                pd.Timestamp(one["moment"]),
                float(one["was"]),
                None if one["becomes"] is None else float(one["becomes"]),
            )
            for one in tree["changes"]
        )
        at = datetime.fromisoformat(tree["at"])
        return cls(str(tree["id"]), at, str(tree["by"]), str(tree["reason"]), changes)


def new_id() -> str:
    """An id that sorts by time and can stand in a URL, like 20261122-153059-ab12c (UTC)."""
    tail = "".join(secrets.choice(_LETTERS) for _ in range(5))
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{tail}"


def levels(columns: tuple[str, ...]) -> tuple[float, ...]:
    """Levels in percent of which a forecast has both bounds, such as `yhat-lo-80` and `yhat-hi-80`; lowest first."""
    sides: dict[str, set[str]] = {}
    for name in columns:
        if found := _BAND.fullmatch(name):
            sides.setdefault(found[2], set()).add(found[1])
    return tuple(sorted(float(level) for level, found in sides.items() if len(found) == 2))


def bounds(level: float) -> tuple[str, str]:
    """Names of the lower and the upper bound of a level."""
    return f"yhat-lo-{level:g}", f"yhat-hi-{level:g}"


def said(text: str, *, what: str, needed: bool = True) -> str:
    """What a person wrote, on one line.

    Raises:
        LedgerError: it is empty although it is `needed`, or too long.
    """
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    if needed and not line:
        raise LedgerError(f"{what} is missing; the ledger keeps who did what and why")
    if len(line) > _MOST_LETTERS:
        raise LedgerError(f"{what} has {len(line):,} letters; write at most {_MOST_LETTERS:,}")
    return line
