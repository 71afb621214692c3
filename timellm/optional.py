"""Packages that only some settings or forecasters need: found, or one line on how to install them."""

from __future__ import annotations

import importlib
from types import ModuleType

from timellm.errors import ConfigError


def import_optional(module: str, *, title: str, install: str) -> ModuleType:
    """Import `module`, which what is called `title` needs and the command `install` brings.

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
