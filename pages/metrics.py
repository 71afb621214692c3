"""Metrics: is it any good, and against what?"""

import streamlit as st

from timellm.data.exported import to_csv
from timellm.plots.metrics import MOST_CHANNELS, by_channel, by_step
from timellm.ui import charts, keys
from timellm.ui.errors import explained
from timellm.ui.pickers import pick_results
from timellm.ui.scoreboard import COLUMNS, board, verdict_icon
from timellm.ui.words import METRIC_HELP, METRICS, plain

st.title("Metrics")

which, measure = st.columns([3, 2], vertical_alignment="bottom")
results = pick_results("metrics", which, what="metrics")
with measure:
    metric = st.selectbox("Metric", list(METRICS), format_func=METRICS.get, **keys.in_address("metric"))
st.caption(METRIC_HELP[metric])

with explained("The metrics of this run cannot be shown"):
    scores = results.scores()
    st.info(plain(scores.verdict()), icon=verdict_icon(scores))
    st.header("Leaderboard", anchor=False)
    st.dataframe(board(scores.overall, metric), hide_index=True, column_config=COLUMNS, alt="Models, best first")
    st.caption(
        "All test windows, lower is better. Z-scored columns use the training rows' mean and deviation, "
        "so that they compare with published tables."
    )
    for note in scores.notes:
        st.caption(f":material/info: {plain(note)}")

    st.header("By horizon step", anchor=False)
    charts.draw(by_step, scores.by_step, metric=metric, label=METRICS[metric], alt="Error by horizon step")
    st.header("By channel", anchor=False)
    channels = scores.by_channel["channel"].nunique()
    if channels > MOST_CHANNELS:
        st.caption(f"The {MOST_CHANNELS} channels of {channels:,} on which Time-LLM does worst.")
    charts.draw(by_channel, scores.by_channel, metric=metric, label=METRICS[metric], alt="Error by channel")
    with st.expander("Tables", icon=":material/table_rows:"):
        for title, frame in (("channel", scores.by_channel), ("step", scores.by_step)):
            st.markdown(f"**By {title}**")
            st.dataframe(frame, hide_index=True, column_config=COLUMNS, height=260)

with st.container(horizontal=True):
    for title, frame in (
        ("leaderboard", scores.overall),
        ("by channel", scores.by_channel),
        ("by step", scores.by_step),
    ):
        st.download_button(
            f"Download {title}, CSV",
            to_csv(frame),
            f"metrics-{title.replace(' ', '-')}-{results.run.id}.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
