"""What a forecaster may know of columns known ahead: numbers of each row, from which an effect is added up.

- straight: each column as it is; one column for each text, or one for two of them.
- bent: also with bends at the quantiles of its training rows (cooling and heating: demand rises on both sides of a mild
  temperature), and the mean over the last season, likewise with bends (a house warms up over a day; the days after a
  promotion are slow). A column of two values has no bends.
- by_time: each of these for every day of the week (daily rows), or with two waves over the hours of the day (rows of
  less than a day), because a promotion sells more on a Saturday, and warmth matters more at noon.

Public holidays are one more column, a one on each, whose rows are known for ever.

Shapes: S rows, K columns, F numbers of a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np
import pandas as pd

from timellm.data.calendar import Grain, grain_of, row_starts
from timellm.data.events import holidays_of
from timellm.data.known import Known
from timellm.data.season import season_length
from timellm.data.table import Table

Form = Literal["straight", "bent", "by_time"]
FORMS: tuple[Form, ...] = ("straight", "bent", "by_time")
MOST_NUMBERS = 400
"""Numbers of a row at most: the time of a fit grows with their square."""
_BENDS = (0.2, 0.4, 0.6, 0.8)
_BENDS_OF_MEAN = (0.25, 0.5, 0.75)
_HOLIDAY = "holiday"


@dataclass(frozen=True)
class KnownColumn:
    """One column of numbers: a column known ahead, one of its texts, or the holidays."""

    name: str
    category: int | None
    """Place of the text that counts as 1; None for a column of numbers."""
    bends: tuple[float, ...]
    bends_of_mean: tuple[float, ...]


@dataclass(frozen=True)
class KnownBasis:
    """How the numbers of a row are made."""

    form: Form
    columns: tuple[KnownColumn, ...]
    grain: Grain
    season: int
    """Rows over which means are taken; 1: none."""
    holidays: str
    """Country whose holidays are the last column; empty for none."""

    @classmethod
    def of(cls, table: Table, form: Form, *, training_rows: int, holidays: str) -> Self:
        """The basis of a table's columns, with bends where the training rows have them."""
        grain, season = grain_of(table.offset), season_length(table.frequency)
        season = season if 1 < season <= training_rows // 4 else 1
        columns = []
        for name, category, values_SN in _numbers(table.known):
            known = values_SN[:training_rows]
            known = known[~np.isnan(known)]
            bends: tuple[float, ...] = ()
            of_mean: tuple[float, ...] = ()
            if form != "straight" and len(np.unique(known)) > 2:
                bends = _quantiles(known, _BENDS)
                of_mean = _quantiles(_means(values_SN[:training_rows], season), _BENDS_OF_MEAN) if season > 1 else ()
            columns.append(KnownColumn(name, category, bends, of_mean))
        if holidays:
            columns.append(KnownColumn(_HOLIDAY, None, (), ()))
        return cls(form, tuple(columns), grain, season, holidays)

    @property
    def count(self) -> int:
        """Numbers of a row."""
        means = self.form != "straight" and self.season > 1
        each = sum(1 + len(one.bends) + (1 + len(one.bends_of_mean)) * means for one in self.columns)
        return each * (self._times(pd.DatetimeIndex([pd.Timestamp("2024-01-01")])).shape[1])

    def rows(self, table: Table, *, channel: int, ahead: int, filled_SNK: np.ndarray | None) -> np.ndarray:
        """The numbers [S, F] of a channel, S the table's rows and `ahead` more; NaN where a column is not known.

        `filled_SNK` are the values of `table.known`, perhaps with gaps filled.
        """
        count = len(table.values) + ahead
        starts = row_starts(table, ahead)[:count]
        numbers = []
        for column in self.columns:
            values_S = self._column(column, table.known, filled_SNK, starts, channel)
            numbers += _bent(values_S, column.bends)
            if self.form != "straight" and self.season > 1:
                numbers += _bent(_means(values_S[:, None], self.season)[:, 0], column.bends_of_mean)
        plain_SF, times_ST = np.stack(numbers, axis=1), self._times(starts)
        return (plain_SF[:, :, None] * times_ST[:, None, :]).reshape(count, -1)

    def _column(
        self,
        column: KnownColumn,
        known: Known | None,
        filled_SNK: np.ndarray | None,
        starts: pd.DatetimeIndex,
        channel: int,
    ) -> np.ndarray:
        if self.holidays and column is self.columns[-1]:
            years = range(starts[0].year, starts[-1].year + 1)
            days = pd.DatetimeIndex([day for day, _ in holidays_of(self.holidays, years, setting="known_holidays")])
            return starts.normalize().isin(days).astype(np.float64)
        assert known is not None and filled_SNK is not None
        at = channel if known.by_channel else 0
        given_S = filled_SNK[: len(starts), at, known.names.index(column.name)]
        values_S = np.full(len(starts), np.nan)
        values_S[: len(given_S)] = given_S
        if column.category is not None:
            values_S = np.where(np.isnan(values_S), np.nan, values_S == column.category)
        return values_S

    def _times(self, starts: pd.DatetimeIndex) -> np.ndarray:
        """What each number is multiplied by, [S, *]."""
        if self.form != "by_time" or self.grain not in ("hour", "day"):
            return np.ones((len(starts), 1))
        if self.grain == "day":
            return np.eye(7)[starts.day_of_week.to_numpy()]
        turn = 2 * np.pi * (starts.hour.to_numpy() + starts.minute.to_numpy() / 60) / 24
        waves = [np.ones_like(turn), np.cos(turn), np.sin(turn), np.cos(2 * turn), np.sin(2 * turn)]
        return np.stack(waves, axis=1)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        if tree["form"] not in FORMS or tree["grain"] not in ("hour", "day", "month", "none"):
            raise ValueError(f"there is no form '{tree['form']}' for rows of '{tree['grain']}'")
        columns = tuple(
            KnownColumn(
                str(one["name"]),
                None if one["category"] is None else int(one["category"]),
                tuple(map(float, one["bends"])),
                tuple(map(float, one["bends_of_mean"])),
            )
            for one in tree["columns"]
        )
        return cls(tree["form"], columns, tree["grain"], int(tree["season"]), str(tree["holidays"]))


