"""The uploaded tables as a list: name, size, date, and a button that deletes one after a question."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from timellm.data.uploads import Upload, uploads
from timellm.errors import TimeLLMError
from timellm.jobs.store.tables import delete_table
from timellm.ui import keys
from timellm.ui.errors import show_error
from timellm.ui.loaders import store
from timellm.ui.words import ago, file_size, plain

_FAILURE = keys.view("data", "not-deleted")
_MOST_WITHOUT_SCROLLING = 6


def uploaded_tables() -> None:
    """An expander with every uploaded table; nothing while there is none."""
    if failure := st.session_state.pop(_FAILURE, None):
        show_error("The table was not deleted", failure)
    kept = uploads()
    if not kept:
        return
    size = file_size(sum(one.size_bytes for one in kept))
    with st.expander(f"Uploaded tables: {len(kept):,}, {size}", icon=":material/folder_open:"):
        height: int | Literal["content"] = 340 if len(kept) > _MOST_WITHOUT_SCROLLING else "content"
        with st.container(height=height, border=False):
            for one in kept:
                _row(one)


def _row(one: Upload) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(plain(one.name), width="stretch")
        st.caption(f"{file_size(one.size_bytes)}, uploaded {ago(one.uploaded)}", width="content")
        if st.button("Delete", key=keys.view("data", f"delete/{one.id}"), icon=":material/delete:"):
            _ask_to_delete(one)


@st.dialog("Delete this table?", icon=":material/delete:")
def _ask_to_delete(one: Upload) -> None:
    st.markdown(
        f"**{plain(one.name)}** is removed from this workbench. Runs that have already read it keep their own copy,"
        " with forecasts, metrics and attention; *Resume* still works. To start new runs on it, upload the file again."
    )
    with st.container(horizontal=True, horizontal_alignment="right"):
        st.button("Keep it", on_click=st.rerun)
        st.button("Delete the table", type="primary", on_click=_delete, args=(one.id,))


def _delete(table_id: str) -> None:
    try:
        delete_table(store(), table_id)
    except TimeLLMError as error:
        st.session_state[_FAILURE] = str(error)
    else:
        if keys.chosen("table") == table_id:
            keys.choose("table", None)
    st.rerun()  # a dialog closes when the whole page is drawn again
