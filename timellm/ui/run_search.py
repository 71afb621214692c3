"""Search for runs: a search box, an order and filters. All of them are in the URL, so a search can be shared.

Inputs: the list of runs. Outputs: a `Search`.
"""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

from timellm.jobs.store.listing import Listed, Order, Search
from timellm.ui.keys import SEARCH, SEARCH_CHOICES, SEARCH_ORDER
from timellm.ui.words import STATE_COLOURS

_ORDERS: dict[Order, str] = {
    "newest": "Newest first",
    "oldest": "Oldest first",
    "validation": "Lowest validation error first",
    "skill": "Highest skill first",
    "name": "By name",
}


def search_bar(listed: tuple[Listed, ...]) -> Search:
    """Draw the bar and return what is looked for."""
    text = st.text_input(
        "Search runs", key=SEARCH, type="search", bind="query-params", live=True, icon=":material/search:",
        placeholder="name, tag, note, data, backbone, id", label_visibility="collapsed", width=320,
    )  # fmt: skip
    order = st.selectbox(
        "Order", list(_ORDERS), format_func=_ORDERS.__getitem__, key=SEARCH_ORDER, bind="query-params",
        label_visibility="collapsed", width=210,
    )  # fmt: skip
    with st.popover("Filter", icon=":material/filter_list:"):
        chosen = [
            st.multiselect(label, options, key=key, bind="query-params", placeholder="any", width=280)
            for (label, options), key in zip(_choices(listed).items(), SEARCH_CHOICES, strict=True)
        ]
    states, tags, backbones, tables = map(tuple, chosen)
    return Search(text or "", states, tags, backbones, tables, order)


def clear_search() -> None:
    """Look for nothing in particular again; the order stays."""
    st.session_state[SEARCH] = ""
    for key in SEARCH_CHOICES:
        st.session_state[key] = []


def in_words(search: Search) -> str:
    """What leaves runs out, such as `“wide”, failed or stopped, tag paper`."""
    parts = [f"“{search.text.strip()}”"] if search.text.strip() else []
    choices = (("", search.states), ("tag ", search.tags), ("", search.backbones), ("data ", search.tables))
    parts += [kind + " or ".join(values) for kind, values in choices if values]
    return ", ".join(parts)


def _choices(listed: tuple[Listed, ...]) -> dict[str, list[str]]:
    return {
        "State": list(STATE_COLOURS),
        "Tags": _distinct(tag for run in listed for tag in run.tags),
        "Backbone": _distinct(run.backbone for run in listed),
        "Data": _distinct(run.table for run in listed),
    }


def _distinct(values: Iterable[str]) -> list[str]:
    return sorted({value for value in values if value}, key=str.casefold)
