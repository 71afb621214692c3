"""One test window: what the model had seen, what came, its bands, and its error in words."""

from __future__ import annotations

import math

import pandas as pd
import streamlit as st

from timellm.data.rounding import round_rows, rounded, rounding_note
from timellm.evaluation.intervals import band_columns
from timellm.forecasting.channel import ChannelForecasts
from timellm.plots.forecast import backtest_chart
from timellm.ui import beside, charts, keys
from timellm.ui.forecasting import downloads
from timellm.ui.forecasting.chosen import Chosen, with_parts
from timellm.ui.windows import long_frame
from timellm.ui.words import moment, number, plain


def show(chosen: Chosen) -> None:
    """Choose a cut-off, draw its window, and offer it as a file."""
    windows, own = chosen.forecasts.of(chosen.channel), chosen.forecasts.own
    cutoffs = windows.cutoffs()
    cutoff = st.select_slider(
        "Cut-off: the model sees what is before it",
        list(cutoffs),
        value=cutoffs[len(cutoffs) // 2],
        format_func=moment,
        **keys.in_address("cutoff", cutoffs),
    )
    place = int(cutoffs.get_loc(cutoff))
    context, actual, models = windows.window(place, history=chosen.history_rows)
    models |= beside.forecasts_of_others(chosen.others, chosen.channel, cutoff=cutoff)
    linear = chosen.forecasts.by(chosen.path, chosen.channel, actual.index) if chosen.path else None
    bands = windows.bands(place, chosen.levels) if chosen.levels and chosen.intervals is not None else None
    if chosen.apart:
        models = {own: models[own]}
    charts.draw(
        backtest_chart, context, actual, models, chosen.looks, linear_path=linear, bands=bands, shown=chosen.shown,
        alt=f"Test forecast of {chosen.channel}",
    )  # fmt: skip
    st.markdown(_error_in_words(windows, place, actual, own, bands, chosen))
    st.caption(
        f"One of {len(cutoffs):,} test windows of this channel. The model was not trained on anything after the "
        "cut-off; the solid line shows the measured values, and the band is what was known at the cut-off."
        f" {rounding_note(chosen.shown.decimals)}"
    )
    chosen.say_why_no_band()
    rows = long_frame(chosen.channel, actual, models)
    if bands is not None:
        for after, name in enumerate(bands, start=rows.columns.get_loc("yhat") + 1):
            rows.insert(after, name, bands[name].to_numpy())
    numbers = [name for name in rows if name not in ("unique_id", "ds", "y")]
    file = f"test-{chosen.results.run.id}-{cutoff:%Y%m%dT%H%M}"
    downloads.offer(round_rows(rows, chosen.decimals, numbers), file, "Download CSV of this window")
    shown = rows.drop(columns="unique_id").rename(columns={"ds": "Time", "y": "Measured", "yhat": own})
    shown = shown.rename(columns={one: f"{level} % {word}" for level in chosen.levels
                                  for one, word in zip(band_columns(level), ("low", "high"), strict=True)})  # fmt: skip
    for name in shown.columns[1:]:
        shown[name] = rounded(shown[name], chosen.shown.decimals)
    st.dataframe(
        with_parts(shown, models[own], linear), hide_index=True, height=320, column_config=chosen.time_column,
        alt="The forecast as a table",
    )  # fmt: skip


def _error_in_words(
    windows: ChannelForecasts, place: int, actual: pd.Series, own: str, bands: pd.DataFrame | None, chosen: Chosen
) -> str:
    """This window's error beside that of the best other model, and how much of it the band held."""
    errors = windows.errors(place)
    mine = float(errors[own])
    if math.isnan(mine):
        return f"{plain(own)} has no forecast of this window."
    text = f"In this window **{plain(own)} was off by {number(mine)}** a row on average"
    others = errors.drop(own).dropna()
    if len(others):
        name, best = str(others.index[0]), float(others.iloc[0])
        text += f"; the best of the simple forecasts, {plain(name)}, was off by {number(best)}"
    text += "."
    if bands is not None and chosen.levels:
        level = max(chosen.levels)
        low, high = (bands[name].to_numpy() for name in band_columns(level))
        inside = int(((actual.to_numpy() >= low) & (actual.to_numpy() <= high)).sum())
        if not bands[band_columns(level)[0]].isna().all():
            text += f" {inside:,} of {int(actual.notna().sum()):,} values lay inside the {level} % band."
    return text
