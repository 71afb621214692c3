"""The set-up form of each table, kept on the server, so that a reload or a later visit finds it as it was.

Inputs: the form's choices in session state. Outputs: a small file for each table, with what differs from the defaults.
A draft is nobody's secret and nothing is started from it: consent to run a backbone's code is never kept, and a value
that the form does not offer any more is left out.
"""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import annotated_types
import streamlit as st

from timellm.config import field_of
from timellm.forecasters.registry import OFFERED
from timellm.forecasters.time_llm.catalog import find
from timellm.jobs.cluster.runs import MOST_WORKERS
from timellm.json_text import read_json
from timellm.presets import PRESETS
from timellm.ui import keys, setup
from timellm.ui.beginning import chosen as beginning
from timellm.ui.settings import GROUPS, Form, advanced
from timellm.workspace import workspace, write_whole

if TYPE_CHECKING:
    from timellm.data.table import Table

_BOUNDS = ("lower_bound", "upper_bound")
_SETTINGS = ("horizon", "context", "layers", "quantization", "steps", *_BOUNDS, *sum(map(advanced, GROUPS), ()))
_KEPT = tuple(name for name in _SETTINGS if name != "trust_remote_code")
_OTHERS = (
    "kind",
    "channels",
    "catalogue",
    "other-backbone",
    "limit",
    "minutes",
    "name",
    "where",
    "workers",
    "preset",
    *beginning.USUAL,
)
_USUAL = {
    "kind": "time_llm",
    "limit": "Steps",
    "where": "This machine",
    "workers": 1,
    "preset": PRESETS[0].name,
    "minutes": 5.0,
} | beginning.USUAL
_MOST_BYTES = 2**20
_MOST_TABLES, _MOST_STEPS = 1000, 10_000_000
_LETTERS = 400  # of a name or a path; nothing longer is typed


def restore(form: Form, table: Table) -> None:
    """Fill the form with its draft, once in a session; a form that was filled from a run is left as it is."""
    if st.session_state.get(_key(form.table_id)) is not None:
        return
    kept = _read(form.table_id)
    usable = {name: value for name, value in kept.items() if name != "face" and _offered(name, value, table)}
    chosen = find(usable.get("catalogue", form.defaults.model.backbone))
    if chosen is not None and usable.get("layers", 1) > chosen.layers:
        del usable["layers"]
    for name, value in usable.items():
        st.session_state.setdefault(keys.setting(form.table_id, name), value)
    st.session_state[_key(form.table_id)] = kept


def restore_face(table_id: str) -> None:
    """Show the face of the form that was chosen last for this table, once in a session; an address decides first."""
    name = keys.in_address("face")["key"]
    if st.session_state.get(_key(table_id)) is not None or name in st.session_state or name in st.query_params:
        return
    if _read(table_id).get("face") == keys.FACES[1]:
        st.session_state[name] = keys.FACES[1]


def filled(table_id: str) -> None:
    """The form was filled with a run's settings, so its draft is not put over them."""
    st.session_state[_key(table_id)] = {}


def keep(form: Form) -> None:
    """Write down what differs from the defaults, if that has changed; and offer to undo all of it."""
    now = _choices(form)
    if now != st.session_state.get(_key(form.table_id)):
        text = json.dumps({"table": form.table_id, "choices": now}, indent=1)
        try:
            write_whole(_file(form.table_id), lambda path: path.write_text(text, encoding="utf-8"))
        except OSError as error:
            st.caption(f":material/warning: These choices are lost when the page is closed: {error.strerror}.")
        st.session_state[_key(form.table_id)] = now
    if now.keys() - {"face"}:
        st.button(
            "Reset to defaults", type="tertiary", icon=":material/restart_alt:", on_click=_reset, args=(form,),
            help="What you chose for this table is kept, also when the page is closed. This undoes all of it.",
        )  # fmt: skip


def _reset(form: Form) -> None:
    usual = form.defaults.settings()
    settings = {name: usual[name] for name in (*_SETTINGS, "backbone")} | {"channels": []}
    setup.put(
        form, settings | {"name": ""} | {name: _USUAL[name] for name in ("kind", "where", "workers", *beginning.USUAL)}
    )
    st.session_state[keys.setting(form.table_id, "preset")] = PRESETS[0].name


def _choices(form: Form) -> dict[str, Any]:
    """What differs from the defaults, as JSON has it."""
    found, defaults = {}, form.defaults.settings()
    for name in (*_KEPT, *_OTHERS):
        value = st.session_state.get(keys.setting(form.table_id, name))
        usual = defaults[name] if name in _KEPT else _USUAL.get(name)
        if name == "catalogue":
            usual = defaults["backbone"]
        if value not in (None, "", [], usual):
            found[name] = value
    if st.session_state.get(keys.in_address("face")["key"]) == keys.FACES[1]:
        found["face"] = keys.FACES[1]
    return found


def _offered(name: str, value: Any, table: Table) -> bool:
    """Whether a widget of the form can show the value; a file may have been changed by hand."""
    if name in _KEPT:
        return _allowed(name, value)
    if name == "channels":
        return isinstance(value, list) and set(map(str, value)) <= set(table.channels)
    if name == "catalogue":
        return value == setup.OTHER or (isinstance(value, str) and find(value) is not None)
    if name == "minutes":
        return _is_number(value) and 0.1 <= value <= 10_000
    if name == beginning.BEGIN_TABLES:  # one that is gone is said to be
        return isinstance(value, list) and len(value) <= _MOST_TABLES and all(map(_is_text, value))
    if name == beginning.BEGIN_STEPS:
        return isinstance(value, int) and 1 <= value <= _MOST_STEPS
    if name == "workers":
        return isinstance(value, int) and 1 <= value <= MOST_WORKERS
    choices: dict[str, tuple] = {
        "kind": tuple(OFFERED),
        "limit": ("Minutes",),
        "where": ("Cluster",),
        "preset": tuple(one.name for one in PRESETS),
        beginning.BEGIN: beginning.CHOICES,
    }
    return value in choices[name] if name in choices else name in _OTHERS and _is_text(value)


def _allowed(name: str, value: Any) -> bool:
    field = field_of(name)
    if name in _BOUNDS:
        return _is_number(value)
    if get_origin(field.annotation) is Literal:
        return value in get_args(field.annotation)
    if field.annotation is bool:
        return isinstance(value, bool)
    if get_origin(field.annotation) is tuple:
        return isinstance(value, list) and all(_is_number(one) and 0 < one < 1 for one in value)
    if field.annotation not in (int, float):
        return _is_text(value)
    least = [rule.ge for rule in field.metadata if isinstance(rule, annotated_types.Ge)]
    most = [rule.le for rule in field.metadata if isinstance(rule, annotated_types.Le)]
    whole = isinstance(value, int) or field.annotation is float
    return _is_number(value) and whole and all(value >= one for one in least) and all(value <= one for one in most)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _LETTERS


def _read(table_id: str) -> dict[str, Any]:
    try:
        found = read_json(_file(table_id), most_bytes=_MOST_BYTES)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        st.caption(":material/warning: What was chosen for this table before cannot be read; these are the defaults.")
        return {}
    choices = found.get("choices") if isinstance(found, dict) else None
    return choices if isinstance(choices, dict) else {}


def _file(table_id: str) -> Path:
    # An id may have signs that a file's name cannot have.
    return workspace().drafts / f"{hashlib.sha256(table_id.encode()).hexdigest()[:24]}.json"


def _key(table_id: str) -> str:
    return keys.setting(table_id, "draft")
