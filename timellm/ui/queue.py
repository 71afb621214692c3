"""A waiting run's place in the queue, and what can be done about it: move it, change its settings."""

from __future__ import annotations

import streamlit as st

from timellm.jobs.store.run import Run
from timellm.ui.loaders import store
from timellm.ui.place import of_run
from timellm.ui.words import plain


def place(run: Run) -> None:
    """Where a waiting run stands, in words, or on which cluster a run is; nothing for any other run."""
    of_run(run)
    waiting = store().waiting()
    ids = [one.id for one in waiting]
    if run.id not in ids:
        return
    here = ids.index(run.id)
    line = f"Place {here + 1} of {len(ids)} in the queue"
    if here:
        line += f", behind **{plain(waiting[here - 1].name)}**"
    st.caption(line + ".")
    if len(ids) > 1:
        with st.expander(f"The queue, {len(ids)} runs", icon=":material/format_list_numbered:"):
            rows = [{"Place": at, "Run": one.name, "Device": one.device} for at, one in enumerate(waiting, start=1)]
            st.dataframe(rows, hide_index=True)
