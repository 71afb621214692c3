"""What is asked of a protocol: which one, the folder of its files, its options, and further settings of its runs.

All of it is part of the address, so that a reload or a shared link shows the same form.
"""

from __future__ import annotations

from typing import cast

import streamlit as st

from timellm.errors import TimeLLMError
from timellm.protocols.folder import check_settings_name_no_files, named_folder
from timellm.protocols.models import meaning_of
from timellm.protocols.protocol import Asked, Option, Protocol
from timellm.protocols.registry import PROTOCOLS
from timellm.ui import keys
from timellm.ui.errors import show_error, without_server_paths
from timellm.workspace import workspace

_PROTOCOL: keys.View = "protocol"
_DRAWN = keys.view("benchmarks", "drawn")
"""The protocol whose form was drawn last."""


def choose() -> Protocol:
    """The protocol that the address or the user names."""
    name = st.selectbox(
        "Experiment", list(PROTOCOLS), format_func=lambda one: PROTOCOLS[one].title,
        on_change=_switch, **keys.in_address(_PROTOCOL, PROTOCOLS),
    )  # fmt: skip
    st.session_state[_DRAWN] = name
    return PROTOCOLS[name]


def asked(protocol: Protocol) -> Asked | None:
    """The form; None, with the reason below it, where something in it has no meaning."""
    usual = without_server_paths(str(workspace().benchmarks))
    folder = st.text_input(
        "Folder with the files", placeholder=usual, **keys.in_address("folder"),
        help=f"A folder on the computer that runs the workbench. If nothing is written here, it is {usual}.",
    )  # fmt: skip
    columns = st.columns(2)
    given = {option.name: _widget(option, columns[place % 2]) for place, option in enumerate(protocol.options)}
    settings = st.text_input(
        "Further settings", placeholder="backbone=smollm2-135m steps=50", **keys.in_address("settings"),
        help="Settings of every run whose forecaster has them, parted by blanks.",
    )  # fmt: skip
    try:
        check_settings_name_no_files(settings.split())
        return protocol.asked(named_folder(folder), given, settings.split())
    except TimeLLMError as error:
        show_error("This cannot be asked", _in_words_of_the_page(protocol, str(error)))
        return None


def _widget(option: Option, place: st.delta_generator.DeltaGenerator) -> list[str]:
    label, bound = option.name.capitalize(), keys.in_address(cast("keys.View", option.name))
    help_text = option.meaning[:1].upper() + option.meaning[1:] + "."
    if option.name == "models":
        help_text += "\n\n" + "\n".join(f"- `{name}`: {meaning_of(name)}" for name in option.choices)
    if not option.choices:
        text = place.text_input(label, _usual(option), help=f"{help_text} Whole numbers, parted by blanks.",
                                placeholder="all", **bound)  # fmt: skip
        return (text or "").replace(",", " ").split()
    if not option.several:
        return [place.segmented_control(label, option.choices, default=_usual(option), required=True, help=help_text,
                                        **bound)]  # fmt: skip
    return place.multiselect(label, option.choices, default=_usual(option), help=help_text,
                             placeholder="The usual ones", wrap=True, **bound)  # fmt: skip


def _in_words_of_the_page(protocol: Protocol, reason: str) -> str:
    """A reason that names options as the command line does, with the labels of this form."""
    for option in protocol.options:
        reason = reason.replace(f"--{option.name}", option.name.capitalize())
    return reason.replace("--set", "Further settings:")


def _usual(option: Option) -> str | list[str]:
    """What its widget shows when nothing was chosen."""
    if not option.choices:
        return " ".join(option.usual)
    return list(option.usual) if option.several else option.usual[0]


def _switch() -> None:
    """Take over what was chosen for another protocol where this one has it, too; the rest is as it usually is."""
    earlier = {option.name: option for option in PROTOCOLS[st.session_state[_DRAWN]].options}
    for option in PROTOCOLS[st.session_state[_PROTOCOL]].options:
        chosen = st.session_state.get(option.name)
        if option.name not in earlier or chosen is None:
            continue
        if option.several and option.choices:
            chosen = [one for one in chosen if one in option.choices]
        elif option.choices and chosen not in option.choices:
            chosen = None
        was_usual = st.session_state[option.name] == _usual(earlier[option.name])
        st.session_state[option.name] = _usual(option) if was_usual or not chosen else chosen
