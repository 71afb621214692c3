"""A report of runs to download, and a program that repeats one: made when it is asked for, on any page of results."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from timellm.errors import TimeLLMError
from timellm.jobs.store.run import Run
from timellm.ui import keys
from timellm.ui.errors import show_error
from timellm.ui.loaders import store
from timellm.ui.words import file_size

_MADE, _FAILURE = keys.view("report", "made"), keys.view("report", "failure")


def offer(page: str, runs: Sequence[Run]) -> None:
    """A box that makes the report of one run or of several; `page` tells the boxes of two pages apart."""
    about = tuple(f"{run.id} {run.ended}" for run in runs)
    with st.popover("Report", icon=":material/description:"):
        st.caption(
            "One HTML file with data, settings, forecasts, errors and how it was made. It opens without a network and"
            " prints on A4; print it to have a PDF."
        )
        st.button(
            "Make the report", type="primary", width="stretch", on_click=_make, args=(tuple(runs), about),
            key=keys.view(page, "make-report"),
        )  # fmt: skip
        if failure := st.session_state.pop(_FAILURE, None):
            show_error("The report was not made", failure)
        made = st.session_state.get(_MADE)
        if made is None or made[0] != about:
            return
        _, html, script = made
        name = runs[0].id if len(runs) == 1 else f"{len(runs)}-runs"
        st.download_button(
            f"Download the report, {file_size(len(html.encode()))}", html, f"report-{name}.html", "text/html",
            icon=":material/download:", width="stretch", on_click="ignore", key=keys.view(page, "report"),
        )  # fmt: skip
        if script:
            st.download_button(
                "Download a Python program that repeats the run", script, f"repeat-{name}.py", "text/x-python",
                icon=":material/code:", width="stretch", on_click="ignore", key=keys.view(page, "script"),
            )  # fmt: skip


def _make(runs: tuple[Run, ...], about: tuple[str, ...]) -> None:
    from timellm.jobs.local.reported import reported
    from timellm.report.page import report
    from timellm.report.script import script_of

    st.session_state.pop(_MADE, None)
    try:
        found = [reported(run.run_dir, store()) for run in runs]
        script = script_of(found[0]) if len(found) == 1 else ""
        st.session_state[_MADE] = (about, report(found), script)
    except TimeLLMError as error:
        st.session_state[_FAILURE] = str(error)