def offered_forms(table: Table) -> tuple[Form, ...]:
    """The forms that differ on a table, the simplest first."""
    return FORMS if grain_of(table.offset) in ("hour", "day") else FORMS[:2]


def _numbers(known: Known | None) -> list[tuple[str, int | None, np.ndarray]]:
    """Name, place of the text, and values [S, N] of each column of numbers."""
    found: list[tuple[str, int | None, np.ndarray]] = []
    for place, name in enumerate(known.names if known else ()):
        assert known is not None
        values_SN = known.values_SNK[:, :, place]
        texts = known.categories.get(name)
        if texts is None:
            found.append((name, None, values_SN))
            continue
        for category in range(len(texts)) if len(texts) > 2 else range(len(texts) - 1, len(texts)):
            found.append((name, category, np.where(np.isnan(values_SN), np.nan, values_SN == category)))
    return found


def _quantiles(values: np.ndarray, shares: tuple[float, ...]) -> tuple[float, ...]:
    """Distinct inner quantiles."""
    values = values[~np.isnan(values)]
    inner = np.unique(np.quantile(values, shares)) if len(values) else np.empty(0)
    return tuple(float(bend) for bend in inner if values.min() < bend < values.max())


def _means(values_SN: np.ndarray, rows: int) -> np.ndarray:
    """The mean over the last `rows` rows, of what is known of them."""
    return pd.DataFrame(values_SN).rolling(rows, min_periods=1).mean().to_numpy()


def _bent(values_S: np.ndarray, bends: tuple[float, ...]) -> list[np.ndarray]:
    return [values_S, *(np.where(np.isnan(values_S), np.nan, np.maximum(values_S - bend, 0)) for bend in bends)]
