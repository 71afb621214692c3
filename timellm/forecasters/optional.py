"""What forecasters with optional packages share: their settings, and packages that are found or said to be missing."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TypeVar

from timellm.config import ForecasterConfig, RunConfig
from timellm.errors import ConfigError

S = TypeVar("S", bound=ForecasterConfig)


def settings_of(config: RunConfig, section: type[S]) -> S:
    """The settings of a forecaster, whose configuration it must be."""
    found: ForecasterConfig = config.forecaster
    assert isinstance(found, section), f"the configuration is of '{config.kind}'"
    return found


def import_optional(module: str, *, title: str, install: str) -> ModuleType:
    """Import `module`, which the forecaster called `title` needs and the command `install` brings.

    Raises:
        ConfigError: the module, or one that it imports, is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"{title} needs the package {module.partition('.')[0]}, which cannot be imported here ({reason}); install"
            f" it with: {install}"
        ) from error
