"""Metrics: is it any good, and against what?"""

import streamlit as st

from timellm.data.exported import to_csv
from timellm.evaluation.comparisons import by_other
from timellm.evaluation.judge import judge
from timellm.evaluation.leaderboard import best_naive, leaderboard
from timellm.evaluation.metrics import METRICS
from timellm.evaluation.mixed import mixed
from timellm.evaluation.others import with_others
from timellm.plots.metrics import MOST_CHANNELS, by_channel, by_step
from timellm.plots.template import looks
from timellm.ui import backtest, beside, charts, coverage, folds, keys, reporting, twins
from timellm.ui.errors import explained
from timellm.ui.pickers import pick_results
from timellm.ui.scoreboard import COLUMNS, boards, columns, said_of_board, show_verdict
from timellm.ui.words import plain

st.title("Metrics")

which, measure = st.columns([3, 2], vertical_alignment="bottom")
results = pick_results("metrics", which, what="metrics")
with measure:
    metric = st.selectbox(
        "Metric", list(METRICS), format_func=lambda name: METRICS[name].title, **keys.in_address("metric")
    )
title = METRICS[metric].title
st.caption(METRICS[metric].help)

with explained("The metrics of this run cannot be shown"):
    others = beside.others_of(results)
    scores = with_others(results.scores(), others)
    comparisons = beside.compared(results, others, metric)
    verdict = judge(scores, metric, comparisons=comparisons, adds_nothing=results.adds_nothing())
    show_verdict(verdict, mixed(scores, verdict))
    beside.offer(results, others, verdict)
    st.header("Leaderboard", anchor=False)
    rows = leaderboard(scores, metric, comparisons=by_other(comparisons, metric))
    naive = best_naive(rows)
    shown, rest = boards(scores, metric, rows, beside.won(results, others, metric, naive))
    looked = columns(metric, naive)
    st.dataframe(shown, hide_index=True, column_config=looked, alt="Models, best first", placeholder="")
    st.caption(said_of_board(scores, naive))
    with st.expander("All metrics and tests", icon=":material/table_rows:"):
        st.dataframe(rest, hide_index=True, column_config=looked, alt="Models by every metric", placeholder="")
        st.caption(f"MASE and RMSSE are measured against a seasonal naive: {plain(scores.scored.season_name)}.")
    for note in scores.notes:
        st.caption(f":material/info: {plain(note)}")
    coverage.show(results)
    twins.show(results)

    drawn = looks(beside.drawn_first(scores, others, metric), scores.own)
    st.header("By horizon step", anchor=False)
    charts.draw(by_step, scores.by_step, drawn, metric=metric, label=title, alt="Error by horizon step")
    st.header("By channel", anchor=False)
    channels = scores.by_channel["channel"].nunique()
    if channels > MOST_CHANNELS:
        st.caption(f"The {MOST_CHANNELS} channels of {channels:,} on which {plain(scores.own)} does worst.")
    charts.draw(by_channel, scores.by_channel, drawn, metric=metric, label=title, alt="Error by channel")
    if len(drawn) < len(scores.models):
        st.caption("The best models are drawn; the table has all of them.")
    backtest.show(results, metric)
    folds.show(results, metric)
    with st.expander("Tables of all models", icon=":material/table_rows:"):
        for name, frame in (("channel", scores.by_channel), ("step", scores.by_step)):
            st.markdown(f"**By {name}**")
            st.dataframe(frame, hide_index=True, column_config=COLUMNS, height=260)

with st.container(horizontal=True):
    reporting.offer("metrics", [results.run])
    for name, frame in (
        ("leaderboard", scores.overall),
        ("by channel", scores.by_channel),
        ("by step", scores.by_step),
    ):
        st.download_button(
            f"Download {name}, CSV",
            to_csv(frame),
            f"metrics-{name.replace(' ', '-')}-{results.run.id}.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
