"""What the Forecast page shows: the run's results, one channel, levels of bands, and how its values are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from timellm.data.bounds import suggest_bounds
from timellm.data.rounding import decimals_of, rounded
from timellm.evaluation.intervals import DEFAULT_LEVELS, NO_INTERVALS, band_columns
from timellm.evaluation.others import with_others
from timellm.plots.forecast import Shown
from timellm.plots.template import looks
from timellm.ui import beside, keys
from timellm.ui.run_results import Results
from timellm.ui.words import plain

if TYPE_CHECKING:
    from timellm.data.table import Table
    from timellm.evaluation.others import OtherRun
    from timellm.forecasters.ridge.forecaster import Ridge
    from timellm.forecasting.bands import Intervals
    from timellm.forecasting.channel import RunForecasts
    from timellm.plots.template import Look

LEVELS = (50, 80, 90, 95, 99)
_HORIZONS, _FEWEST_ROWS = 3, 24


@dataclass(frozen=True)
class Chosen:
    """One channel of a run, and the levels of its bands."""

    results: Results
    channel: str
    levels: tuple[int, ...]
    apart: bool
    """Whether the linear path is drawn apart from what the language model adds."""

    @cached_property
    def table(self) -> Table:
        """The table that the run learned from."""
        return self.results.table()

    @cached_property
    def forecasts(self) -> RunForecasts:
        """The run's test windows."""
        return self.results.forecasts()

    @cached_property
    def intervals(self) -> Intervals | None:
        """What bands are made of."""
        return self.results.intervals()

    @cached_property
    def others(self) -> tuple[OtherRun, ...]:
        """Other runs on the same windows."""
        return beside.others_of(self.results)

    @cached_property
    def looks(self) -> dict[str, Look]:
        """How each model is drawn."""
        scores = with_others(self.results.scores(), self.others)
        return looks(beside.drawn_first(scores, self.others, "mae"), self.forecasts.own)

    @cached_property
    def path(self) -> Ridge | None:
        """The linear path, if it is shown apart."""
        return self.results.linear_path() if self.apart else None

    @cached_property
    def decimals(self) -> Mapping[str, int | None]:
        """Decimals of each channel's values."""
        return {name: decimals_of(column.to_numpy()) for name, column in self.table.values.items()}

    @cached_property
    def shown(self) -> Shown:
        """How the channel's values are written."""
        index = self.table.values.index
        return Shown(self.decimals[self.channel], daily=bool((index == index.normalize()).all()))

    @property
    def history_rows(self) -> int:
        """Measured rows before a forecast: a few horizons of them, because a whole context would squeeze it."""
        return max(_HORIZONS * self.results.run.config.task.horizon, _FEWEST_ROWS)

    @property
    def time_column(self) -> dict[str, Any]:
        """How a table shows its times: without a time of day where there is none."""
        written = "YYYY-MM-DD" if self.shown.daily else "YYYY-MM-DD HH:mm"
        return {"Time": st.column_config.DatetimeColumn(format=written)}

    def rows_shown(self, forecast: pd.Series, bands: pd.DataFrame) -> pd.DataFrame:
        """The forecast with its bands, rounded, as a table for people."""
        shown = rounded(forecast, self.shown.decimals).rename("Forecast").rename_axis("Time").reset_index()
        for level in self.levels if len(bands.columns) else ():
            for name, word in zip(band_columns(level), ("low", "high"), strict=True):
                shown[f"{level} % {word}"] = rounded(bands[name], self.shown.decimals).to_numpy()
        return shown

    def say_why_no_band(self) -> None:
        """Say why a chosen level has no band, once."""
        if not self.levels:
            return
        if self.intervals is None:
            st.caption(f":material/info: {plain(NO_INTERVALS)}")
            return
        reasons = [self.intervals.why_none(self.channel, level) for level in self.levels]
        for reason in [one for one in reasons if one][:1]:
            st.caption(f":material/info: {plain(reason)}")

    def say_what_bounds_it(self, lowest: float) -> None:
        """Say that a bound would help where a forecast or a band lies below what its data could be."""
        task = self.results.run.config.task
        if task.lower_bound is not None or not lowest < 0:
            return
        for one in suggest_bounds(self.table):
            if "lower_bound" in one.settings:
                st.caption(
                    f":material/info: {plain(one.reason)} A run with the setting lower\\_bound at 0 keeps forecasts and"
                    " bands there; the Fine-tune page offers it."
                )


def pick_levels() -> tuple[int, ...]:
    """Levels of the bands, in percent; perhaps none."""
    names = {f"{level} %": level for level in LEVELS}
    default = [f"{level} %" for level in DEFAULT_LEVELS]
    picked = st.pills(
        "Bands", list(names), selection_mode="multi", default=default, key=keys.view("forecast", "levels"),
        help="How sure the forecast is: an 80 % band should hold four of five values. It comes from the errors on"
        " earlier windows, and adapts to those of the test period.", persist_state="session",
    )  # fmt: skip
    return tuple(sorted(names[one] for one in picked or ()))


def with_parts(shown: pd.DataFrame, own: pd.Series, linear: pd.Series | None) -> pd.DataFrame:
    """A table with the linear path and what the language model adds to it."""
    from timellm.plots.forecast import ADDED, LINEAR_PATH

    if linear is None:
        return shown
    added = (own - linear).to_numpy()
    return shown.assign(**{LINEAR_PATH: linear.to_numpy(), ADDED: added})
