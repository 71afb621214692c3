"""What pages read, read once: the store, and tables with what is known about them.

Cached objects are frozen and shared between sessions; a page must not change the frames in them. A table is read again
when its file changes. Heavy modules are imported where they are needed, so that the first page paints at once. The
argument `stamp` is there to be part of the cache's key, which leaves out arguments that begin with an underscore.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from timellm.config import DataConfig, RunConfig, TaskConfig
from timellm.jobs.store.run_store import Store
from timellm.workspace import workspace

if TYPE_CHECKING:
    from timellm.data.columns import ColumnRoles
    from timellm.data.repair.apply import Repaired
    from timellm.data.table import Table
    from timellm.data.usable import WindowCounts
    from timellm.quality.checks import Quality


@st.cache_resource(max_entries=4, show_spinner=False)
def _store(root: str) -> Store:
    return Store.open()


def store() -> Store:
    """The store of the workspace in force.

    Raises:
        JobError: it cannot be opened.
    """
    return _store(str(workspace().root))


def table(config: DataConfig) -> Table:
    """The table that a configuration describes.

    Raises:
        DataError: it cannot be used.
    """
    reading = config.model_copy(update={"description": ""})
    return _table(reading.model_dump_json(), file_stamp(Path(config.path)))


@st.cache_resource(max_entries=6, show_spinner="Reading the table …")
def _table(config_json: str, stamp: tuple[int, int] | None) -> Table:
    from timellm.data.table import load_table

    return load_table(DataConfig.model_validate_json(config_json))


def before_grid(config: DataConfig) -> Repaired:
    """The records of a configuration's file, repaired, of which no regular table can be made yet.

    Raises:
        DataError, ConfigError: they cannot be read or repaired.
    """
    reading = config.model_copy(update={"description": ""})
    return _before_grid(reading.model_dump_json(), file_stamp(Path(config.path)))


@st.cache_resource(max_entries=4, show_spinner="Reading the table …")
def _before_grid(config_json: str, stamp: tuple[int, int] | None) -> Repaired:
    from timellm.data.table import load_entries

    return load_entries(DataConfig.model_validate_json(config_json))


def window_counts(config: RunConfig, content: Table) -> WindowCounts:
    """How many windows a run of `config` on its table would have; counted once for the settings that decide it."""
    reading = config.data.model_dump_json(exclude={"description"})
    decides = f"{config.task.model_dump_json()} {config.forecaster.model_dump_json(include={'patch_length', 'stride'})}"
    return _window_counts(config, content, f"{reading} {decides}", file_stamp(Path(config.data.path)))


@st.cache_resource(max_entries=128, show_spinner="Counting windows …")
def _window_counts(_config: RunConfig, _table: Table, key: str, stamp: tuple[int, int] | None) -> WindowCounts:
    from timellm.data.usable import count_windows

    return count_windows(_table, _config)


def quality(config: DataConfig, content: Table, task: TaskConfig, *, filled: bool) -> Quality:
    """What the checks find in a table, for this context, horizon and split; checked once for each."""
    reading = config.model_dump_json(exclude={"description"})
    return _quality(content, task, filled, f"{reading} {task.model_dump_json()}", file_stamp(Path(config.path)))


@st.cache_resource(max_entries=32, show_spinner="Checking the table …")
def _quality(_table: Table, _task: TaskConfig, filled: bool, key: str, stamp: tuple[int, int] | None) -> Quality:
    from timellm.quality.checks import check

    return check(_table, _task, filled=filled)


def columns(config: DataConfig) -> ColumnRoles:
    """What the columns of a configuration's file could mean, whatever roles it gives them.

    Raises:
        DataError: it cannot be read as a table at all.
    """
    from timellm.data.columns import WRITTEN

    reading = DataConfig(path=config.path, **{name: getattr(config, name) for name in WRITTEN})
    return _columns(reading.model_dump_json(), file_stamp(Path(config.path)))


@st.cache_resource(max_entries=6, show_spinner="Reading the columns …")
def _columns(config_json: str, stamp: tuple[int, int] | None) -> ColumnRoles:
    from timellm.data.columns import suggest_columns

    return suggest_columns(DataConfig.model_validate_json(config_json))


def file_stamp(file: Path) -> tuple[int, int] | None:
    """What changes when a file is written: for the key of a cache. None if it is not there."""
    return (file.stat().st_mtime_ns, file.stat().st_size) if file.is_file() else None


def backbone_ready(name: str) -> bool:
    """Whether a backbone loads without fetching anything; looked up anew every half minute."""
    return _backbone_ready(name)


@st.cache_data(ttl=30, max_entries=64, show_spinner=False)
def _backbone_ready(name: str) -> bool:
    from timellm.forecasters.time_llm.catalog import is_ready

    try:
        return is_ready(name)
    except ValueError:  # half a name, or a folder that is not there: no hub id can look like this
        return False
