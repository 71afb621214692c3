"""The window with one patch marked, and under it which prototypes its patches attend to."""

from __future__ import annotations

import streamlit as st

from timellm.plots.attention import AttentionPicture, attention_chart
from timellm.plots.attention_print import attention_figure
from timellm.ui import charts, keys
from timellm.ui.address import ALL_HEADS
from timellm.ui.seeing import downloads
from timellm.ui.seeing.chosen import Chosen
from timellm.ui.words import moment, plain


def show(chosen: Chosen) -> None:
    """Draw the view."""
    found = chosen.attention()
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

    whose = "mean of all heads" if head is None else f"head {head + 1}"
    title = f"{chosen.channel}, window to {moment(chosen.cutoff)}, {whose}"
    downloads.offer(
        f"attention-{chosen.results.run.id}",
        lambda: attention_figure(picture, title=title, patch=patch),
        lambda: found.frame(head),
    )
