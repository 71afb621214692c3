"""Attention: the text prototypes that each patch of the series is rewritten as."""

from collections.abc import Callable

import streamlit as st

from timellm.forecasters.registry import kind_of
from timellm.ui import keys
from timellm.ui.errors import explained
from timellm.ui.pickers import pick_results
from timellm.ui.seeing import heatmap
from timellm.ui.seeing.chosen import Chosen, choose_window

VIEWS: dict[str, Callable[[Chosen], None]] = {"Heatmap": heatmap.show}

st.title("Attention")
st.caption(
    "Time-LLM cuts the window into patches and rewrites each one as a mixture of text prototypes, which the language "
    "model then reads. A bright cell: the patch above it gives much attention to that prototype. "
    "Prototypes are named by the vocabulary words nearest to them. The names help to read the chart; they are not "
    "what the prototypes mean."
)

which, where = st.columns([3, 2])
results = pick_results("attention", which, what="attention heatmap")
kind = kind_of(results.run.config.kind)
if not kind.attention:
    st.info(f"{kind.title} has no attention over text prototypes. Choose a Time-LLM run.", icon=":material/info:")
    st.stop()
if results.run.config.model.reprogramming == "linear":
    st.info(
        "In this run a linear map rewrites the patches (reprogramming: linear), so there is no attention over text "
        "prototypes to show. Choose a run with reprogramming: prototypes.",
        icon=":material/info:",
    )
    st.stop()
with explained("The attention of this run cannot be shown"):
    chosen = choose_window(results, where)
    view = st.segmented_control(
        "View", list(VIEWS), default="Heatmap", required=True, label_visibility="collapsed",
        **keys.in_address("view"),
    )  # fmt: skip
    VIEWS[view or "Heatmap"](chosen)
