"""Bounds in the set-up form: what the table suggests, taken with one click and taken back with another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from timellm.config import TaskConfig
from timellm.data.bounds import bounds_note, suggest_bounds
from timellm.errors import ConfigError
from timellm.ui import keys, setup
from timellm.ui.settings import Form
from timellm.ui.words import plain

if TYPE_CHECKING:
    from timellm.data.table import Table

_NONE: dict[str, Any] = {"lower_bound": None, "upper_bound": None, "closed_weekdays": ""}


def offer(form: Form, table: Table) -> None:
    """Say which bounds are in force, and offer those that the table suggests and that are not."""
    now = {name: form.value(name) for name in _NONE}
    try:
        in_force = bounds_note(TaskConfig(**now))
    except ConfigError:  # half a weekday; the form says so where the settings are gathered
        return
    for sentence in in_force:
        st.caption(sentence)
        st.button(
            "Keep forecasts free", type="tertiary", icon=":material/undo:", on_click=setup.put, args=(form, _NONE),
            key=keys.view("finetune", "free"),
        )  # fmt: skip
    for number, one in enumerate(suggest_bounds(table)):
        if all(now[name] == value for name, value in one.settings.items()):
            continue
        st.button(
            _label(one.settings), width="stretch", icon=":material/vertical_align_bottom:", on_click=setup.put,
            args=(form, one.settings), key=keys.view("finetune", f"bounds/{number}"),
        )  # fmt: skip
        st.caption(plain(one.reason))


def _label(settings: Any) -> str:
    if "lower_bound" in settings:
        return f"Keep forecasts at {settings['lower_bound']:g} or above"
    return f"Keep forecasts at zero on {settings['closed_weekdays'].replace(',', ', ').title()}"
