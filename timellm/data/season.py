"""What the step between rows suggests: season, window lengths, and a first description for the prompt.

Inputs: a `Table` or its frequency. Outputs: defaults that the page offers and the user changes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd
from pandas.tseries.frequencies import to_offset
from pandas.tseries.offsets import Tick

from timellm.config import TaskConfig
from timellm.data.table import Table
from timellm.errors import ConfigError, DataError

_LONGEST_CONTEXT = 336  # two weeks of hours; more costs time with every step
_MOST_ROWS = 288  # of a horizon: a day of 5-minute rows
_SHORTEST_CONTEXT = 16  # one default patch
_LEAST_CONTEXT = 8  # of a table with hardly any rows, such as a value a year
_STEP_NAMES = {"D": "day", "B": "business day", "W": "week", "M": "month", "Q": "quarter", "Y": "year"}
_TICK_NAMES = {"h": "hour", "min": "minute", "s": "second", "ms": "millisecond", "us": "microsecond"}


def season_length(frequency: str) -> int:
    """Rows in one season: a day for steps below a day, a week for days, a year for weeks and longer; 1 if none fits.

    Raises:
        ConfigError: pandas has no such frequency.
    """
    kind, count = _kind(frequency)
    if kind == "tick":
        steps_a_day = pd.Timedelta(days=1) / pd.Timedelta(to_offset(frequency))
        # A day of seconds is 86,400 rows, more than any window: the hour is the season then.
        season = steps_a_day if steps_a_day <= 1440 else steps_a_day / 24
        return int(season) if season == int(season) and season <= 3600 else 1
    season = {"D": 7, "B": 5, "W": 52, "M": 12, "Q": 4}.get(kind, 1)
    return season // count if season % count == 0 else 1


def season_name(frequency: str) -> str:
    """The season of `season_length` in words, such as "day"; "row" where there is none.

    Raises:
        ConfigError: pandas has no such frequency.
    """
    rows, (kind, _) = season_length(frequency), _kind(frequency)
    if rows == 1:
        return "row"
    if kind == "tick":
        return "day" if rows * pd.Timedelta(to_offset(frequency)) == pd.Timedelta(days=1) else "hour"
    return "week" if kind in ("D", "B") else "year"


@dataclass(frozen=True)
class Lengths:
    """Suggested rows of context and horizon, each with its reason."""

    context: int
    horizon: int
    why_context: str
    why_horizon: str


def suggest_lengths(table: Table, task: TaskConfig) -> tuple[int, int]:
    """Context and horizon, in rows, that suit the step and fit each part of the split at least once.

    The horizon is 96 hours, 30 days, 10 weeks or 12 months, or else two seasons, and the context 336 rows; both are
    shortened where the table is short.

    Raises:
        DataError: no part can hold a window of even one patch of context.
        ConfigError: the split needs more rows than there are.
    """
    lengths = explained_lengths(table, task)
    return lengths.context, lengths.horizon


def explained_lengths(table: Table, task: TaskConfig) -> Lengths:
    """The same with reasons.

    Raises:
        DataError: no part can hold a window of even one patch of context.
        ConfigError: the split needs more rows than there are.
    """
    train, validation, test = task.split_rows(len(table.values))
    # Validation and test windows may look back into the part before, so that they only need room for a horizon.
    usual = usual_horizon(table.frequency)
    horizon = min(usual, validation, test, max(train // 4, 1))
    # Half the training rows stay free, so that there is more than a handful of windows to learn from, unless that would
    # leave less than a patch.
    room = train - horizon
    context = min(_LONGEST_CONTEXT, max(room // 2, min(_SHORTEST_CONTEXT, room - 1)))
    if context < _LEAST_CONTEXT or horizon < 1:
        raise DataError(
            f"the table has {len(table.values):,} rows, of which {train:,} are for training, {validation:,} for "
            f"validation and {test:,} for testing; that is too short to learn from. Bring at least 20 rows, "
            "or change 'split'"
        )
    context -= context % 8  # whole strides of the default patches
    step, season = step_name(table.frequency), season_length(table.frequency)
    why_horizon = f"{usual:,} rows are usual for one row every {step}"
    if horizon < usual:
        short = "training" if horizon == max(train // 4, 1) else "validation" if horizon == validation else "test"
        why_horizon += f"; the {short} part is too short for them"
    why_context = "the most that is suggested, because every row costs time with every step"
    if context < _LONGEST_CONTEXT - _LONGEST_CONTEXT % 8:
        why_context = f"about half of the {train:,} training rows, so that there are many windows to learn from"
    if 1 < season <= context:
        why_context += f". It holds {context / season:,.3g} seasons of a {season_name(table.frequency)}"
    elif season > context:
        why_context += f". It is less than a season of {season:,} rows (a {season_name(table.frequency)})"
    return Lengths(context, horizon, why_context, why_horizon)


def suggest_description(table: Table, name: str) -> str:
    """Two sentences on what the data is, from name, step, channels and span; the first part of the prompt."""
    index = table.values.index
    channels = table.channels
    shown = ", ".join(channels[:8]) + (f" and {len(channels) - 8} more" if len(channels) > 8 else "")
    count = "1 channel" if len(channels) == 1 else f"{len(channels)} channels"
    day_format = "%Y-%m-%d %H:%M" if _kind(table.frequency)[0] == "tick" else "%Y-%m-%d"
    return (
        f"{name.strip() or 'The table'} holds {count} ({shown}), with one row every {step_name(table.frequency)}, "
        f"from {index[0]:{day_format}} to {index[-1]:{day_format}}."
        + (f" Expect a pattern that repeats every {season_length(table.frequency)} rows." if _has_season(table) else "")
    )


def step_name(frequency: str) -> str:
    """A step in words: "hour", "15 minutes", "month".

    Raises:
        ConfigError: pandas has no such frequency.
    """
    kind, count = _kind(frequency)
    name = (
        _TICK_NAMES.get(to_offset(frequency).rule_code, "step") if kind == "tick" else _STEP_NAMES.get(kind, frequency)
    )
    return name if count == 1 else f"{count} {name}s"


def _has_season(table: Table) -> bool:
    return 1 < season_length(table.frequency) <= len(table.values) // 2


def usual_horizon(frequency: str) -> int:
    """Rows of a horizon where the table is long enough: 96 hours, 30 days, 10 weeks, 12 months, or one or two seasons.

    Raises:
        ConfigError: pandas has no such frequency.
    """
    kind, count = _kind(frequency)
    if kind == "tick":
        rows = pd.Timedelta(hours=96) / pd.Timedelta(to_offset(frequency))
        season = max(season_length(frequency), 1)
        # Never more than the context: a day of 5-minute rows, where two days would be longer than what is seen.
        return (
            math.ceil(rows) if rows <= 96 else 2 * season if 2 * season <= _LONGEST_CONTEXT else min(season, _MOST_ROWS)
        )
    usual = {"D": 30, "B": 20, "W": 10, "M": 12, "Q": 4, "Y": 3}.get(kind, 2)
    return max(usual // count, 1)


def _kind(frequency: str) -> tuple[str, int]:
    """Family of a frequency ("tick" below a day, otherwise D, B, W, M, Q, Y) and its multiple."""
    try:
        offset = to_offset(frequency)
    except ValueError:
        raise ConfigError(f"'{frequency}' is no pandas offset alias; use for example h, 15min, D, W or MS") from None
    if isinstance(offset, Tick):
        return "tick", offset.n
    return offset.rule_code.split("-")[0].removesuffix("S").removesuffix("E"), offset.n
