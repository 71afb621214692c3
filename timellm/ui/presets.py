"""The preset of a set-up form: which is in force, what was changed since, and choosing another or the same again."""

from __future__ import annotations

import streamlit as st

from timellm.config import RunConfig
from timellm.presets import PRESETS, Preset, find_preset
from timellm.ui import keys, setup
from timellm.ui.settings import Form, label, shown


def current(form: Form) -> Preset:
    """The preset chosen last for this table; the defaults' own when none was."""
    return find_preset(st.session_state.get(_key(form), PRESETS[0].name))


def changes(form: Form, config: RunConfig) -> list[dict[str, str]]:
    """Settings that choosing the preset again would undo, as table rows."""
    preset = current(form)
    changed = config.differences(preset.over(form.defaults))
    if "minutes" in changed:  # a time budget lifts the limit on steps; that is one change, not two
        changed.pop("steps", None)
    return [
        {"Setting": label(name), "This run": shown(name, mine), "Preset": shown(name, usual)}
        for name, (mine, usual) in changed.items()
        if name in preset.governed
    ]


def picker(form: Form, config: RunConfig | None) -> None:
    """The preset in force with the number of changes; opens to all of them. `config` is None while it is invalid."""
    preset = current(form)
    changed = changes(form, config) if config is not None else []
    state = f"Preset: {preset.title}" + (f", {len(changed)} changed" if changed else "")
    with st.popover(state, icon=":material/tune:", width="stretch", key=keys.view("finetune", "presets")):
        st.caption(
            "A preset sets everything but data, holidays, dated notes, horizon, seed, device, and what training begins"
            " with. Choosing it again undoes your changes."
        )
        for one in PRESETS:
            st.button(
                one.title,
                key=keys.view("finetune", f"preset/{one.name}"),
                on_click=_choose,
                args=(form, one),
                icon=":material/check:" if one is preset else None,
                width="stretch",
            )
            st.caption(one.purpose)
    if changed:
        st.dataframe(changed, hide_index=True, height="content")


def _choose(form: Form, preset: Preset) -> None:
    settings = preset.over(form.defaults).settings()
    setup.put(form, {name: settings[name] for name in preset.governed})
    st.session_state[_key(form)] = preset.name


def _key(form: Form) -> str:
    return keys.setting(form.table_id, "preset")
