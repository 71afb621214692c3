"""How attention changed from validation to validation while the run trained."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from timellm.plots.attention_history import HistoryPicture, history_chart, history_figure
from timellm.ui import charts
from timellm.ui.seeing import downloads, reading
from timellm.ui.seeing.chosen import Chosen
from timellm.ui.seeing.said import counted

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
    begin, end = found.effective_Kh.mean(axis=1)[[0, -1]]
    first, final = found.top_share_Kh.mean(axis=1)[[0, -1]]
    st.markdown(
        f"From step {found.step_K[0]:,} to step {found.step_K[-1]:,}, a patch's attention went from {begin:,.0f} to "
        f"{end:,.0f} of {prototypes:,} prototypes, mean of heads, and the ten most attended from {first:.1%} to "
        f"{final:.1%} of it. Seen at {counted(len(found.step_K), 'validation')} on the same "
        f"{counted(found.windows, 'pinned window')}; the run keeps step {kept:,}."
    )
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
        lambda: _frame(narrow, shares),
    )


def _frame(narrow: HistoryPicture, shares: HistoryPicture) -> pd.DataFrame:
    index = pd.Index(narrow.step, name="step")
    heads = pd.DataFrame(
        narrow.lines, columns=[f"prototypes of {label.lower()}" for label in narrow.labels], index=index
    )
    prototypes = pd.DataFrame(shares.lines, columns=[f"attention to {label}" for label in shares.labels], index=index)
    return heads.join(prototypes)
