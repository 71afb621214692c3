"""Attention: the text prototypes that each patch of the series is rewritten as; of a linear run, its weights."""

from collections.abc import Callable

import streamlit as st

from timellm.forecasters.registry import kind_of
from timellm.ui import keys
from timellm.ui.errors import explained
from timellm.ui.pickers import has_attention, pick_results
from timellm.ui.seeing import (
    dictionary,
    faithful,
    heads,
    heatmap,
    linear,
    opening,
    over_training,
    prompt,
    side_by_side,
    when,
)
from timellm.ui.seeing.chosen import Chosen, choose_channel, choose_cutoff

VIEWS: dict[str, Callable[[Chosen], None]] = {
    "Heatmap": heatmap.show,
    "Dictionary": dictionary.show,
    "Heads": heads.show,
    "When": when.show,
    "Side by side": side_by_side.show,
    "Over training": over_training.show,
    "Is it faithful?": faithful.show,
}
PROMPT, LINEAR = "Prompt", "Linear path"
WITHOUT_WINDOW = ("Dictionary", "Side by side", "Over training", LINEAR)

st.title("Attention")
which, where = st.columns([3, 2])
results = pick_results("attention", which, what="attention heatmap")
config = results.run.config
offered = dict(VIEWS) if has_attention(results.run) else {}
if kind_of(config.kind).language_model:
    offered[PROMPT] = prompt.show
if config.has_linear_map:
    offered[LINEAR] = linear.show
if not offered:
    st.info(
        f"{kind_of(config.kind).title} has neither attention over text prototypes nor a linear map from the context to "
        "the forecast, so there is nothing to show here. Choose a run of Time-LLM, Ridge or DLinear.",
        icon=":material/info:",
    )
    st.stop()
with explained("This run cannot be looked into"):
    if list(offered) == [LINEAR]:
        st.caption(
            "This run has no attention over text prototypes and no prompt. What it has are the weights of a linear map "
            "from the context to the forecast."
        )
        linear.show(choose_channel(results, where))
        st.stop()
    if has_attention(results.run):
        st.caption(
            "Time-LLM cuts the window into patches and rewrites each one as a mixture of text prototypes, which the "
            "language model then reads. Prototypes are named by the vocabulary words nearest to them. The names help "
            "to read the chart; they are not what the prototypes mean."
        )
        opening.say(results)
    else:
        st.caption(
            "This run has no attention over text prototypes. Its patches are rewritten by a linear map. What it has "
            "are its prompt and, if there is one, the weights of its linear path."
        )
    chosen = choose_channel(results, where)
    first = next(iter(offered))
    view = st.pills(
        "View", list(offered), default=first, required=True, label_visibility="collapsed",
        **keys.in_address("view", offered),
    )  # fmt: skip
    offered[view or first](choose_cutoff(chosen, counts=view not in WITHOUT_WINDOW))
