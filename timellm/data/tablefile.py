"""A table's file, opened: which columns it has, what they mean, and its timestamps; numbers are read later.

Inputs: a `DataConfig`. Outputs: a `TableFile`, from which timellm.data.table makes a table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from timellm.config import DataConfig
from timellm.config.repair import steps_of
from timellm.data.columns import ColumnRoles, find_roles, is_time_name, stamp_cells, unknown_name
from timellm.data.decimals import Decimals, find_decimals, parse_numbers
from timellm.data.header import check_header
from timellm.data.known_reading import check_roles
from timellm.data.manyvalues import EACH, ask_for_values, one_value_column
from timellm.data.missing_codes import ask_about_numbers
from timellm.data.records import excerpt
from timellm.data.repair.entries import Entries
from timellm.data.sheet import MISSING, Sheet, check_cells_stay_on_their_line, is_missing, read_sheet
from timellm.data.timeparts import compose_timestamps
from timellm.data.timestamps import Reading, parse_timestamps
from timellm.errors import DataError, RepairableError


@dataclass(frozen=True)
class TableFile:
    """A file whose columns and timestamps are known, and whose numbers are not read yet."""

    sheet: Sheet
    roles: ColumnRoles
    time_column: str
    stamps: Reading
    series: np.ndarray  # index into `names`, 0 throughout in a wide table
    names: tuple[str, ...]

    def entries(self, decimals: Decimals) -> Entries:
        """The records with their numbers. A channel without a decimal sign is only said to have cells: it is left out.

        Raises:
            DataError: a cell is no number.
            QuestionError: a number stands out that may be a code for a missing value.
        """
        columns = [str(self.roles.value_column)] if self.roles.id_column else list(self.names)
        values = np.full((len(self.sheet), len(columns)), np.nan)
        read = [place for place, name in enumerate(columns) if name in decimals.signs]
        for some, numbers in self.numbers(decimals):
            values[:, read[some]] = numbers.T
        # Before anything is clipped or merged with it.
        if (question := ask_about_numbers(pd.DataFrame(values, columns=columns), self.sheet.missing_codes)) is not None:
            raise question
        for place in set(range(len(columns))) - set(read):
            values[~is_missing(self.sheet.texts[columns[place]]).to_numpy(zero_copy_only=False), place] = 1.0
        return Entries(
            self.stamps.values, self.series, self.names, values, long=bool(self.roles.id_column), utc=self.stamps.utc,
            place=self.place,
        )  # fmt: skip

    def numbers(self, decimals: Decimals) -> Iterator[tuple[slice, np.ndarray]]:
        """As timellm.data.decimals.parse_numbers has them.

        Raises:
            RepairableError: a cell is no number, and the table has other channels.
            DataError: a cell is no number, and it has not.
        """
        try:
            yield from parse_numbers(self.sheet, decimals.signs)
        except RepairableError as error:
            if self.roles.id_column or len(self.names) == 1:
                raise error.without_repairs() from None
            raise

    def place(self, record: int) -> str:
        """Where a record stands."""
        return f"column '{self.time_column}', line {self.sheet.line(record)}"

    def decimals(self, config: DataConfig) -> Decimals:
        """The decimal signs of the numbers, but for channels that a repair leaves out: these may hold no numbers.

        Raises:
            QuestionError: nothing decides.
        """
        setting = config.decimal
        dropped = {step.arguments[1] for step in steps_of(config.repair) if step.arguments[0] == "channel"}
        columns = tuple(name for name in self.names if name not in dropped)
        columns = (self.roles.value_column,) if self.roles.value_column else columns
        return find_decimals(self.sheet, columns, others=self.roles.value_candidates, setting=setting)


def open_table(config: DataConfig) -> TableFile:
    """Read a file up to its timestamps.

    Raises:
        DataError: it cannot be used; names column, line and remedy.
    """
    sheet = compose_timestamps(read_sheet(config), config)
    if config.value_column == EACH:
        sheet, config = one_value_column(sheet, config)
    roles = find_roles(sheet, config)
    check_roles(config, roles)
    _ask(sheet, roles, config)
    if roles.time_column is None:
        for name in roles.columns:
            if is_time_name(name):  # its first wrong cell says more than its absence
                parse_timestamps(sheet.column(name), column=name, line=sheet.line)
        raise DataError(
            f"{sheet.name}: no column holds timestamps (columns: {', '.join(roles.columns[:20])}); add one with dates "
            "such as 2020-01-31 13:00, or name it in setting 'time_column'"
        )
    if roles.layout == "long":
        _check_long(sheet, roles)
    given = (roles.time_column, roles.time_of_day_column, roles.id_column, roles.value_column)
    needed = {name for name in given if name is not None}.union(
        roles.numeric, set(config.known_ahead) & set(roles.columns)
    )
    check_cells_stay_on_their_line(sheet, needed, roles.time_column)
    if roles.layout == "long":
        sheet, names = _select_series(sheet, roles, config.channels)
    stamps = parse_timestamps(
        _stamps(sheet, roles.time_column, roles.time_of_day_column),
        column=roles.time_column,
        line=sheet.line,
        order=config.date_order,
    )
    if roles.layout == "wide":
        names = _select_columns(sheet, roles, config.channels)
    series = (
        pd.Categorical(sheet.column(roles.id_column), categories=names).codes
        if roles.id_column
        else np.zeros(len(sheet))
    )
    return TableFile(sheet, roles, roles.time_column, stamps, np.asarray(series, dtype="int64"), names)


def _ask(sheet: Sheet, roles: ColumnRoles, config: DataConfig) -> None:
    """Questions about the file as a whole, which settings answer."""
    if sheet.doubt is not None and not all(map(str.isascii, (*roles.columns, *roles.series))):
        raise sheet.doubt
    if sheet.has_header and config.header == "auto":
        check_header(sheet.first, roles.time_candidates, name=sheet.name, line=sheet.line(0))


def _stamps(sheet: Sheet, time_column: str, time_of_day_column: str | None) -> pd.Series:
    if time_of_day_column is not None:
        clock = sheet.column(time_of_day_column)
        if (clock == "").any():
            record = (clock == "").idxmax()
            raise DataError(
                f"column '{time_of_day_column}', line {sheet.line(record)}: the time of day is missing; "
                "fill it in or remove the line"
            )
    return stamp_cells(sheet, time_column, time_of_day_column)


def _select_columns(sheet: Sheet, roles: ColumnRoles, wanted: tuple[str, ...]) -> tuple[str, ...]:
    offered = dict.fromkeys(name for name in roles.columns if name not in (roles.time_column, roles.time_of_day_column))
    for name in wanted:
        if name not in offered:
            raise DataError(unknown_name(name, roles.series, f"setting 'channels': {sheet.name} has no channel"))
    chosen = set(wanted)
    names = tuple(name for name in offered if name in chosen) if wanted else roles.series
    if not names:
        raise DataError(
            f"{sheet.name}: no column besides '{roles.time_column}' holds numbers{_example(sheet, tuple(offered))}; "
            "add a column of numbers, or correct the cells"
        )
    return names


def _example(sheet: Sheet, columns: tuple[str, ...]) -> str:
    """The first cell of the first column that has one, for a message."""
    for name in columns:
        cells = sheet.column(name)
        given = cells[~cells.isin(MISSING)]
        if len(given):
            return f" ('{name}' has '{excerpt(given.iloc[0])}' in line {sheet.line(given.index[0])})"
    return " (every cell is empty)" if columns else ""


def _check_long(sheet: Sheet, roles: ColumnRoles) -> None:
    if roles.id_column is None:
        raise DataError(
            f"{sheet.name}: a long table needs a column of series IDs; name it in setting 'id_column', "
            "or set 'layout' to wide"
        )
    if roles.value_column is None:
        if roles.value_candidates:
            raise ask_for_values(sheet, roles.value_candidates)
        raise DataError(f"{sheet.name}: a long table needs a column of numbers, and it has none besides its IDs")
    if len({roles.time_column, roles.id_column, roles.value_column}) < 3:
        raise DataError(
            f"{sheet.name}: timestamp '{roles.time_column}', series ID '{roles.id_column}' and value "
            f"'{roles.value_column}' must be three different columns; correct the settings"
        )
    empty = sheet.column(roles.id_column) == ""
    if empty.any():
        raise DataError(
            f"column '{roles.id_column}', line {sheet.line(empty.idxmax())}: the series ID is missing; "
            "fill it in or remove the line"
        )
    if 1 < len(sheet) < 2 * len(roles.series):
        raise DataError(
            f"{sheet.name}: column '{roles.id_column}' names {len(roles.series):,} series in {len(sheet):,} "
            "rows, so that most have one row; choose another column in setting 'id_column', or set 'layout' to wide"
        )


def _select_series(sheet: Sheet, roles: ColumnRoles, wanted: tuple[str, ...]) -> tuple[Sheet, tuple[str, ...]]:
    known, chosen = set(roles.series), set(wanted)
    for name in wanted:
        if name not in known:
            raise DataError(
                unknown_name(name, roles.series, f"setting 'channels': column '{roles.id_column}' has no series")
            )
    if not wanted or roles.id_column is None:
        return sheet, roles.series
    names = tuple(name for name in roles.series if name in chosen)
    return sheet.only(sheet.column(roles.id_column).isin(names).to_numpy()), names
