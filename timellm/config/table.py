"""The sections that every run has: the table (`DataConfig`) and the task on it (`TaskConfig`)."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import field_validator, model_validator

from timellm.config.repair import checked
from timellm.config.section import Section, setting
from timellm.errors import ConfigError

KnownEffect = Literal["auto", "off", "straight", "bent", "by_time"]
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class DataConfig(Section):
    """Which table, and what its columns mean."""

    affects = "windows"

    path: str = setting(affects="place", title="Table")
    """CSV file, as an absolute path once a run is queued."""
    layout: Literal["auto", "wide", "long"] = "auto"
    """wide: one timestamp column and numeric columns; long: one row per series and timestamp."""
    time_column: str | None = None
    """Timestamp column; found by its content when not given."""
    id_column: str | None = None
    """Series ID column of a long table."""
    value_column: str | None = None
    """Target column of a long table; * makes each of its columns of numbers a channel of its own."""
    channels: tuple[str, ...] = ()
    """Columns (wide) or series IDs (long) to learn and forecast; empty means all of them."""
    known_ahead: tuple[str, ...] = setting((), title="Known ahead")
    """Columns that are known before the time they speak of, such as a promotion, a price or a temperature forecast."""
    known_file: str = setting("", affects="place", title="Second file, known ahead")
    """Second CSV file with columns known ahead, for rows that the table lacks and for rows after its end."""
    known_holidays: str = setting("", title="Holidays, known ahead", max_length=40)
    """Country whose public holidays are known ahead, such as DE or AU-VIC; needs the optional package holidays."""
    past_only: tuple[str, ...] = setting((), title="Measured, not known ahead")
    """Columns that are measured together with the channels; they are shown, and no forecaster reads them."""
    static_columns: tuple[str, ...] = setting((), title="Static")
    """Columns that never change for a series; they are shown, and no forecaster reads them."""
    time_of_day_column: str | None = None
    """Column of times of day beside a timestamp column of dates; found by its content when not given."""
    decimal: Literal["auto", "point", "comma"] = "auto"
    """Decimal sign of numbers such as 1.017, which may be 1.017 or 1017. Columns that show their sign themselves (12.5)
    are read as they show; auto reads the others alike, and asks where no column shows it."""
    date_order: Literal["auto", "day_first", "month_first", "year_first"] = setting("auto", title="Order of dates")
    """Which number of a date such as 01/02/2024 comes first, where every row can be read in several ways; auto takes
    the order under which the rows are regular, and asks where several are."""
    header: Literal["auto", "yes", "no"] = "auto"
    """Whether the first line names the columns; auto asks when the names look like data."""
    delimiter: Literal["auto", "comma", "semicolon", "tab", "bar", "spaces"] = "auto"
    """What stands between the cells of a line; auto takes the sign under which lines have one width."""
    ragged: Literal["auto", "leave_out", "pad", "join"] = setting("auto", title="Lines with other cells")
    """Lines with more or fewer cells than the first: left out, filled up at their end (pad), or also joined where they
    are too long; auto leaves a few of them out, and asks where there are many."""
    missing_codes: str = setting("auto", title="Codes for missing values", max_length=200)
    """Cells that stand for a missing value, such as -9999 or ---, parted by blanks; auto asks where a code stands out,
    none asks nothing."""
    sheet: str | None = None
    """Sheet of a workbook, or file of a zip archive; asked for where there are several with a table."""
    encoding: str = "auto"
    """Encoding of the text, such as utf-8, cp1252 or koi8-r; auto takes UTF-8 or what is clear, and asks otherwise."""
    frequency: str | None = None
    """Step between rows as a pandas offset alias (h, 15min, D, MS ...); found from the timestamps when not given."""
    repair: tuple[str, ...] = setting((), title="Repair")
    """Repairs made after reading, in this order, and made again on new data: timezone:ZONE:utc or :standard (from the
    local clock), drop:channel:NAME, drop:rows:BEGIN/END, duplicates:mean (sum, last, first), resample:STEP:mean (sum,
    last, max, min), clip:LOW:HIGH or clip:LOW:HIGH:CHANNEL, fill:previous (linear, seasonal:ROWS, none)."""
    description: str = setting("", affects="weights", max_length=4000)
    """What the data is, in a sentence or two; becomes the first part of the prompt."""

    @field_validator("repair")
    @classmethod
    def _repairs_are_known(cls, steps: tuple[str, ...]) -> tuple[str, ...]:
        return checked(steps)

    @field_validator("encoding")
    @classmethod
    def _encoding_is_known(cls, name: str) -> str:
        try:
            if name != "auto":
                b"a".decode(name)
        except (LookupError, ValueError):
            raise ValueError("give auto or a text encoding, such as utf-8, cp1252, koi8-r or shift_jis") from None
        return name


class TaskConfig(Section):
    """What is forecast from what, and how the rows are divided: the same for every forecaster."""

    affects = "windows"

    context: int = setting(336, title="Context, rows", ge=8, le=20_000)
    """Rows the model sees before it forecasts."""
    horizon: int = setting(96, title="Horizon, rows", ge=1, le=10_000)
    """Rows it forecasts."""
    split: str = setting("70%/10%/20%", title="Train / validation / test")
    """Train/validation/test in time order, as shares ("70%/10%/20%") or as rows ("8640/2880/2880")."""
    training_rows: int | None = setting(None, affects="weights", title="Training rows at most", ge=1)
    """Only so many rows of the training part are learned from, the last ones unless training_side says otherwise; all
    of them when not given."""
    training_side: Literal["last", "first"] = setting("last", affects="weights", title="Which training rows")
    """Which rows 'training_rows' keeps: the last ones of the training part, which are most like what comes; or the
    first ones, as the papers' few-shot experiments do. Validation and test part stay as they are."""
    missing: Literal["skip", "interpolate"] = setting("skip", title="Missing values")
    """skip: windows that touch a missing value are left out; interpolate: gaps in a context are filled from its own
    past, and windows that miss a value to forecast are left out."""

    forecast_from: Literal["table_end", "series_end"] = setting(
        "table_end", affects="place", title="Forecast beyond the data from"
    )
    """table_end: the row after the table's last one, so that a series which ended earlier gets no forecast; series_end:
    the row after the last value of each series, so that forecasts may begin at different times."""
    known_effect: KnownEffect = setting("auto", affects="weights", title="Effect of what is known ahead")
    """How columns known ahead are used. auto: as validation finds them surely useful, or not at all; off: not at all;
    straight: in proportion; bent: with bends, and with their mean over the last season; by_time: as bent, and otherwise
    for each hour of the day or day of the week."""
    lower_bound: float | None = setting(None, affects="weights", title="Forecasts not below")
    """Forecasts and bands of every forecaster are kept at this value or above, such as 0 for counts."""
    upper_bound: float | None = setting(None, affects="weights", title="Forecasts not above")
    """Forecasts and bands of every forecaster are kept at this value or below, such as a capacity."""
    closed_weekdays: str = setting("", affects="weights", title="Closed weekdays")
    """Weekdays on which every forecast is zero, such as "sunday" or "saturday,sunday"."""

    @property
    def closed_days(self) -> tuple[int, ...]:
        """Numbers of the closed weekdays, Monday is 0."""
        return tuple(WEEKDAYS.index(name) for name in self.closed_weekdays.split(",") if name)

    @field_validator("closed_weekdays")
    @classmethod
    def _weekdays_are_known(cls, text: str) -> str:
        names = {part.strip().lower() for part in text.split(",") if part.strip()}
        if unknown := sorted(names - set(WEEKDAYS)):
            raise ValueError(f"'{unknown[0]}' is no weekday; give names such as sunday or saturday,sunday")
        return ",".join(name for name in WEEKDAYS if name in names)

    @model_validator(mode="after")
    def _bounds_leave_room(self) -> Self:
        if self.lower_bound is not None and self.upper_bound is not None and self.lower_bound >= self.upper_bound:
            raise ValueError(
                f"setting 'lower_bound' is {self.lower_bound:g} and 'upper_bound' is {self.upper_bound:g}; "
                "give a lower one below the upper one"
            )
        if self.closed_weekdays and ((self.lower_bound or 0) > 0 or (self.upper_bound or 0) < 0):
            raise ValueError("setting 'closed_weekdays' asks for forecasts of zero, which the bounds do not allow")
        return self

    @model_validator(mode="after")
    def _side_has_rows(self) -> Self:
        if self.training_side == "first" and self.training_rows is None:
            raise ValueError("setting 'training_side' says which rows 'training_rows' keeps; give that one, too")
        return self

    @field_validator("split")
    @classmethod
    def _split_is_readable(cls, text: str) -> str:
        parts = [part.strip() for part in text.split("/")]
        shares = [part.endswith("%") for part in parts]
        numbers = [part.rstrip("%").strip() for part in parts]
        if len(parts) != 3 or any(shares) != all(shares) or not all(n.isdigit() and int(n) > 0 for n in numbers):
            raise ValueError("give train/validation/test as shares like 70%/10%/20% or as rows like 8640/2880/2880")
        if all(shares) and sum(map(int, numbers)) != 100:
            raise ValueError("the three shares must add up to 100%")
        return "/".join(f"{int(n)}%" if share else str(int(n)) for n, share in zip(numbers, shares, strict=True))

    def split_rows(self, rows: int) -> tuple[int, int, int]:
        """Rows of train, validation and test for a table of `rows` rows.

        Of shares, train and test are rounded down and validation has the rest, as in the published benchmarks.

        Raises:
            ConfigError: the split needs more rows than there are.
        """
        parts = self.split.split("/")
        if self.split.endswith("%"):
            train, _, test = (rows * int(part.rstrip("%")) // 100 for part in parts)
            return train, rows - train - test, test
        train, validation, test = map(int, parts)
        if (total := train + validation + test) > rows:
            raise ConfigError(
                f"setting 'split' asks for {total:,} rows ({self.split}), but the table has {rows:,}; lower it"
            )
        return train, validation, test
