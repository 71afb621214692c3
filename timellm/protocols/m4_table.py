"""An M4 set as a table that runs can learn from, and what its forecasts are measured against.

Inputs: the files of a set. Outputs: two files in the workspace, named by a digest of what they were made from:

    data/protocols/m4/Hourly-0123456789ab.parquet   ds, and a column for each series
    data/protocols/m4/Hourly-0123456789ab.json      errors of the reference forecasts by series, and the scale of MASE

The series of a set share no time axis, and no file says when they end. So they are laid on rows that end together: the
last rows are the held-out values of every series, the rows before them its training values, and cells before a series
begins are empty. With that, windows, scale and split are those of any other table. The dates of the rows are made up:
they have the right step and tell nothing of the calendar.

Shapes: N series, R rows, H horizon.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from timellm.data.gaps import Past
from timellm.data.panel import Panel, read_panel
from timellm.errors import CheckpointError, DataError
from timellm.evaluation.by_series import SeriesErrors
from timellm.evaluation.metrics import seasonal_naive_error
from timellm.files.sealed import read_sealed_json, write_sealed_json
from timellm.forecasters.naive2 import NAIVE2, Naive2
from timellm.forecasters.simple_rules import Windows, seasonal_naive
from timellm.protocols.m4_sets import M4Files, M4Set
from timellm.workspace import workspace, write_whole

OFFICIAL, SEASONAL = "Naive2 (the competition's file)", "Seasonal naive"
_VERSION = b"1"
_BEGIN = "1700-01-01"
_MOST_CELLS = 20_000_000
"""Of a table. Above it, the oldest rows are left out, which only a few long series have."""
_BLOCK = 512
"""Series that are measured at once."""


@dataclass(frozen=True)
class M4Reference:
    """What forecasts of a set are measured against."""

    series: tuple[str, ...]
    naive_error_N: np.ndarray
    """Mean error of the seasonal naive over all training values, for MASE."""
    rules: dict[str, SeriesErrors]
    """Errors of the reference forecasts by name: Naive2, the seasonal naive, and perhaps the competition's Naive2."""
    left_out: dict[str, str]
    """Series that are not in the table, each with its reason."""
    rows: int
    """Of the table, the held-out ones among them."""
    rows_left_out: int
    """Oldest rows that are not in the table."""

    @property
    def naive2(self) -> SeriesErrors:
        """What OWA is measured against: the competition's own forecasts where they are known, otherwise ours."""
        return self.rules.get(OFFICIAL, self.rules[NAIVE2])

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe, with None where an error is undefined."""
        return {
            "series": list(self.series),
            "naive_error": _listed(self.naive_error_N),
            "rules": {
                name: {"smape": _listed(one.smape_N), "mase": _listed(one.mase_N)} for name, one in self.rules.items()
            },
            "left_out": self.left_out,
            "rows": self.rows,
            "rows_left_out": self.rows_left_out,
        }

    @classmethod
    def read(cls, table: Path) -> Self:
        """That of a table which `lay_out` wrote.

        Raises:
            CheckpointError: its file is missing or damaged.
        """
        path = table.with_suffix(".json")
        try:
            tree = read_sealed_json(path)
            return cls(
                tuple(map(str, tree["series"])),
                np.array(tree["naive_error"], np.float64),
                {
                    name: SeriesErrors(np.array(one["smape"], np.float64), np.array(one["mase"], np.float64))
                    for name, one in tree["rules"].items()
                },
                dict(tree["left_out"]),
                int(tree["rows"]),
                int(tree["rows_left_out"]),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(
                f"{path} cannot be read ({error}); it is what M4 forecasts are measured against, so remove it and"
                f" {table.name}, and start the protocol again"
            ) from None


def lay_out(one: M4Set, files: M4Files) -> tuple[Path, M4Reference]:
    """Write the table and the reference of a set, unless they are there already; the path of the table.

    A series that has no value left to learn from before its validation values is left out, with its reason. One that is
    too short for a run's context stays: the run has no window of it, and `measure` says so.

    Raises:
        DataError: a file cannot be used; names file, line and series.
        CheckpointError: the reference that is there is damaged.
        OSError: the workspace cannot be written.
    """
    path = workspace().root / "data" / "protocols" / "m4" / f"{one.name}-{_digest(one, files)}.parquet"
    if path.is_file() and path.with_suffix(".json").is_file():
        return path, M4Reference.read(path)
    training, actual_NH, official_NH = _read(one, files)
    long_enough_N = training.lengths > one.horizon
    left_out = {
        training.names[at]: f"it has {training.lengths[at]:,} training values, and validation takes {one.horizon:,}"
        for at in np.flatnonzero(~long_enough_N)
    }
    kept = np.flatnonzero(long_enough_N)
    if not len(kept):
        raise DataError(
            f"{files.training.name}: no series has more values than the {one.horizon:,} that validation takes; take the"
            " file as it was published"
        )
    training, actual_NH = training.of(kept), actual_NH[kept]
    official_NH = None if official_NH is None else official_NH[kept]
    longest = int(training.lengths.max())
    rows = min(longest, _MOST_CELLS // len(training))
    naive_error_N, rules = _measured(one, training, actual_NH, official_NH)
    reference = M4Reference(training.names, naive_error_N, rules, left_out, rows + one.horizon, longest - rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_sealed_json(path.with_suffix(".json"), reference.to_dict())
    _write(path, np.concatenate([training.ended_together(rows), actual_NH.T]), names=training.names, step=one.step)
    return path, reference


def _digest(one: M4Set, files: M4Files) -> str:
    digest = hashlib.sha256(_VERSION + repr((one.horizon, one.season, one.step)).encode())
    for path in (files.training, files.test, files.naive2):
        if path is not None:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:12]


def _read(one: M4Set, files: M4Files) -> tuple[Panel, np.ndarray, np.ndarray | None]:
    """Training values, held-out values [N, H], and the competition's forecasts by Naive2 [N, H]."""
    training = read_panel(files.training)
    actual_NH = _in_order(training, files.test, one.horizon)
    return training, actual_NH, None if files.naive2 is None else _in_order(training, files.naive2, one.horizon)


