"""Whether a table's records fit on a regular grid, one of a series at each moment; and what would mend them.

Inputs: the records of a table's file, repaired or not. Outputs: the grid, or an error that names line and repairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from timellm.data.repair.offers import for_duplicates, for_uneven_steps
from timellm.data.sheet import Sheet
from timellm.data.tablefile import TableFile
from timellm.data.timeline import infer_frequency, parse_frequency, regular_grid
from timellm.data.unfit import TimesAtFault
from timellm.errors import DataError, RepairableError


@dataclass(frozen=True)
class Records:
    """When and of which channel the records of a file are, as timellm.data.repair.entries has them, too."""

    times: pd.Series
    series: np.ndarray
    names: tuple[str, ...]
    utc: bool


def check_distinct(file: TableFile, records: Records) -> None:
    """Refuse records of one series with one timestamp.

    Raises:
        RepairableError: there are some.
    """
    times, series = records.times, records.series
    keys = pd.DataFrame({"time": times, "series": series})
    again = keys.duplicated()
    if not again.any():
        return
    sheet, roles = file.sheet, file.roles
    record, time = again.idxmax(), times.loc[again.idxmax()]
    first = (keys == keys.loc[record]).all(axis="columns").idxmax()
    of_series = f" of series '{records.names[series[keys.index.get_loc(record)]]}'" if roles.id_column else ""
    cure = "keep one of the rows"
    if roles.layout == "wide":
        cure += (
            ", write the hour at which clocks go back in UTC, or name the column of series IDs in setting 'id_column'"
        )
    raise RepairableError(
        f"{file.place(record)}: the timestamp {time}{of_series} "
        f"already stands in line {sheet.line(first)} ({again.sum():,} such rows); {cure}",
        for_duplicates(pd.DatetimeIndex(times), series, utc=records.utc),
        TimesAtFault(
            "duplicates",
            pd.DatetimeIndex(times),
            sheet.lines[times.index],
            again.to_numpy(),
            alike=_alike(sheet, times.index[keys.duplicated(keep=False)]),
        ),
    )


def _alike(sheet: Sheet, records: pd.Index) -> int:
    """How many of these records equal an earlier one in every cell."""
    some = sheet.only(np.isin(sheet.records, records))
    return int(pd.DataFrame({name: some.column(name) for name in some.columns}).duplicated().sum())


def find_grid(file: TableFile, records: Records, asked: str | None) -> tuple[pd.DatetimeIndex, str]:
    """The regular grid of records, and its step; `asked` is the setting `frequency`.

    Raises:
        DataError: there is only one timestamp.
        RepairableError: the timestamps lie on no grid.
    """
    times = records.times
    present = pd.DatetimeIndex(times.unique()).sort_values()
    if len(present) < 2:
        raise DataError(
            f"{file.sheet.name} has only one timestamp ({present[0]}); add the rows before it, "
            "because a forecast needs a history"
        )
    frequency = parse_frequency(asked, present) if asked else infer_frequency(present)
    try:
        grid = regular_grid(present, frequency)
    except DataError as error:
        raise RepairableError(str(error), for_uneven_steps(pd.DatetimeIndex(times), records.series)) from None
    off = ~times.isin(grid)
    if off.any():
        record, origin = off.idxmax(), "set" if asked else "found from the timestamps"
        raise RepairableError(
            f"{file.place(record)}: {times.loc[record]} does not fall on the "
            f"regular step of {frequency} {origin} ({off.sum():,} of {len(times):,} rows do not); correct the "
            "timestamps, resample the table to an even step, or set 'frequency'",
            for_uneven_steps(pd.DatetimeIndex(times), records.series),
            TimesAtFault(
                "irregular", pd.DatetimeIndex(times), file.sheet.lines[times.index], off.to_numpy(), frequency
            ),
        )
    return grid, frequency
