"""What a training begins with, in the set-up form: new weights, other tables, or a finished run.

Inputs: the form, and its settings so far. Outputs: the settings `pretrain`, `pretrain_steps` and `start_from`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from timellm.errors import ConfigError
from timellm.forecasters.registry import REGISTRY
from timellm.ui.beginning import other_run, other_tables
from timellm.ui.beginning.chosen import BEGIN, CHOICES, NEW, TABLES, begins_with, key_of, paths
from timellm.ui.settings import Form
from timellm.ui.words import plain


def choose(form: Form, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Ask what training begins with; `settings` are those that the form has so far."""
    if not REGISTRY[form.kind].trains:
        return {}
    key = key_of(form, BEGIN)
    with st.expander(
        "Start from other data or another run",
        icon=":material/start:",
        expanded=begins_with(form) != NEW,
    ):
        begin = st.segmented_control(
            "Training begins with",
            CHOICES,
            default=None if key in st.session_state else NEW,
            required=True,
            width="stretch",
            key=key,
            persist_state="session",
        )
        if begin == NEW:
            st.caption("The adapters begin at random and learn from this table alone.")
            return _nothing()
        try:
            config = form.gathered(**settings, **_nothing())
        except ConfigError as error:
            st.caption(f":material/block: {plain(str(error))}.")
            return _nothing() | {"pretrain": paths(form)} if begin == TABLES else _nothing()
        return _nothing() | (other_tables.choose(form, config) if begin == TABLES else other_run.choose(form, config))


def _nothing() -> dict[str, Any]:
    return {"start_from": "", "pretrain": (), "pretrain_steps": None}
