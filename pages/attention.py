"""Attention: the text prototypes that each patch of the series is rewritten as."""

import streamlit as st

from timellm.data.exported import to_csv
from timellm.forecasters.registry import kind_of
from timellm.plots.attention import AttentionPicture, attention_chart
from timellm.plots.attention_png import attention_png
from timellm.ui import charts, keys
from timellm.ui.address import ALL_HEADS
from timellm.ui.errors import explained
from timellm.ui.pickers import pick_channel, pick_results
from timellm.ui.windows import window_ends
from timellm.ui.words import moment, plain

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
    table, context = results.table(), results.run.config.task.context
    with where:
        channel = pick_channel(results, tuple(table.channels))
    ends = window_ends(table.values.index, context)
    cutoff = st.select_slider(
        "Window ends at", ends, value=ends[-1], format_func=moment, **keys.in_address("until", ends)
    )
    found = results.attention(channel, cutoff=cutoff)
    heads, patches, prototypes = found.weights.shape

    left, middle, right = st.columns(3)
    head = left.selectbox(
        "Head", [None, *range(heads)], format_func=lambda h: ALL_HEADS if h is None else f"Head {h + 1}",
        **keys.in_address("head", [None, *range(heads)]),
    )  # fmt: skip
    most = min(40, prototypes)
    count = (
        middle.slider("Prototypes shown", 5, most, min(16, most), **keys.in_address("prototypes", range(5, most + 1)))
        if most > 5
        else most
    )
    number = right.slider("Patch", 1, patches, patches // 2 or 1, **keys.in_address("patch", range(1, patches + 1)))
    patch = number - 1

    top = found.top(count, head)
    weights = found.matrix(head)
    labels = tuple(f"{i + 1}: {found.words[i]}" for i in top)
    picture = AttentionPicture(weights[:, top], labels, found.spans, found.context)
    first, last = picture.span(patch)
    best = sorted(top, key=lambda i: -weights[patch, i])[:3]
    named = ", ".join(f"**{plain(', '.join(found.words[i].split(', ')[:3]))}** ({weights[patch, i]:.2%})" for i in best)
    st.markdown(
        f"Patch {patch + 1} of {patches}, {moment(first)} to {moment(last)}, gives most attention to {named}. "
        f"With {prototypes:,} prototypes, equal attention would be {1 / prototypes:.2%} each."
    )
    charts.draw(attention_chart, picture, patch=patch, alt="Attention of each patch to the most used prototypes")

    title = f"{channel}, window to {moment(cutoff)}, {'mean of all heads' if head is None else f'head {head + 1}'}"
    name = f"attention-{results.run.id}"
    with st.container(horizontal=True):
        st.download_button(
            "Download PNG", lambda: attention_png(picture, title=title, patch=patch), f"{name}.png", "image/png",
            icon=":material/image:", type="primary", on_click="ignore",
        )  # fmt: skip
        st.download_button(
            "Download CSV, all prototypes", lambda: to_csv(found.frame(head), index=True), f"{name}.csv", "text/csv",
            icon=":material/download:", on_click="ignore",
        )  # fmt: skip
