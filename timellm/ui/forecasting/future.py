"""The forecast beyond the data: chart, sentence, file and table."""

from __future__ import annotations

import streamlit as st

from timellm.data.rounding import round_rows, rounding_note
from timellm.plots.forecast import future_chart
from timellm.ui import beside, charts, reporting, what_if
from timellm.ui.forecasting import downloads
from timellm.ui.forecasting.chosen import Chosen, with_parts
from timellm.ui.ledger import keeping
from timellm.ui.words import moment, plain


def show(chosen: Chosen) -> None:
    """Draw the forecast of the chosen channel, and offer that of all channels as a file."""
    results, channel, task = chosen.results, chosen.channel, chosen.results.run.config.task
    future = results.future()
    if not (future["unique_id"] == channel).any():
        what_if.panel(results, channel)
        st.info(
            f"There is no forecast of {plain(channel)}: values are missing in its last {task.context:,} "
            "rows, and missing values are not filled. Choose another channel, or show the test period. A run with "
            "'forecast_from' set to series_end forecasts a series that ended early from its own last value."
        )
        st.stop()
    if chosen.levels and chosen.intervals is not None:
        future = chosen.intervals.beyond(results.prepared(), future, chosen.levels)
    rows = future[future["unique_id"] == channel].set_index("ds")
    mine = rows["yhat"].rename(channel)
    values = chosen.table.values[channel]
    history = values[values.index < mine.index[0]].iloc[-chosen.history_rows :]
    models = chosen.forecasts.future(channel, mine) | beside.forecasts_of_others(chosen.others, channel, cutoff=None)
    linear = chosen.forecasts.by(chosen.path, channel, mine.index) if chosen.path else None
    bands = rows.drop(columns=["unique_id", "yhat"])
    charts.draw(
        future_chart, history, {chosen.forecasts.own: mine} if chosen.apart else models, chosen.looks,
        linear_path=linear, bands=bands, shown=chosen.shown, alt=f"Forecast of {channel} beyond the data",
    )  # fmt: skip
    st.caption(
        f"{len(mine):,} rows from {moment(mine.index[0])} to {moment(mine.index[-1])}, in the units of the data. "
        f"The last {len(history):,} measured rows are shown. {rounding_note(chosen.shown.decimals)}"
    )
    chosen.say_why_no_band()
    chosen.say_what_bounds_it(float(rows.drop(columns="unique_id").min(axis=None)))
    numbers = [name for name in future if name not in ("unique_id", "ds")]
    downloads.offer(
        round_rows(future, chosen.decimals, numbers), f"forecast-{results.run.id}", "Download CSV, all channels"
    )
    with st.container(horizontal=True):
        keeping.offer(results)
        reporting.offer("forecast", [results.run])
    st.dataframe(
        with_parts(chosen.rows_shown(mine, bands), mine, linear), hide_index=True, height=320,
        column_config=chosen.time_column, alt="The forecast as a table",
    )  # fmt: skip
    what_if.panel(results, channel)
