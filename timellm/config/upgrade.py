"""Configurations of earlier versions in today's form.

Version 1 (it wrote no number) knew Time-LLM alone: split and missing lay in `data`, context and horizon in `model`.
Version 2 had no linear path; its prototypes started as the paper's map, and its attention compared by dot products.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from timellm.errors import ConfigError

VERSION: Literal[3] = 3
_OF_VERSION_2 = {"prototype_start": "map", "attention_scores": "dot", "linear_path": "none"}
_TO_TASK = {"data": ("split", "missing"), "model": ("context", "horizon")}


def upgrade(tree: Mapping[str, Any]) -> dict[str, Any]:
    """The tree in today's form; one of today is returned as it is.

    Raises:
        ConfigError: a later version wrote it.
    """
    version = tree.get("version", VERSION if _is_of_today(tree) else 1)
    if version == 1:
        return _from_2(_from_1({name: value for name, value in tree.items() if name != "version"}))
    if version == 2:
        return _from_2({name: value for name, value in tree.items() if name != "version"})
    if version != VERSION:
        raise ConfigError(
            f"the configuration is of version {version!r}, and this program reads versions up to {VERSION}; update it"
        )
    return dict(tree)


def _is_of_today(tree: Mapping[str, Any]) -> bool:
    """A tree that a person writes has no number: today's sections tell it from an earlier one."""
    earlier = {name for section, names in _TO_TASK.items() for name in names if name in _section(tree, section)}
    return "model" not in tree and not earlier


def _section(tree: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = tree.get(name)
    return section if isinstance(section, Mapping) else {}


def _from_1(tree: dict[str, Any]) -> dict[str, Any]:
    for name in ("task", "forecaster"):
        if name in tree:
            raise ConfigError(
                f"the configuration has the section '{name}' beside settings of an earlier version (model, or split and"
                ' missing in data); move them to task and forecaster, and write "version": 2'
            )
    task: dict[str, Any] = {}
    for section, names in _TO_TASK.items():
        if not isinstance(tree.get(section, {}), Mapping):
            continue  # refused later, by its name
        kept = dict(_section(tree, section))
        task |= {name: kept.pop(name) for name in names if name in kept}
        if section in tree:
            tree[section] = kept
    if isinstance(tree.get("model", {}), Mapping):
        tree["forecaster"] = {"kind": "time_llm", **tree.pop("model", {})}
    tree.setdefault("training", {})
    return tree | {"task": task}


def _from_2(tree: dict[str, Any]) -> dict[str, Any]:
    """What later versions do otherwise by default stays as it was for the networks of this one."""
    forecaster = tree.get("forecaster", {})
    if isinstance(forecaster, Mapping) and forecaster.get("kind", "time_llm") == "time_llm":
        tree["forecaster"] = _OF_VERSION_2 | dict(forecaster)
    return tree
