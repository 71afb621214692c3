"""Forecast: what comes next, how sure is it, and how did the model do where the answer is known?"""

import streamlit as st

from timellm.ui import keys
from timellm.ui.errors import explained
from timellm.ui.forecasting import future, newer, unusual, window
from timellm.ui.forecasting.chosen import Chosen, pick_levels
from timellm.ui.pickers import pick_channel, pick_results

SHOWN = {"Future": future.show, "Test period": window.show, "Unusual": unusual.show, "Newer table": newer.show}

st.title("Forecast")

which, where, view = st.columns([3, 2, 3])
results = pick_results("forecast", which, what="forecast")
with explained("The forecast of this run cannot be shown"):
    with where:
        channel = pick_channel(results, tuple(results.table().channels))
    with view:
        mode = st.segmented_control(
            "Show", list(SHOWN), default="Future", required=True, width="stretch", **keys.in_address("show")
        )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        levels = pick_levels()
        apart = (
            mode in ("Future", "Test period")
            and results.linear_path() is not None
            and st.toggle(
                "Show what the language model adds",
                help="The linear path is a ridge regression inside the model. The language model adds the rest.",
                **keys.in_address("parts"),
            )
        )
    SHOWN[mode](Chosen(results, channel, levels, apart))
