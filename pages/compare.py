"""Compare: which run was best, and what was different about it?"""

import streamlit as st

from timellm.errors import RunNotFoundError
from timellm.jobs.local.launcher import supervise
from timellm.jobs.store.comparison import compare
from timellm.ui import comparing, reporting, runs_board
from timellm.ui.errors import explained, nothing_here, without_server_paths
from timellm.ui.loaders import store
from timellm.ui.pickers import has_results
from timellm.ui.words import plain

_TICK_S = 5.0  # every redraw takes from the two cores that train

st.title("Compare")

with explained("The list of runs cannot be read"):
    supervise(store())
    if not store().runs(1):
        nothing_here(
            "There is no run yet. Choose a table and start fine-tuning; two runs can be compared.",
            page="data.py",
            label="Choose a table",
        )
    chosen = comparing.pick()
if len(chosen) < 2:
    nothing_here(
        "Choose two or more runs above, or tick them in the table of runs. The page's address then names them.",
        page="runs.py",
        label="All runs",
    )

with explained("These runs cannot be compared"):
    first = compare(store(), chosen)


@st.fragment(run_every=_TICK_S if any(run.active for run in first.runs) else None)
def side_by_side() -> None:
    """Everything about the runs; ticks while one is active."""
    with explained("These runs cannot be compared"):
        try:
            comparison = compare(store(), chosen)
        except RunNotFoundError:  # deleted in another tab: the whole page says so
            st.rerun()
    comparing.heads(comparison)
    for warning in comparison.warnings:
        st.warning(plain(without_server_paths(warning)), icon=":material/warning:")
    runs_board.show(comparison)
    st.header("At their best", anchor=False)
    comparing.measures(comparison)
    st.header("Losses", anchor=False)
    comparing.curves(comparison)
    st.header("Settings", anchor=False)
    comparing.settings(comparison)
    with st.container(horizontal=True):
        st.download_button(
            "Download CSV", comparison.to_csv(), "comparison.csv", "text/csv", icon=":material/download:",
            on_click="ignore",
        )  # fmt: skip
        if all(has_results(run) for run in comparison.runs):
            reporting.offer("compare", comparison.runs)


side_by_side()
