"""Reading the columns that are known ahead, from the table's own file and from a second one.

Inputs: the table's sheet with the place of each of its records, and the data section of a configuration. Outputs: a
`Known`. A second file (`known_file`) has a timestamp column, some of the columns, and in a long table perhaps the
series ID. It fills what the table lacks, and after the last measured row it decides.

Shapes: S rows, N channels, K columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from timellm.config import DataConfig
from timellm.config.repair import steps_of
from timellm.data.columns import ColumnRoles, find_roles, stamp_cells, unknown_name
from timellm.data.decimals import find_decimals, parse_numbers
from timellm.data.known import MOST_CATEGORIES, Known
from timellm.data.repair.clock import moved_clock
from timellm.data.sheet import MISSING, Sheet, read_sheet
from timellm.data.timeline import regular_grid
from timellm.data.timestamps import parse_timestamps
from timellm.errors import ConfigError, DataError, RepairableError

_LARGEST = 1e36  # as for the values of a channel


@dataclass(frozen=True)
class KnownSource:
    """A sheet that may hold columns known ahead, and where each of its records belongs."""

    sheet: Sheet
    numeric: frozenset[str]
    times: pd.DatetimeIndex
    """Of each record."""
    series: np.ndarray | None
    """Number of each record's channel, -1 for none; None: the record holds for all channels."""


@dataclass(frozen=True)
class TableRows:
    """The rows of the table that the columns belong to."""

    grid: pd.DatetimeIndex
    frequency: str
    measured: int
    """Rows up to the last one in which a channel has a value."""
    channels: tuple[str, ...]
    by_channel: bool


def check_roles(config: DataConfig, roles: ColumnRoles) -> None:
    """Refuse a column that has two roles.

    Raises:
        ConfigError: a column is named twice.
    """
    taken = {"the timestamp": roles.time_column, "the time of day": roles.time_of_day_column}
    taken |= {"the series ID": roles.id_column, "the value": roles.value_column}
    seen: dict[str, str] = {name: what for what, name in taken.items() if name is not None}
    if roles.layout == "wide":
        seen |= dict.fromkeys(config.channels, "a channel to forecast")
    for setting in ("known_ahead", "past_only", "static_columns"):
        for name in getattr(config, setting):
            if name in seen:
                raise ConfigError(
                    f"setting '{setting}' names column '{name}', which is {seen[name]} already; give it one role"
                )
            seen[name] = f"in setting '{setting}'"


def read_known(own: KnownSource, config: DataConfig, rows: TableRows) -> tuple[Known, tuple[str, ...]]:
    """The columns of `known_ahead`, and notes on them.

    Raises:
        DataError: a column is in no file, a cell cannot be read, or a row of the second file is off the table's step.
    """
    second = _second_file(config, rows) if config.known_file else None
    sources = [own, *([second] if second else [])]
    for name in config.known_ahead:
        if not any(name in source.sheet.texts for source in sources):
            files = " or ".join(source.sheet.name for source in sources)
            there = [column for source in sources for column in source.sheet.columns]
            raise DataError(unknown_name(name, there, f"setting 'known_ahead': {files} has no column"))
    known, texts = _read(sources, config.known_ahead, config, rows)
    return _trimmed(known, rows.measured), (*texts, *_notes(known, rows))


def read_ahead(path: str | Path, known: Known, config: DataConfig, rows: TableRows) -> Known:
    """The columns of `known` with the values of a second file, which decides after the last measured row.

    Raises:
        DataError: the file has none of the columns, a cell cannot be read, or a row is off the table's step.
    """
    second = _second_file(config.model_copy(update={"known_file": str(path)}), rows)
    names = tuple(name for name in known.names if name in second.sheet.texts)
    if not names:
        raise DataError(
            f"{second.sheet.name} has none of the columns known ahead ({', '.join(known.names)}); it has:"
            f" {', '.join(second.sheet.columns[:20])}"
        )
    newer, _ = _read([second], names, config, rows)
    return known.completed(newer, measured=rows.measured)


