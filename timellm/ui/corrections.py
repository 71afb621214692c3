"""Corrections of the chosen table: in the address while it is open, and kept beside the upload for the next time."""

from __future__ import annotations

from typing import Any

import streamlit as st

from timellm.data.corrections import keep_corrections, kept_corrections
from timellm.errors import DataError
from timellm.ui import keys
from timellm.ui.errors import show_error

_FAILURE, _RESTORED = keys.view("data", "corrections-failure"), keys.view("data", "corrections-of")


def choose(settings: dict[str, Any]) -> None:
    """Put corrected settings of the chosen table in force, and keep them."""
    keys.choose_roles(settings)
    table_id = keys.chosen("table")
    if table_id is None:
        return
    try:
        keep_corrections(table_id, settings)
    except DataError as error:
        st.session_state[_FAILURE] = str(error)


def restore() -> None:
    """Put the kept corrections of a table that was just chosen in force, unless the address has its own."""
    table_id = keys.chosen("table")
    if table_id == st.session_state.get(_RESTORED):
        return
    st.session_state[_RESTORED] = table_id
    if table_id is None or keys.roles():
        return
    try:
        keys.choose_roles(kept_corrections(table_id))
    except DataError as error:  # of a table that is gone, the page says so itself
        if "there is no table" not in str(error):
            st.session_state[_FAILURE] = str(error)


def offer_to_forget() -> None:
    """A button that takes away all corrections: some may be of another version, and keep the table from opening."""
    if keys.roles():
        st.button(
            "Forget what was corrected about this table", icon=":material/restart_alt:", on_click=choose, args=({},)
        )


def show_failure() -> None:
    """Say that corrections could not be kept or read, once."""
    if failure := st.session_state.pop(_FAILURE, None):
        show_error("Corrections are not kept", failure)
