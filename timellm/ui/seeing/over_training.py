"""How attention changed from validation to validation while the run trained."""

from __future__ import annotations

import streamlit as st

from timellm.explain.over_training import history_frame, history_sentence
from timellm.plots.attention_history import HistoryPicture, history_chart, history_figure
from timellm.ui import charts
from timellm.ui.seeing import downloads, reading
from timellm.ui.seeing.chosen import Chosen
from timellm.ui.words import plain

_SHOWN = 8


def show(chosen: Chosen) -> None:
    """Draw the view."""
    found = reading.history(chosen.results)
    if found is None:
        st.info(
            "This run kept nothing of its attention while it trained: an earlier version of the workbench trained "
            "it, or "
            "its setting of pinned windows is 0. A new run keeps it at every validation.",
            icon=":material/info:",
        )
        return
    kept = int(chosen.results.run.summary.get("best_step") or 0)
    words = reading.labels_of(chosen.results)
    prototypes, heads = len(words), found.effective_Kh.shape[1]
    top = found.top(_SHOWN)
    narrow = HistoryPicture(
        found.step_K, found.effective_Kh, tuple(f"Head {i + 1}" for i in range(heads)), kept, "prototypes", ".0f"
    )
    shares = HistoryPicture(
        found.step_K, found.attention_KV[:, top], tuple(words[i] for i in top), kept, "attention", ".2%"
    )
    st.markdown(plain(history_sentence(found, prototypes=prototypes, kept=kept)))
    st.subheader("How narrowly heads attend", anchor=False)
    st.caption("A line that falls: training made the head attend to fewer prototypes at a patch.")
    charts.draw(history_chart, narrow, alt="Number of prototypes attended to at each validation, by head")
    st.subheader("Prototypes that end on top", anchor=False)
    st.caption(
        f"Mean attention to the {len(top)} prototypes that are attended most at the last validation. Lines that are "
        "high "
        "from the start show where the run began, not what it learned."
    )
    charts.draw(history_chart, shares, alt="Attention to the most attended prototypes at each validation")
    downloads.offer(
        f"over-training-{chosen.results.run.id}",
        lambda: history_figure((narrow, shares), title=f"{chosen.results.run.name}: attention over training"),
        lambda: history_frame(found, [words[i] for i in top], top),
    )
