"""Descriptions of the published sets, offered for the prompt: those that the table looks like first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from timellm.protocols.sets import find_set, known_sets, recognise
from timellm.ui import corrections, keys

if TYPE_CHECKING:
    from timellm.data.table import Table


def offer(table_id: str, table: Table, *, title: str) -> None:
    """A list of the bank's descriptions; choosing one puts it in the place of the present one."""
    alike = [one.name for one in recognise(table, title=title)]
    key = keys.setting(table_id, "prompt_bank")

    def take() -> None:
        name = st.session_state[key]
        if name is None:
            return
        text = find_set(name).description
        st.session_state[keys.setting(table_id, "description")] = text
        corrections.choose(keys.roles() | {"description": text})
        st.session_state[key] = None  # it can be chosen again after the text was edited

    st.selectbox(
        "Take a description from the prompt bank",
        [*alike, *(name for name in known_sets() if name not in alike)],
        index=None,
        format_func=lambda name: f"{name}, which this table looks like" if name in alike else name,
        key=key,
        placeholder="Choose a published set",
        help="In its place you can write your own on the data page.",
        on_change=take,
        persist_state="session",
    )
    if alike:
        st.caption(f"By its step, columns and rows, this table looks like {' or '.join(alike)}.")
