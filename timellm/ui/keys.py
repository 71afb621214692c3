"""The names under which pages keep ids and choices, in the URL and in session state. There are no others.

The chosen table and run live in the URL, so that a reload or a shared link lands where it was. A page switch drops the
URL's parameters, so session state remembers the last ids and `restore` puts them back. Truth (a run's state, a table's
content) lives in the store and on disk, never here.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import Any, Literal, get_args

import streamlit as st

from timellm.json_text import parse_json

Id = Literal["table", "run", "kept"]
IDS: tuple[Id, ...] = ("table", "run", "kept")
# What is looked for in the list of runs. Widgets that are bound to the URL have these as their session keys, too.
SEARCH, SEARCH_ORDER = "q", "sort"
SEARCH_CHOICES = ("state", "tag", "backbone", "data")
_MOST_ROLES = 20_000  # bytes of what the URL says about a table
COMPARED = "runs"  # ids of the runs on the page that compares them
FACES = ("Simple", "Advanced")  # of the set-up form
View = Literal[
    "face", "show", "channel", "cutoff", "metric", "until", "head", "prototypes", "patch", "loss", "log", "everything",
    "tab", "part", "parts", "view", "over", "when", "from", "to", "days", "month", "limit", "against", "beside",
    "other", "map", "weights", "order", "prototype", "rows", "windows", "masked",
    "by", "backtest", "word", "layer", "layer_head", "sinks", "tokens", "finding", "spot", "newer", "protocol",
    "folder", "sets", "pairs", "horizons", "models", "seeds", "percents", "mode", "step", "settings", "results",
]  # fmt: skip
"""Choices of what pages show that are part of the address; each is the key of its widget, too."""
ROLES = "roles"  # what the user corrected about the table (column roles, description), as JSON in the URL


def restore() -> None:
    """Called once a page run, before the page: remember the ids the URL has, put back the ones it lost."""
    moved_on = "table" in st.query_params and st.query_params["table"] != st.session_state.get(_kept("table"))
    if moved_on:  # a link to another table: the last table's roles are not its own
        st.session_state.pop(_kept(ROLES), None)
    for name in (*IDS, ROLES, COMPARED):
        if name in st.query_params:
            st.session_state[_kept(name)] = st.query_params[name]
        elif st.session_state.get(_kept(name)):
            st.query_params[name] = st.session_state[_kept(name)]


def chosen(name: Id) -> str | None:
    """The id in the URL, or None."""
    return st.query_params.get(name) or None


def choose(name: Id, value: str | None) -> None:
    """Put an id into the URL; None takes it out. Another table forgets the column roles of the last one."""
    if name == "table" and value != chosen("table"):
        _set(ROLES, None)
    _set(name, value)


def compared() -> tuple[str, ...]:
    """Ids of the runs that are compared, each once."""
    return tuple(dict.fromkeys(one for one in st.query_params.get(COMPARED, "").split(",") if one))


def compare(ids: Iterable[str]) -> None:
    """Put the ids of the runs to be compared into the URL."""
    _set(COMPARED, ",".join(ids) or None)


def roles() -> dict[str, Any]:
    """Corrected `DataConfig` settings of the chosen table; empty when the URL has none or has nonsense."""
    try:
        found = parse_json(st.query_params.get(ROLES, "{}"), most_bytes=_MOST_ROLES)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def choose_roles(settings: dict[str, Any]) -> None:
    """Keep corrected `DataConfig` settings of the chosen table."""
    _set(ROLES, json.dumps(settings, separators=(",", ":")) if settings else None)


def setting(table_id: str, name: str) -> str:
    """Session key of one setting of the set-up form; each table has its own form."""
    return f"setting/{table_id}/{name}"


def view(page: str, name: str) -> str:
    """Session key of one choice of what a page shows."""
    return f"{page}/{name}"


def in_address(name: View, options: Collection[Any] | None = None) -> dict[str, Any]:
    """Key and binding of a widget whose choice is part of the address, so that a reload or a shared link shows it.

    One name may serve on several pages and for several runs; with `options`, a choice that is not among them is
    forgotten, and the widget shows its default. What an address says and a widget does not offer is handled alike
    (`explain_address`). Number inputs are not for this: they fail on an endless number in the address.
    """
    if options is not None and name in st.session_state and st.session_state[name] not in options:
        del st.session_state[name]
    return {"key": name, "bind": "query-params"}


def without_views() -> dict[str, str]:
    """The address without views: those of one page, which a switch to another one must not set."""
    return {name: value for name, value in st.query_params.to_dict().items() if name not in get_args(View)}


def asked_for() -> dict[str, list[str]]:
    """What the address says about views that were not chosen in this session; to be read before a page is drawn."""
    new = (name for name in get_args(View) if name not in st.session_state)
    return {name: st.query_params.get_all(name) for name in new if name in st.query_params}


def not_offered(asked: dict[str, list[str]]) -> dict[str, list[str]]:
    """What of `asked` the widgets of the page did not take: names of views and what the address said."""
    drawn = {name: values for name, values in asked.items() if name in st.session_state}
    left = {name: [one for one in values if one not in st.query_params.get_all(name)] for name, values in drawn.items()}
    return {name: values for name, values in left.items() if values}


def _kept(name: str) -> str:
    return f"kept/{name}"


def _set(name: str, value: str | None) -> None:
    if value:
        st.query_params[name] = value
    else:
        st.query_params.pop(name, None)
    st.session_state[_kept(name)] = value
