"""Unusual values of the test period: those outside the band of the forecast made just before them."""

from __future__ import annotations

import streamlit as st

from timellm.data.rounding import round_rows, rounding_note
from timellm.plots.forecast import unusual_chart
from timellm.ui import charts
from timellm.ui.forecasting import downloads
from timellm.ui.forecasting.chosen import Chosen
from timellm.ui.words import plain

_NUMBERS = ("yhat", "lower", "upper")


def show(chosen: Chosen) -> None:
    """Mark and list the values outside the widest band that is chosen."""
    from timellm.forecasting.anomalies import outside, points_of_channel, said_of

    level = max(chosen.levels, default=95)
    points = points_of_channel(chosen.forecasts, chosen.channel, level)
    drawn = points.set_index("ds")
    charts.draw(unusual_chart, drawn, level=level, shown=chosen.shown, alt=f"Unusual values of {chosen.channel}")
    found = outside(points)
    st.markdown(plain(said_of(points, level)))
    st.caption(
        "Each value of the test period is held against the forecast made one row before it; behind the last cut-off and"
        f" in gaps, against the latest one. {rounding_note(chosen.shown.decimals)}"
    )
    rows = round_rows(found, chosen.decimals, _NUMBERS)
    downloads.offer(rows, f"unusual-{chosen.results.run.id}", "Download CSV of these values")
    titles = {"ds": "Time", "y": "Measured", "yhat": "Forecast", "lower": f"{level} % low", "upper": f"{level} % high"}
    shown = rows.drop(columns=["unique_id", "step"]).rename(columns=titles | {"outside": "Outside"})
    st.dataframe(
        shown, hide_index=True, height=320, column_config=chosen.time_column, alt="Unusual values, farthest first"
    )