def _read(
    sources: list[KnownSource], names: tuple[str, ...], config: DataConfig, rows: TableRows
) -> tuple[Known, list[str]]:
    """Some columns from all files that have them, and notes on their texts."""
    index = _index(sources, rows)
    values, categories, notes = [], {}, list[str]()
    for name in names:
        found = _column(name, [source for source in sources if name in source.sheet.texts], config, index, rows)
        if found.texts:
            categories[name] = found.texts
            notes.append(_of_texts(name, found.texts))
        values.append(found.values_SN)
    return Known(index.rename("ds"), names, np.stack(values, axis=2), categories), notes


def _index(sources: list[KnownSource], rows: TableRows) -> pd.DatetimeIndex:
    """The rows of the table's grid, and later ones that a second file has."""
    index = rows.grid
    for source in sources:
        later = source.times > rows.grid[-1]
        if not later.any():
            continue
        found = regular_grid(rows.grid.append(source.times[later].unique().sort_values()), rows.frequency)
        off = later & ~source.times.isin(found)
        if off.any():
            at = int(off.argmax())
            raise DataError(
                f"{source.sheet.name}, line {source.sheet.line(source.sheet.records[at])}: {source.times[at]} does not"
                f" fall on the table's step of {rows.frequency}; correct it"
            )
        index = found if len(found) > len(index) else index
    return index


def _second_file(config: DataConfig, rows: TableRows) -> KnownSource:
    reading = DataConfig(path=config.known_file, encoding=config.encoding, header=config.header)
    sheet = read_sheet(reading)
    # Every column is a candidate: here, one that repeats is no series.
    roles = find_roles(sheet, reading.model_copy(update={"layout": "wide"}))
    time_column = config.time_column if config.time_column in sheet.texts else roles.time_column
    if time_column is None:
        raise DataError(
            f"{sheet.name}: no column holds timestamps (columns: {', '.join(sheet.columns[:20])}); the file of"
            " 'known_file' needs one, written like 2020-01-31 13:00"
        )
    of_day = roles.time_of_day_column if time_column == roles.time_column else None
    times = parse_timestamps(
        stamp_cells(sheet, time_column, of_day), column=time_column, line=sheet.line, order=config.date_order
    )
    series = None
    if rows.by_channel and config.id_column in sheet.texts:
        series = np.asarray(pd.Categorical(sheet.column(str(config.id_column)), categories=rows.channels).codes)
    moments = _on_the_table_s_clock(pd.DatetimeIndex(times.values), times.utc, sheet, config)
    found = KnownSource(sheet, frozenset(roles.numeric), moments, series)
    again = pd.DataFrame({"time": found.times, "series": 0 if series is None else series}).duplicated().to_numpy()
    again = again & (True if series is None else series >= 0)
    if again.any():
        at = int(again.argmax())
        raise DataError(
            f"{sheet.name}, line {sheet.line(sheet.records[at])}: the timestamp {found.times[at]} stands there a second"
            " time; keep one of the rows" + (", or name the series ID in 'id_column'" if rows.by_channel else "")
        )
    return found


def _on_the_table_s_clock(times: pd.DatetimeIndex, utc: bool, sheet: Sheet, config: DataConfig) -> pd.DatetimeIndex:
    """The moments of a second file on the clock to which the table is repaired."""
    for step in steps_of(config.repair):
        if step.kind == "timezone":
            times = moved_clock(
                times, step, utc=utc, place=lambda at: f"{sheet.name}, line {sheet.line(sheet.records[at])}"
            )
            utc = True
    return times


@dataclass(frozen=True)
class _Column:
    values_SN: np.ndarray
    texts: tuple[str, ...]