def _in_order(training: Panel, path: Path, horizon: int) -> np.ndarray:
    """The values [N, H] of a second file, in the order of the first; each of its series has exactly H of them."""
    found = read_panel(path)
    number = {name: at for at, name in enumerate(found.names)}
    if lacking := [name for name in training.names if name not in number]:
        raise DataError(
            f"{path.name} lacks {len(lacking):,} series of the training file, such as '{lacking[0]}'; take both from"
            " one place"
        )
    some = found.of(np.array([number[name] for name in training.names], np.int64))
    if (wrong := np.flatnonzero(some.lengths != horizon)).size:
        at = int(wrong[0])
        raise DataError(
            f"{path.name}: series '{some.names[at]}' has {some.lengths[at]:,} values and not {horizon:,}, the horizon"
            " of the competition; take the file as it was published"
        )
    return np.stack(some.series)


def _measured(
    one: M4Set, training: Panel, actual_NH: np.ndarray, official_NH: np.ndarray | None
) -> tuple[np.ndarray, dict[str, SeriesErrors]]:
    """The scale of MASE, and the errors of the reference forecasts."""
    scales: list[np.ndarray] = []
    forecasts: dict[str, list[np.ndarray]] = {NAIVE2: [], SEASONAL: []}
    for values_RN, windows in _blocks(training, one.horizon):
        scales.append(seasonal_naive_error(values_RN, one.season))
        forecasts[NAIVE2].append(Naive2.fit(values_RN, season=one.season).forecast(windows))
        forecasts[SEASONAL].append(seasonal_naive(windows, season=one.season))
    naive_error_N = np.concatenate(scales)
    found = {name: np.concatenate(parts) for name, parts in forecasts.items()}
    if official_NH is not None:
        found[OFFICIAL] = official_NH
    return naive_error_N, {
        name: SeriesErrors.of(actual_NH, forecast_NH, naive_error_N=naive_error_N)
        for name, forecast_NH in found.items()
    }


def _blocks(training: Panel, horizon: int) -> Iterator[tuple[np.ndarray, Windows]]:
    """Some series at a time: their values [R, N], and the window after the last row of each."""
    for part in training.blocks(_BLOCK):
        values_RN = part.ended_together()
        origin = np.full(len(part), len(values_RN), np.int64)
        yield values_RN, Windows(Past.of(values_RN, "skip"), np.arange(len(part)), origin, horizon)


def _write(path: Path, values_RN: np.ndarray, *, names: tuple[str, ...], step: str) -> None:
    moments = pd.date_range(_BEGIN, periods=len(values_RN), freq=step, unit="s")
    columns = [pa.array(moments.to_numpy(), pa.timestamp("s"))]
    columns += [pa.array(values_R, pa.float64(), from_pandas=True) for values_R in values_RN.T]
    table = pa.Table.from_arrays(columns, names=["ds", *names])
    write_whole(path, lambda scratch: pq.write_table(table, scratch))


def _listed(values_N: np.ndarray) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values_N]
