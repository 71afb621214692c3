"""Patches of the test windows that attend alike, with their shapes."""

from __future__ import annotations

import streamlit as st

from timellm.explain.clusters import PatchClusters
from timellm.plots.shapes import ShapeGroup, reach, shapes_chart, shapes_figure
from timellm.ui import charts
from timellm.ui.seeing import downloads
from timellm.ui.seeing.chosen import Chosen
from timellm.ui.words import plain

_A_ROW = 4


def show(chosen: Chosen, groups: PatchClusters) -> None:
    """Draw each cluster's name, size and shapes, and what it attends to more than the run does on average."""
    words = chosen.results.attention_reader().words
    st.header("Patches that attend alike", anchor=False)
    st.caption(
        f"{groups.patches:,} patches of the test windows in clusters of similar attention: k-means over all heads, "
        f"with the number of clusters that stand apart best (silhouette {groups.separation:.2f}; 1 is apart, 0 is "
        "not). Thin lines are some of a cluster's patches, the thick line is the mean of all, in standard deviations "
        "of the window. A calendar name says where the middles of at least 60 % of the patches lie, and only if the "
        "odds of that are three times those in the other clusters. A patch is embedded together with its two "
        "neighbours, so part of the likeness may lie beside it."
    )
    pictures = tuple(ShapeGroup(one.name, one.mean_S, one.shapes_KS) for one in groups.clusters)
    between = reach(pictures)
    for begin in range(0, len(pictures), _A_ROW):
        columns = st.columns(_A_ROW)
        for column, number in zip(columns, range(begin, min(begin + _A_ROW, len(pictures))), strict=False):
            one = groups.clusters[number]
            raised = "; ".join(f"{plain(', '.join(words[prototype][:2]))}" for prototype in one.raised)
            with column:
                st.markdown(f"**{one.name[0].upper()}{one.name[1:]}**")
                charts.draw(shapes_chart, pictures[number], number=number, between=between, alt=f"Shapes of {one.name}")
                st.caption(
                    f"{one.share:.0%} of the patches. They give {one.moved:.0%} of their attention to other prototypes "
                    f"than the run does on average, more of it to: {raised or 'none in particular'}."
                )
    downloads.offer(
        f"clusters-{chosen.results.run.id}",
        lambda: shapes_figure(pictures, title="Patches that attend alike"),
        lambda: groups.frame(words),
    )
