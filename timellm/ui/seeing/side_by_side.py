"""Attention of two channels, or of two runs, to the prototypes, over their test periods."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from timellm.plots.pairs import PairsPicture, pairs_chart, pairs_figure
from timellm.ui import charts, keys
from timellm.ui.errors import explained
from timellm.ui.loaders import store
from timellm.ui.pickers import has_attention, has_results
from timellm.ui.run_results import Results
from timellm.ui.seeing import downloads, reading
from timellm.ui.seeing.chosen import Chosen
from timellm.ui.words import plain

_CHANNEL, _RUN = "Another channel", "Another run"
_MOST_RUNS = 200


def show(chosen: Chosen) -> None:
    """Draw the view."""
    st.caption(
        "A point for each prototype: how much of the attention it gets over the test period, to the right by the first "
        "and upwards by the second. Points on the dotted line get as much from both."
    )
    other = _choose(chosen)
    if other is None:
        return
    results, channel, names = other
    with explained("These two cannot be compared"):
        pairs = reading.pairs(chosen.results, chosen.channel, other=results, channel_of_other=channel)
    st.markdown(plain(pairs.sentence()))
    if results.adds_nothing() and results.run.id != chosen.results.run.id:
        st.info("The other run keeps step 0: its language model adds nothing to its forecast.", icon=":material/info:")
    picture = PairsPicture(names, pairs.labels, pairs.first_M, pairs.second_M)
    charts.draw(pairs_chart, picture, alt="Mean attention to each prototype, by the first and by the second")
    downloads.offer(
        f"side-by-side-{chosen.results.run.id}",
        lambda: pairs_figure(picture, title="Mean attention over the test period"),
        lambda: pd.DataFrame(
            {names[0]: pairs.first_M, names[1]: pairs.second_M}, index=pd.Index(pairs.labels, name="prototype")
        ),
    )


def _choose(chosen: Chosen) -> tuple[Results, str, tuple[str, str]] | None:
    """The other run and channel, and what both are called; None where there is none, which is then said."""
    left, right = st.columns(2)
    options = (_CHANNEL, _RUN)
    against = left.selectbox("Compare with", options, **keys.in_address("against", options))
    if against == _CHANNEL:
        others = tuple(name for name in chosen.results.table().channels if name != chosen.channel)
        if not others:
            st.info("The run has no other channel. Compare it with another run.", icon=":material/info:")
            return None
        channel = right.selectbox("Other channel", others, **keys.in_address("beside", others))
        return chosen.results, channel, (chosen.channel, channel)
    own = chosen.results.run
    runs = {
        run.id: run for run in store().runs(_MOST_RUNS) if run.id != own.id and has_results(run) and has_attention(run)
    }
    if not runs:
        st.info("There is no other run with attention yet.", icon=":material/info:")
        return None
    picked = right.selectbox(
        "Other run",
        list(runs),
        format_func=lambda run_id: f"{runs[run_id].name} ({run_id[-5:]})",
        **keys.in_address("other", list(runs)),
    )
    results = Results(runs[picked])
    channels = results.table().channels
    channel = chosen.channel if chosen.channel in channels else channels[0]
    return results, channel, (f"{own.name}: {chosen.channel}", f"{results.run.name} ({picked[-5:]}): {channel}")
