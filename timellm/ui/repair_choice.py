"""The form that makes one repair step: its kind, and what the kind asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from timellm.config.repair import FILLS, OF_DUPLICATES, OF_RESAMPLING, RepairStep, zones
from timellm.data.season import season_length
from timellm.ui import keys
from timellm.ui.errors import show_error

if TYPE_CHECKING:
    from timellm.data.table import Table

_KINDS = {
    "resample": "Resample to an even step",
    "duplicates": "Make rows of one timestamp one",
    "fill": "Fill gaps",
    "clip": "Keep values within limits",
    "drop channel": "Leave out a channel",
    "drop rows": "Leave out rows",
    "timezone": "Local clock to UTC",
}
_HOW = {
    "mean": "mean", "sum": "sum", "last": "last value", "first": "first value", "max": "highest value",
    "min": "lowest value",
}  # fmt: skip
_FILL = {
    "previous": "previous value",
    "linear": "linearly, within each window's past",
    "seasonal": "value one season before",
    "none": "not at all: leave such windows out",
}
_CLOCK = {"utc": "UTC", "standard": "its standard time all year"}
_ALL = "all channels"


def chosen(table_id: str, table: Table | None, channels: tuple[str, ...]) -> str | None:
    """The step that the form asks to look at, in the run of the page after its button was pressed; else None."""

    def key(name: str) -> str:
        return keys.setting(table_id, f"repair/{name}")

    kind = st.selectbox(
        "Repair to look at", list(_KINDS), index=None, format_func=_KINDS.__getitem__, key=key("kind"),
        placeholder="Choose one",
    )  # fmt: skip
    if kind is None:
        return None
    with st.form(key(f"form/{kind}"), border=False):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            text = _asked(kind, key, table, channels)
        if not st.form_submit_button("Look at it", icon=":material/visibility:"):
            return None
    try:
        return str(RepairStep.parse(text))
    except ValueError as error:
        show_error("This repair cannot be made", str(error))
        return None


def _asked(kind: str, named: Callable[[str], str], table: Table | None, channels: tuple[str, ...]) -> str:
    match kind:
        case "resample":
            step = st.text_input("One row every", placeholder="1h, 15min, D, W-MON, MS, YS", key=named("step"))
            how = st.selectbox("It holds the", OF_RESAMPLING, format_func=_HOW.__getitem__, key=named("how"))
            return f"resample:{step.strip()}:{how}"
        case "duplicates":
            how = st.selectbox("Keep the", OF_DUPLICATES, format_func=_HOW.__getitem__, key=named("merged"))
            return f"duplicates:{how}"
        case "fill":
            how = st.selectbox("With the", FILLS, format_func=_FILL.__getitem__, key=named("fill"))
            season = st.number_input(
                "Rows of a season", min_value=1, value=season_length(table.frequency) if table else 1, step=1,
                key=named("season"), help="Only for the value one season before.",
            )  # fmt: skip
            return f"fill:{how}:{season}" if how == "seasonal" else f"fill:{how}"
        case "clip":
            low = st.text_input("Not below", placeholder="such as 0", key=named("low"))
            high = st.text_input("Not above", placeholder="no limit", key=named("high"))
            channel = st.selectbox("In", [_ALL, *channels], key=named("clipped"))
            return f"clip:{low}:{high}" + ("" if channel == _ALL else f":{channel}")
        case "drop channel":
            return f"drop:channel:{st.selectbox('Channel', channels, key=named('dropped'))}"
        case "drop rows":
            begin = st.text_input("From", placeholder="2024-01-31 or 2024-01-31 13:00", key=named("begin"))
            end = st.text_input("To, included", placeholder="2024-02-28; empty: the end", key=named("end"))
            return f"drop:rows:{begin}/{end}"
        case _:
            places = zones()
            zone = st.selectbox("Zone of the clock", places, index=places.index("Europe/Berlin"), key=named("zone"))
            clock = st.selectbox("To", list(_CLOCK), format_func=_CLOCK.__getitem__, key=named("clock"))
            return f"timezone:{zone}:{clock}"
