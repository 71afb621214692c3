"""Who does something on a page: a name that is typed once and then stands wherever the ledger asks for it."""

from __future__ import annotations

import streamlit as st

from timellm.ui import keys

_NAME = keys.view("ledger", "name")


def ask(place: str) -> str:
    """A field for the name, already filled if it was given before; `place` tells the fields of a page apart."""
    key = f"{_NAME}/{place}"
    if key not in st.session_state:
        st.session_state[key] = known()

    def remember() -> None:
        st.session_state[_NAME] = st.session_state[key]

    return st.text_input(
        "Your name", key=key, max_chars=80, on_change=remember, placeholder="Kept with what you do",
        help="The ledger keeps who did what. The name is taken as it is typed here; nobody checks it.",
    )  # fmt: skip


def known() -> str:
    """The name as it was given last; empty if none was."""
    return str(st.session_state.get(_NAME, ""))
