"""What is asked of a protocol: which one, its options, and further settings of its runs."""

from __future__ import annotations

import streamlit as st

from timellm.protocols.protocol import Asked, Option, Protocol
from timellm.protocols.registry import PROTOCOLS
from timellm.ui import keys
from timellm.ui.errors import explained
from timellm.workspace import workspace


def choose() -> Protocol:
    """The protocol that the address or the user names."""
    name = st.selectbox(
        "Experiment", list(PROTOCOLS), format_func=lambda one: PROTOCOLS[one].title,
        **keys.in_address("protocol", PROTOCOLS),
    )  # fmt: skip
    return PROTOCOLS[name]


def asked(protocol: Protocol) -> Asked:
    """The options as the form has them; the page ends with the reason where one has no meaning."""
    columns = st.columns(2)
    given = {
        option.name: _widget(protocol, option, columns[place % 2]) for place, option in enumerate(protocol.options)
    }
    settings = st.text_input(
        "Further settings", key=_key(protocol, "settings"), placeholder="backbone=smollm2-135m steps=50",
        help="Settings of every run whose forecaster has them, parted by blanks.",
    )  # fmt: skip
    with explained("This cannot be asked"):
        return protocol.asked(workspace().benchmarks, given, settings.split())


def _widget(protocol: Protocol, option: Option, place: st.delta_generator.DeltaGenerator) -> list[str]:
    label, key = option.name.capitalize(), _key(protocol, option.name)
    help_text = option.meaning[:1].upper() + option.meaning[1:] + "."
    if not option.choices:
        usual = " ".join(option.usual)
        text = place.text_input(label, usual, key=key, help=f"{help_text} Whole numbers, parted by blanks.",
                                placeholder="all")  # fmt: skip
        return text.replace(",", " ").split()
    if not option.several:
        return [place.segmented_control(label, option.choices, default=option.usual[0], required=True, key=key,
                                        help=help_text)]  # fmt: skip
    return place.multiselect(label, option.choices, default=list(option.usual), key=key, help=help_text,
                             placeholder="The usual ones")  # fmt: skip


def _key(protocol: Protocol, name: str) -> str:
    return keys.view("benchmarks", f"{protocol.name}/{name}")
