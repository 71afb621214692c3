"""Export and import of runs on the runs page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from timellm.errors import TimeLLMError
from timellm.jobs.store.run import Run
from timellm.ui import export_route, keys
from timellm.ui.errors import show_error
from timellm.ui.loaders import store
from timellm.ui.words import plain

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

_NOTES = keys.view("runs", "imported")


def export(run: Run) -> None:
    """Offer an ended run as one file, with its table or without."""
    if run.active:
        return
    from timellm.jobs.archive.writing import contents

    try:
        held = contents(run)
    except TimeLLMError as error:
        st.caption(f"It cannot be exported: {plain(str(error))}")
        return
    with_table = False
    if held.table is not None:
        with_table = st.checkbox(
            f"With its table ({_megabytes(held.table_bytes)})", value=True,
            key=keys.view("runs", f"with-table/{run.id}"),
            help="Elsewhere the run can then be changed and run again. Without it, it can be looked at and resumed.",
        )  # fmt: skip
    size = _megabytes(held.files_bytes + held.table_bytes * with_table)
    url = export_route.link(run.id, with_table=with_table)
    st.link_button(f"Export, about {size}", url, icon=":material/download:", width="stretch")
    if held.left_out:
        st.caption(
            f"{len(held.left_out)} files of other kinds are not exported, such as those of an experiment tracker."
        )


def import_one() -> None:
    """Import a run that was exported elsewhere."""
    if st.button("Import a run", icon=":material/upload:"):
        _ask_for_archive()


@st.dialog("Import a run", icon=":material/upload:")
def _ask_for_archive() -> None:
    file = st.file_uploader("An archive that was exported from a workbench", type="zip")
    st.caption("All of it is checked before it becomes a run here. For a large one: `python -m timellm import`.")
    if st.button("Import", type="primary", disabled=file is None, width="stretch") and file is not None:
        _take_in(file)


def show_imported() -> None:
    """The message about a run that was just imported, shown once."""
    name, notes = st.session_state.pop(_NOTES, (None, ()))
    if name is not None:
        st.success(" ".join([f"**{plain(name)}** was imported.", *map(plain, notes)]), icon=":material/check_circle:")


def _take_in(file: UploadedFile) -> None:
    from timellm.jobs.archive.importing import import_run

    try:
        with st.spinner("Checking the archive …"):
            found = import_run(store(), file)
    except TimeLLMError as error:
        show_error("That was not imported", str(error))
        return
    st.session_state[_NOTES] = (found.run.name, found.notes)
    keys.choose("run", found.run.id)
    st.rerun()


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
