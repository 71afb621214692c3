"""Kept forecasts on disk: one folder an entry, in `ledger/` of the workspace, written whole or not at all.

entry.json         who kept what, when, and from which run (timellm.ledger.entry), with digests of the files beside it
forecast.parquet   unique_id, ds, yhat, bounds such as yhat-lo-80, and seasonal_naive, made from the same context
context.parquet    unique_id, ds, y: the rows that the model saw, and as many more as the seasonal naive reads
promise.parquet    errors of the run's test windows (timellm.ledger.promise); absent where the run has none
future.parquet     columns known ahead, over context and horizon: unique_id, ds, and each; absent where there were none
adjustments/       one JSON file for each time that somebody changed values by hand
actuals/           one Parquet file for each table that brought actual values

Each file carries a digest of itself (timellm.files.sealed). Files are added and never changed, so that processes that
adjust or score one entry at once lose nothing, and the history stays. An entry holds copies of all it needs, so that a
run can be deleted. A killed process leaves a hidden folder, which the next forecast that is kept removes when it is a
day old.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

import pandas as pd
import pyarrow as pa

from timellm.errors import LedgerError
from timellm.files.parquetfile import read_parquet, write_parquet
from timellm.files.sealed import read_sealed_json, write_sealed_json
from timellm.ledger.actuals import Arrival, to_arrow
from timellm.ledger.entry import ID, Adjustment, Entry
from timellm.ledger.promise import Promise
from timellm.workspace import workspace

ENTRY, FORECAST, CONTEXT, PROMISE, FUTURE = (
    "entry.json",
    "forecast.parquet",
    "context.parquet",
    "promise.parquet",
    "future.parquet",
)
_ADJUSTMENTS, _ACTUALS = "adjustments", "actuals"
_FACTS = "timellm.arrival"
_MOST_ROWS = 50_000_000
_SCRATCH = ".keeping-"
_DAY_S = 86_400
T = TypeVar("T")


@dataclass(frozen=True)
class Ledger:
    """The kept forecasts of one workspace."""

    root: Path

    @classmethod
    def open(cls) -> Self:
        """That of the workspace in force; its folder is made when something is kept."""
        return cls(workspace().ledger)

    def ids(self) -> tuple[str, ...]:
        """Every entry, the newest first."""
        if not self.root.is_dir():
            return ()
        return tuple(sorted((one.name for one in self.root.iterdir() if ID.fullmatch(one.name)), reverse=True))

    def find(self, name: str) -> str:
        """The id that `name` is, or is the only one to begin or end with.

        Raises:
            LedgerError: there is none, or more than one.
        """
        found = [one for one in self.ids() if one.startswith(name) or one.endswith(name)] if name else []
        if name in found:
            return name
        if len(found) != 1:
            what = f"{len(found)} kept forecasts" if found else "no kept forecast"
            raise LedgerError(f"there is {what} '{name[:60]}'; 'ledger list' shows their ids")
        return found[0]

    def entry(self, entry_id: str) -> Entry:
        """What is known about one entry.

        Raises:
            LedgerError: there is none with this id, or it is damaged.
        """
        if not ID.fullmatch(entry_id) or not (self.root / entry_id).is_dir():
            raise LedgerError(
                f"there is no kept forecast '{entry_id[:60]}'; its folder was removed, or the id is wrong"
            )

        def read(path: Path) -> Entry:
            found = Entry.from_dict(read_sealed_json(path))
            if found.id != entry_id:
                raise ValueError(f"it is that of {found.id}")
            return found

        return self._read(entry_id, ENTRY, read)

    def forecast(self, entry: Entry) -> pd.DataFrame:
        """unique_id, ds, yhat, bounds, seasonal_naive."""
        return self._rows(entry, FORECAST)

    def context(self, entry: Entry) -> pd.DataFrame:
        """unique_id, ds, y."""
        return self._rows(entry, CONTEXT)

    def known_future(self, entry: Entry) -> pd.DataFrame | None:
        """Values known ahead that the forecast used; None where it used none."""
        return self._rows(entry, FUTURE) if FUTURE in entry.files_sha256 else None

    def promise(self, entry: Entry) -> Promise | None:
        """Errors of the run's test windows; None where there were none."""
        if PROMISE not in entry.files_sha256:
            return None

        def read(path: Path) -> Promise:
            rows = read_parquet(path, most_rows=_MOST_ROWS)
            return Promise.from_arrow(rows, channels=entry.channels, horizon=entry.horizon)

        return self._checked(entry, PROMISE, read)

    def adjustments(self, entry_id: str) -> tuple[Adjustment, ...]:
        """What was changed by hand, the oldest first."""
        found = self._each(entry_id, _ADJUSTMENTS, lambda path: Adjustment.from_dict(read_sealed_json(path)))
        return tuple(sorted(found, key=lambda one: (one.at, one.id)))

    def arrivals(self, entry_id: str) -> tuple[Arrival, ...]:
        """Actual values that came since, the oldest first."""
        return tuple(sorted(self._each(entry_id, _ACTUALS, _read_arrival), key=lambda one: (one.at, one.id)))

    def stamp(self, entry_id: str) -> tuple[str, ...]:
        """Names of the files that were added; equal stamps mean equal content."""
        parts = (self.root / entry_id / name for name in (_ADJUSTMENTS, _ACTUALS))
        return tuple(sorted(one.name for part in parts if part.is_dir() for one in part.iterdir()))

    def add(self, make: Callable[[Mapping[str, str]], Entry], files: Mapping[str, pa.Table]) -> Entry:
        """Keep an entry: `make` gets the digests of its files. The folder appears whole or not at all.

        Raises:
            LedgerError: it cannot be written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self._sweep()
            scratch = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=self.root))
            try:
                for name, rows in files.items():
                    write_parquet(scratch / name, rows)
                entry = make({name: file_sha256(scratch / name) for name in files})
                write_sealed_json(scratch / ENTRY, entry.to_dict())
                scratch.chmod(0o755)
                scratch.rename(self.root / entry.id)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
        except OSError as error:
            raise _unwritable(self.root, error) from error
        return entry

    def add_adjustment(self, entry_id: str, adjustment: Adjustment) -> None:
        """Keep what somebody changed.

        Raises:
            LedgerError: there is no such entry, or it cannot be written.
        """
        self.entry(entry_id)
        folder = self.root / entry_id / _ADJUSTMENTS
        try:
            write_sealed_json(folder / f"{adjustment.id}.json", adjustment.to_dict())
        except OSError as error:
            raise _unwritable(folder, error) from error

    def add_arrival(self, entry_id: str, arrival: Arrival) -> None:
        """Keep actual values.

        Raises:
            LedgerError: there is no such entry, or it cannot be written.
        """
        self.entry(entry_id)
        folder = self.root / entry_id / _ACTUALS
        rows = to_arrow(arrival.rows).replace_schema_metadata({_FACTS: json.dumps(arrival.facts())})
        try:
            write_parquet(folder / f"{arrival.id}.parquet", rows)
        except OSError as error:
            raise _unwritable(folder, error) from error

    def _sweep(self) -> None:
        for left in self.root.glob(f"{_SCRATCH}*"):
            if time.time() - left.stat().st_mtime > _DAY_S:
                shutil.rmtree(left, ignore_errors=True)

    def _each(self, entry_id: str, part: str, read: Callable[[Path], T]) -> list[T]:
        folder = self.root / entry_id / part
        names = sorted(one.name for one in folder.iterdir() if ID.fullmatch(one.stem)) if folder.is_dir() else []
        return [self._read(entry_id, f"{part}/{name}", read) for name in names]

    def _rows(self, entry: Entry, name: str) -> pd.DataFrame:
        def read(path: Path) -> pd.DataFrame:
            return read_parquet(path, most_rows=_MOST_ROWS).to_pandas(ignore_metadata=True)

        return self._checked(entry, name, read)

    def _checked(self, entry: Entry, name: str, read: Callable[[Path], T]) -> T:
        """A file that is the one which was kept with the entry, and not that of another one."""

        def check(path: Path) -> T:
            if file_sha256(path) != entry.files_sha256[name]:
                raise ValueError("it is not the file that was kept with this forecast")
            return read(path)

        return self._read(entry.id, name, check)

    def _read(self, entry_id: str, name: str, read: Callable[[Path], T]) -> T:
        try:
            return read(self.root / entry_id / name)
        except (OSError, ValueError, LookupError, TypeError, AttributeError, pa.ArrowException) as error:
            said = " ".join(str(error).split())[:300]
            raise LedgerError(
                f"the kept forecast {entry_id} is damaged: {name} ({said}); put back its folder from a backup"
            ) from error


def file_sha256(path: Path) -> str:
    """Digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_arrival(path: Path) -> Arrival:
    table = read_parquet(path, most_rows=_MOST_ROWS)
    facts = json.loads(table.schema.metadata[_FACTS.encode()])
    return Arrival.from_parts(facts, table.to_pandas(ignore_metadata=True))


def _unwritable(folder: Path, error: OSError) -> LedgerError:
    return LedgerError(f"{folder} cannot be written ({error.strerror or error}); free some space or set TIMELLM_HOME")
