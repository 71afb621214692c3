"""The set-up form, filled with a run's settings, so that they can be changed and run again.

Inputs: a run. Outputs: the form's choices in session state, the table's corrected roles, and the id of its table.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from timellm.config import DataConfig, RunConfig, TimeLLMConfig
from timellm.data.columns import WRITTEN
from timellm.data.uploads import table_path, table_title
from timellm.errors import DataError, JobError
from timellm.jobs.store import queue
from timellm.jobs.store.promise import Promise
from timellm.jobs.store.run import Run
from timellm.ui import draft, keys, setup, tables
from timellm.ui.errors import show_error
from timellm.ui.loaders import store
from timellm.ui.settings import Form

_EDITED = keys.view("finetune", "edited")
_ROLES = (
    *WRITTEN, "decimal", "date_order", "layout", "time_column", "time_of_day_column", "id_column", "value_column",
    "known_ahead", "known_file", "known_holidays", "past_only", "static_columns", "frequency", "repair", "description",
)  # fmt: skip


def fill_form(run: Run, *, waits: bool = False) -> str:
    """Fill the form of the run's table with the run's settings; the table's id.

    With `waits`, the form then changes this waiting run instead of starting another one.

    Raises:
        ConfigError: the settings were written by another version.
        DataError: the table is not here any more.
    """
    config = run.config
    table_id = _table_of(config.data)
    usual = DataConfig(path=config.data.path)
    corrected = {name: getattr(config.data, name) for name in _ROLES}
    if config.data.known_file:  # an address names an upload by its id
        corrected["known_file"] = Path(config.data.known_file).name
    keys.choose("table", table_id)
    keys.choose_roles({name: value for name, value in corrected.items() if value != getattr(usual, name)})
    own = {**config.task.model_dump(), **config.forecaster.model_dump()}
    own |= config.training.model_dump() if config.training else {}
    settings = own | {"channels": list(config.data.channels), "name": run.name if waits else ""}
    setup.put(Form(table_id, config), settings)
    draft.filled(table_id)
    # The code of a backbone was trusted for this one; the form withdraws that when another one is chosen.
    if isinstance(config.forecaster, TimeLLMConfig):
        st.session_state[keys.setting(table_id, "trusted-backbone")] = config.forecaster.backbone
    st.session_state[_EDITED] = (table_id, run.id) if waits else None
    return table_id


def edited_run(table_id: str) -> Run | None:
    """The waiting run that the table's form changes; None when it starts a run of its own."""
    edited_table, run_id = st.session_state.get(_EDITED) or (None, "")
    if edited_table != table_id:
        return None
    try:
        run = store().get(run_id)
    except JobError:  # deleted meanwhile
        run = None
    if run is None or run.state != "queued":  # it has begun, so nothing about it can be changed any more
        st.session_state[_EDITED] = None
        return None
    return run


def leave_as_it_is() -> None:
    """The form starts a run of its own again."""
    st.session_state[_EDITED] = None


def save(run: Run, config: RunConfig, name: str, promise: Promise | None) -> None:
    """Give the waiting run the form's settings and go back to it."""
    try:
        queue.edit(store().database, run.id, config, name=name, promise=promise)
    except JobError as error:
        show_error("The waiting run was not changed", str(error))
        return
    leave_as_it_is()
    keys.choose("run", run.id)
    st.switch_page("runs.py", query_params={"run": run.id})


def _table_of(data: DataConfig) -> str:
    for table_id in tables.titles():
        if table_path(table_id).resolve() == Path(data.path).resolve():
            return table_id
    raise DataError(
        f"the table '{table_title(Path(data.path))}' is not among the tables here; upload it on the Data page first"
    )
