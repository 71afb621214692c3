"""The choices of what a training begins with: how session state has them, and the settings that they stand for.

Inputs: the set-up form of a table, or settings of a run. Outputs: choices, paths. Session state has ids of tables and
of a run; what is not here any more stands there by its path, so that the form can say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from timellm.data.uploads import table_path, table_title
from timellm.errors import DataError, JobError
from timellm.jobs.store.run import RUN_ID
from timellm.ui import keys, loaders, tables
from timellm.ui.settings import Form

NEW, TABLES, RUN = "New weights", "Other tables", "A run"
CHOICES = (NEW, TABLES, RUN)
BEGIN, BEGIN_TABLES, BEGIN_STEPS, BEGIN_RUN = "begin", "begin-tables", "begin-steps", "begin-run"
USUAL: dict[str, Any] = {BEGIN: NEW, BEGIN_TABLES: [], BEGIN_STEPS: None, BEGIN_RUN: None}
"""What session state has for each form, and its usual values."""

DECIDED: tuple[str, ...] = ("start_from", "pretrain", "pretrain_steps")
"""The settings that they stand for."""


def key_of(form: Form, name: str) -> str:
    """Where session state has a choice."""
    return keys.setting(form.table_id, name)


def begins_with(form: Form) -> str:
    """One of `CHOICES`."""
    return st.session_state.get(key_of(form, BEGIN), NEW)


def paths(form: Form) -> tuple[str, ...]:
    """The chosen tables by their paths; one that is gone by where it was."""
    return tuple(map(path_of, st.session_state.get(key_of(form, BEGIN_TABLES), [])))


def path_of(table_id: str) -> str:
    """The file of a table's id, which may be the path itself of one that is not here."""
    try:
        return str(table_path(table_id))
    except DataError:
        return table_id


def run_of(form: Form) -> str | None:
    """The id of the chosen run, or a folder; None where nothing is chosen that is one of them."""
    key = key_of(form, BEGIN_RUN)
    chosen = st.session_state.get(key)
    if chosen is not None and not (RUN_ID.fullmatch(chosen) or Path(chosen).is_absolute()):  # a name that was changed
        chosen = st.session_state[key] = None
    return chosen


def title_of(path: str) -> str:
    """The title of a table by its file: as lists of tables have it, if it is here."""
    table_id = next((one for one in tables.titles() if path_of(one) == path), None)
    return tables.title(table_id) if table_id else table_title(Path(path))


def folder_of(chosen: str | None) -> str:
    """The folder of a run by its id, or a folder as it was named."""
    if not chosen:
        return ""
    try:
        return str(loaders.store().get(chosen).run_dir.resolve())
    except JobError:
        return chosen


def as_chosen(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The choices of this form for the settings of a run, as session state has them."""
    here = {str(table_path(one).resolve()): one for one in tables.titles()}
    pretrain = [here.get(str(Path(path).resolve()), path) for path in settings.get("pretrain") or ()]
    start = settings.get("start_from") or None
    if start is not None and folder_of(Path(start).name) == str(Path(start).resolve()):
        start = Path(start).name
    return {
        BEGIN: TABLES if pretrain else RUN if start else NEW,
        BEGIN_TABLES: pretrain,
        BEGIN_STEPS: settings.get("pretrain_steps"),
        BEGIN_RUN: start,
    }
