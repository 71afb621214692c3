"""The action *Keep this forecast* on the Forecast page."""

from __future__ import annotations

import streamlit as st

from timellm.errors import TimeLLMError
from timellm.ui import keys
from timellm.ui.errors import show_error
from timellm.ui.ledger import who
from timellm.ui.run_results import Results

_NOTE, _DONE, _FAILURE = (keys.view("ledger", name) for name in ("note", "kept", "not-kept"))


def offer(results: Results) -> None:
    """A button that asks for name and note and keeps the run's forecast, and what came of it."""
    with st.popover("Keep this forecast", icon=":material/bookmark_add:"):
        st.caption(
            "The forecast of all channels goes into the ledger with what it was made from. It is scored by itself when"
            " the table has grown, and stays when the run is deleted."
        )
        name = who.ask("keep")
        note = st.text_input("Note", key=_NOTE, max_chars=200, placeholder="What it is for, if you want")
        st.button(
            "Keep it", type="primary", width="stretch", on_click=_keep, args=(results, name, note),
            key=keys.view("ledger", "keep"),
        )  # fmt: skip
        if failure := st.session_state.pop(_FAILURE, None):  # in the box, which stays open over the page
            show_error("The forecast was not kept", failure)
        if done := st.session_state.pop(_DONE, None):
            entry_id, new = done
            st.markdown(f":green[:material/check_circle:] {'The forecast is kept.' if new else 'It was kept before.'}")
            st.page_link(
                "ledger.py", label="Open the ledger", icon=":material/fact_check:", query_params={"kept": entry_id}
            )


def _keep(results: Results, name: str, note: str) -> None:
    from timellm.ledger.keeping import keep

    try:
        kept = keep(results.run.run_dir, by=name, note=note, run_name=results.run.name)
    except TimeLLMError as error:
        st.session_state[_FAILURE] = str(error)
        return
    st.session_state[_DONE] = (kept.entry.id, kept.new)
