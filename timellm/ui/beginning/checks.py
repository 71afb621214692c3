"""What keeps a run from beginning as it is chosen, told before it starts in the words with which it would fail.

Inputs: the set-up form and its configuration. Outputs: sentences, and the size of the tables to pre-train on.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from timellm.config import DataConfig, RunConfig
from timellm.data.joined_settings import joint_config, without_windows
from timellm.errors import ConfigError, DataError, TimeLLMError
from timellm.forecasters.registry import REGISTRY, kind_of
from timellm.forecasters.start_rules import check_place, check_settings
from timellm.sizing.table import TableSize, joined
from timellm.ui import loaders
from timellm.ui.beginning.chosen import RUN, TABLES, begins_with, title_of
from timellm.ui.errors import without_server_paths
from timellm.ui.settings import Form

if TYPE_CHECKING:
    from timellm.data.table import Table
    from timellm.data.usable import WindowCounts


def missing(form: Form, config: RunConfig) -> list[str]:
    """Why a run cannot begin as it is chosen: what a run would fail with, before it is started."""
    if not REGISTRY[form.kind].trains:
        return []
    begin = begins_with(form)
    training = config.trained
    if begin == TABLES and not training.pretrain:
        return ["Choose a table to pre-train on, or begin with new weights"]
    if begin == RUN and not training.start_from:
        return ["Choose a run to start from, or begin with new weights"]
    try:
        if training.start_from:
            _check_run(config)
        for path in training.pretrain:
            _check_table(path, config)
    except TimeLLMError as error:
        return [without_server_paths(str(error))]
    return []


def _check_run(config: RunConfig) -> None:
    source = Path(config.trained.start_from)
    check_place(source)
    try:
        theirs = RunConfig.from_json((source / "config.json").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"the folder {source} holds no settings; name the folder of a finished run") from None
    check_settings(theirs, config, source.name, kind_of(config.kind).start_rules)


def _check_table(path: str, config: RunConfig) -> None:
    joint_config(config)
    try:
        _, counts = read_table(path, config)
        if why := without_windows(counts):
            raise DataError(why)
    except TimeLLMError as error:
        raise DataError(f"{title_of(path)}, a table of 'pretrain': {error}") from error


def read_table(path: str, config: RunConfig) -> tuple[Table, WindowCounts]:
    """A table to pre-train on, and its windows.

    Raises:
        DataError: it cannot be read.
        ConfigError: a setting of the run does not go with joined tables.
    """
    data = DataConfig(path=path)
    content = loaders.table(data)
    own = RunConfig.from_dict(joint_config(config).to_dict() | {"data": data.model_dump()})
    return content, loaders.window_counts(own, content)


def joined_size(config: RunConfig) -> TableSize:
    """The size of the tables that a run is pre-trained on, together.

    Raises:
        DataError: one of them cannot be read.
    """
    paths = config.training.pretrain if config.training else ()
    read = [loaders.table(DataConfig(path=path)) for path in paths]
    return joined([TableSize(len(one.values), len(one.channels)) for one in read], gap=config.task.horizon)
