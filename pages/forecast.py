"""Forecast: what comes next, and how did the model do where the answer is known?"""

import pandas as pd
import streamlit as st

from timellm.data.exported import to_csv
from timellm.evaluation.others import with_others
from timellm.plots.forecast import ADDED, LINEAR_PATH, backtest_chart, future_chart
from timellm.plots.template import looks
from timellm.ui import beside, charts, keys, what_if
from timellm.ui.errors import explained
from timellm.ui.ledger import keeping
from timellm.ui.pickers import pick_channel, pick_results
from timellm.ui.windows import long_frame
from timellm.ui.words import moment, plain

st.title("Forecast")

which, where, view = st.columns([3, 2, 2])
results = pick_results("forecast", which, what="forecast")
with explained("The forecast of this run cannot be shown"):
    table, config = results.table(), results.run.config
    with where:
        channel = pick_channel(results, tuple(table.channels))
    with view:
        mode = st.segmented_control(
            "Show", ["Future", "Test period"], default="Future", required=True, width="stretch",
            **keys.in_address("show"),
        )  # fmt: skip
    forecasts = results.forecasts()
    others = beside.others_of(results)
    scores = with_others(results.scores(), others)
    drawn = looks(beside.drawn_first(scores, others, "mae"), forecasts.own)
    path = results.linear_path()
    apart = path is not None and st.toggle(
        "Show what the language model adds",
        help="The linear path is a ridge regression inside the model. The language model adds the rest.",
        **keys.in_address("parts"),
    )
    history_rows = max(config.task.context, 2 * config.task.horizon)

    if mode == "Future":
        future = results.future()
        mine = future[future["unique_id"] == channel].set_index("ds")["yhat"].rename(channel)
        if mine.empty:
            what_if.panel(results, channel)
            st.info(
                f"There is no forecast of {plain(channel)}: values are missing in its last {config.task.context:,} "
                "rows, and missing values are not filled. Choose another channel, or show the test period."
            )
            st.stop()
        history = table.values[channel].iloc[-history_rows:]
        models = forecasts.future(channel, mine) | beside.forecasts_of_others(others, channel, cutoff=None)
        linear = forecasts.by(path, channel, mine.index) if path and apart else None
        charts.draw(
            future_chart, history, {forecasts.own: mine} if apart else models, drawn, linear_path=linear,
            alt=f"Forecast of {channel} beyond the data",
        )  # fmt: skip
        st.caption(
            f"{len(mine):,} rows from {moment(mine.index[0])} to {moment(mine.index[-1])}, in the units of the data. "
            f"The last {len(history):,} measured rows are shown."
        )
        rows, name = future, f"forecast-{results.run.id}.csv"
        shown = mine.rename("Forecast").rename_axis("Time").reset_index()
    else:
        windows = forecasts.of(channel)
        cutoffs = windows.cutoffs()
        chosen = st.select_slider(
            "Cut-off: the model sees what is before it",
            list(cutoffs),
            value=cutoffs[len(cutoffs) // 2],
            format_func=moment,
            **keys.in_address("cutoff", cutoffs),
        )
        number = cutoffs.get_loc(chosen)
        context, actual, models = windows.window(number, history=history_rows)
        models |= beside.forecasts_of_others(others, channel, cutoff=chosen)
        linear = forecasts.by(path, channel, actual.index) if path and apart else None
        if apart:
            models = {forecasts.own: models[forecasts.own]}
        charts.draw(
            backtest_chart, context, actual, models, drawn, linear_path=linear, alt=f"Test forecast of {channel}"
        )
        st.caption(
            f"One of {len(cutoffs):,} test windows of this channel. The model was not trained on anything after the "
            "cut-off; the solid line shows the measured values."
        )
        rows = long_frame(channel, actual, models)
        name = f"test-{results.run.id}-{cutoffs[number]:%Y%m%dT%H%M}.csv"
        shown = rows.drop(columns="unique_id").rename(columns={"ds": "Time", "y": "Measured", "yhat": forecasts.own})

if linear is not None:
    whole = pd.Series(shown[forecasts.own if mode != "Future" else "Forecast"].to_numpy(), linear.index)
    shown = shown.assign(**{LINEAR_PATH: linear.to_numpy(), ADDED: (whole - linear).to_numpy()})
st.download_button(
    "Download CSV, all channels" if mode == "Future" else "Download CSV of this window",
    to_csv(rows),
    name,
    "text/csv",
    icon=":material/download:",
    type="primary",
    on_click="ignore",
)
if mode == "Future":
    keeping.offer(results)
st.dataframe(
    shown,
    hide_index=True,
    height=320,
    column_config={"Time": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm")},
    alt="The forecast as a table",
)
if mode == "Future":
    what_if.panel(results, channel)
