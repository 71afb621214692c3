"""The set-up form, filled with a run's settings, so that they can be changed and run again.

Enters: a run. Leaves: the form's choices in session state, the table's corrected roles, and the id of its table.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from timellm.config import DataConfig
from timellm.data.uploads import table_path
from timellm.errors import DataError
from timellm.jobs.run import Run
from timellm.ui import keys, setup, tables
from timellm.ui.settings import Form

_ROLES = ("layout", "time_column", "id_column", "value_column", "frequency", "description")


def fill_form(run: Run) -> str:
    """Fill the form of the run's table with the run's settings; the table's id.

    Raises:
        ConfigError: the settings were written by another version.
        DataError: the table is not here any more.
    """
    config = run.config
    table_id = _table_of(config.data)
    usual = DataConfig(path=config.data.path)
    corrected = {name: getattr(config.data, name) for name in _ROLES}
    keys.choose("table", table_id)
    keys.choose_roles({name: value for name, value in corrected.items() if value != getattr(usual, name)})
    settings = config.model.model_dump() | config.training.model_dump()
    settings |= {"split": config.data.split, "missing": config.data.missing, "channels": list(config.data.channels)}
    setup.put(Form(table_id, config), settings)
    # The code of a backbone was trusted for this one; the form withdraws that when another one is chosen.
    st.session_state[keys.setting(table_id, "trusted-backbone")] = config.model.backbone
    return table_id


def _table_of(data: DataConfig) -> str:
    for table_id in tables.titles():
        if table_path(table_id).resolve() == Path(data.path):
            return table_id
    raise DataError(f"the table {data.path} is not among the tables here; bring it in on the data page first")
