"""The heads of the attention side by side: what each attends to, how narrowly, and how alike they are."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from timellm.explain.heads import Heads
from timellm.plots.heads import HeadsPicture, alike_chart, effective_chart, heads_chart, heads_figure
from timellm.ui import charts, keys
from timellm.ui.seeing import downloads, reading
from timellm.ui.seeing.chosen import Chosen
from timellm.ui.words import moment, plain

_OVER = ("This window", "Test period")
_SHOWN = 12


def show(chosen: Chosen) -> None:
    """Draw the view."""
    over = st.segmented_control(
        "Heads over", _OVER, default=_OVER[0], required=True, label_visibility="collapsed", **keys.in_address("over")
    )
    if over == _OVER[0]:
        heads = Heads.of(chosen.attention().weights[None])
        where = f"window to {moment(chosen.cutoff)}"
    else:
        period = reading.period(chosen.results, chosen.channel)
        heads = period.heads
        where = f"mean of {period.windows_read}"
    labels, top = reading.labels_of(chosen.results), heads.top(_SHOWN)
    picture = HeadsPicture(
        heads.weights_hPV[:, :, top], tuple(labels[i] for i in top), heads.effective_hP, heads.alike_hh
    )
    st.markdown(plain(heads.sentence(where)))
    st.subheader("What each head attends to", anchor=False)
    st.caption(
        f"One small heatmap for each head, all on one scale: patches from left to right, and the {len(top)} prototypes "
        "that all heads together attend most from top to bottom. Rows that are bright in one head only are its own. "
        "Numbers are those of the prototypes; their words appear at the pointer and in the list below."
    )
    charts.draw(heads_chart, picture, alt="Attention by head, patch and prototype")
    with st.expander("Words of these prototypes"):
        st.dataframe(pd.DataFrame({"Prototype": picture.labels}), hide_index=True)
    st.subheader("How narrowly a head attends", anchor=False)
    st.caption(
        "Each cell is the number of prototypes that a patch's attention rests on (the exponential of its entropy): "
        f"1 if it all goes to one, {len(labels):,} if it is even."
    )
    charts.draw(effective_chart, picture, alt="Number of prototypes attended to, by head and patch")
    st.subheader("How alike heads are", anchor=False)
    st.caption(
        "Each cell is the cosine between the attention of two heads at the same patch: 1 if they attend to the same "
        "prototypes alike, 0 if to none in common."
    )
    charts.draw(alike_chart, picture, alt="Cosine between the attention of each two heads")
    downloads.offer(
        f"heads-{chosen.results.run.id}",
        lambda: heads_figure(picture, title=f"{chosen.channel}, {where}"),
        lambda: heads.frame(labels),
    )