def _column(
    name: str, sources: list[KnownSource], config: DataConfig, index: pd.DatetimeIndex, rows: TableRows
) -> _Column:
    """One column from all files that have it; the table's own comes first, and after the last measured row last."""
    numeric = all(name in source.numeric for source in sources)
    cells: list[Any] = [_numbers(name, source, config) if numeric else _texts(name, source) for source in sources]
    texts: tuple[str, ...] = ()
    if not numeric:
        texts = tuple(sorted({text for column in cells for text in column if text is not None}))
        if len(texts) > MOST_CATEGORIES:
            raise DataError(
                f"column '{name}' holds {len(texts):,} different texts (such as '{texts[0]}'), and a column known ahead"
                f" has at most {MOST_CATEGORIES}; put them into groups, or take it out of 'known_ahead'"
            )
        codes: dict[Any, float] = {text: float(place) for place, text in enumerate(texts)} | {None: np.nan}
        cells = [[codes[text] for text in column] for column in cells]
    channels = len(rows.channels) if rows.by_channel else 1
    values_SN = np.full((len(index), channels), np.nan)
    for number, (source, column) in enumerate(zip(sources, cells, strict=True)):
        given_SN = _placed(np.asarray(column, np.float64), source, index, channels)
        ahead_S1 = (np.arange(len(index)) >= rows.measured)[:, None]
        decides_SN = ~np.isnan(given_SN) & (np.isnan(values_SN) | (ahead_S1 & (number > 0)))
        values_SN[decides_SN] = given_SN[decides_SN]
    return _Column(values_SN, texts)


def _placed(numbers: np.ndarray, source: KnownSource, index: pd.DatetimeIndex, channels: int) -> np.ndarray:
    given_SN = np.full((len(index), channels), np.nan)
    at = index.get_indexer(source.times)
    inside = at >= 0
    if source.series is None:
        given_SN[at[inside]] = numbers[inside, None]
    else:
        inside &= source.series >= 0
        given_SN[at[inside], source.series[inside]] = numbers[inside]
    return given_SN


def _numbers(name: str, source: KnownSource, config: DataConfig) -> np.ndarray:
    sheet = source.sheet
    decimals = find_decimals(sheet, [name], others=sorted(source.numeric), setting=config.decimal)
    try:
        ((_, numbers),) = parse_numbers(sheet, decimals.signs)
    except RepairableError as error:  # it is no channel, which could be left out
        raise error.without_repairs() from None
    largest = np.nanmax(np.abs(numbers[0]), initial=0.0)
    if largest > _LARGEST:
        raise DataError(f"column '{name}' holds {largest:g}; give its values in a larger unit, at most {_LARGEST:g}")
    return numbers[0]


def _texts(name: str, source: KnownSource) -> list[str | None]:
    return [None if text in MISSING else text for text in source.sheet.texts[name].to_pylist()]


def _trimmed(known: Known, measured: int) -> Known:
    """Without rows after the last measured one in which nothing is known."""
    given = np.flatnonzero(~np.isnan(known.values_SNK).all(axis=(1, 2)))
    end = max(measured, int(given[-1]) + 1 if len(given) else 0)
    return Known(known.index[:end], known.names, known.values_SNK[:end], known.categories)


def _of_texts(name: str, texts: tuple[str, ...]) -> str:
    if len(texts) == 2:
        return f"Column '{name}' holds two texts; '{texts[1]}' counts as 1 and '{texts[0]}' as 0."
    return f"Column '{name}' holds {len(texts)} texts; each is a column of its own: {', '.join(texts)}."


def _notes(known: Known, rows: TableRows) -> list[str]:
    notes = []
    ahead = len(_trimmed(known, rows.measured).index) - rows.measured
    if ahead > 0:
        notes.append(
            f"Known ahead for {ahead:,} rows after the last measured one: they count as the future, not as missing."
        )
    gaps: Mapping[str, int] = {
        name: int(np.isnan(known.values_SNK[: rows.measured, :, place]).any(axis=1).sum())
        for place, name in enumerate(known.names)
    }
    shown = [f"'{name}' in {count:,} rows" for name, count in gaps.items() if count]
    if shown:
        notes.append(f"Known ahead, but missing: {', '.join(shown)}. These rows count as missing for every channel.")
    return notes
