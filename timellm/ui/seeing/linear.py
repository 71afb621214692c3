"""The weights of a linear forecaster, or of a run's linear path, over rows of the context and steps ahead."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from timellm.explain.linear_map import LinearMap
from timellm.plots.linear_map import MOST_ROWS, MOST_STEPS, linear_chart, linear_figure, thinned
from timellm.ui import charts, keys
from timellm.ui.seeing import downloads, reading
from timellm.ui.seeing.chosen import Chosen
from timellm.ui.words import plain

_NAMED = 4


def show(chosen: Chosen) -> None:
    """Draw the view."""
    maps = {one.title: one for one in reading.linear_maps(chosen.results)}
    titles = list(maps)
    title = titles[0]
    if len(titles) > 1:
        default = titles.index(chosen.channel) if chosen.channel in maps else 0
        title = st.selectbox("Map", titles, index=default, **keys.in_address("map", titles))
    found = maps[title]
    rows, steps = found.weights_LH.shape
    st.caption(
        "Each cell is the weight of one row of the context in the forecast of one step ahead: one colour adds, the "
        "other subtracts, and pale cells are hardly read. A diagonal is a repeat: each step takes from the row that "
        "lies a day, a week … before it."
    )
    st.markdown(_numbers(found))
    charts.draw(linear_chart, found.weights_LH, alt="Weight of each row of the context for each step ahead")
    _, each_row, each_step = thinned(found.weights_LH)
    if each_row > 1 or each_step > 1:
        st.caption(
            f"More than {MOST_ROWS} rows or {MOST_STEPS} steps cannot be told apart, so a cell is the mean over "
            f"{each_row} rows and {each_step} steps; the CSV has all {rows:,} × {steps:,} weights."
        )
    downloads.offer(
        f"linear-{chosen.results.run.id}",
        lambda: linear_figure(found.weights_LH, title=f"{chosen.results.run.name}: {title}"),
        lambda: pd.DataFrame(
            found.weights_LH,
            columns=[f"step {step}" for step in range(1, steps + 1)],
            index=pd.Index(range(-rows, 0), name="row before the forecast"),
        ),
    )


def _numbers(found: LinearMap) -> str:
    rows = len(found.weights_LH)
    named = ", ".join(f"{distance:,} ({weight:+.2f})" for distance, weight in found.distances(_NAMED))
    return (
        f"**{plain(found.title)}**: the largest mean weights are those of the rows that lie {named} rows before the "
        f"step that is forecast. The last row of the context has {found.last_row_share:.1%} of the absolute weight; "
        f"even weights would give it {1 / rows:.1%}. {plain(found.beside)}"
    )
