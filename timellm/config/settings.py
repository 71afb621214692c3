"""Settings by their names alone, as `--set` and the pages use them: section, label, help, and what they affect."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo

from timellm.config.forecasters import KINDS
from timellm.config.section import Affects, ForecasterConfig, Section, affected_by
from timellm.config.section import label as label_of
from timellm.config.table import DataConfig, TaskConfig
from timellm.config.training import TrainingConfig
from timellm.errors import ConfigError


def kind_section(kind: str) -> type[ForecasterConfig]:
    """The section of a kind of forecaster.

    Raises:
        ConfigError: there is no such kind; the message lists them.
    """
    if kind not in KINDS:
        raise ConfigError(f"there is no forecaster '{kind}'; there are: {', '.join(KINDS)}")
    return KINDS[kind]


def sections(kind: str = "time_llm") -> dict[str, type[Section]]:
    """The sections of a configuration with this kind of forecaster, by their names."""
    own = kind_section(kind)
    found: dict[str, type[Section]] = {"data": DataConfig, "task": TaskConfig, "forecaster": own}
    return found | ({"training": TrainingConfig} if own.trains else {})


def section_of(name: str, kind: str = "time_llm") -> str:
    """The section that holds setting `name`.

    Raises:
        ConfigError: no section does; the message names the closest spelling, or the kind that has it.
    """
    for section, fields in sections(kind).items():
        if name in fields.model_fields:
            return section
    others = [other for other in KINDS if any(name in fields.model_fields for fields in sections(other).values())]
    if others:
        raise ConfigError(f"the forecaster '{kind}' has no setting '{name}'; it is one of: {', '.join(others)}")
    known = [field for fields in sections(kind).values() for field in fields.model_fields]
    close = get_close_matches(name, known, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else f"; known settings: {', '.join(known)}"
    raise ConfigError(f"there is no setting '{name}'{hint}")


def field_of(name: str, kind: str = "time_llm") -> FieldInfo:
    """The definition of a setting: type, default, limits.

    Raises:
        ConfigError: there is no such setting.
    """
    return sections(kind)[section_of(name, kind)].model_fields[name]


def names_affecting(*affects: Affects, section: str, kind: str = "time_llm") -> tuple[str, ...]:
    """Settings of a section that affect any of `affects`, in their order."""
    fields = sections(kind)[section]
    return tuple(name for name in fields.model_fields if name != "kind" and affected_by(fields, name) in affects)


def parse_setting(text: str, kind: str = "time_llm") -> tuple[str, Any]:
    """Split `key=value` from a command line; the value's type is the setting's own.

    Raises:
        ConfigError: there is no `=`, no such setting, or it is the table, which has an argument of its own.
    """
    name, equals, value = text.partition("=")
    name = name.strip().replace("-", "_")
    if not equals:
        raise ConfigError(f"'{text}' is not key=value")
    section_of(name, kind)
    if name == "path":
        raise ConfigError("the table is no setting of --set; name its file as the argument DATA.csv")
    if name == "kind":
        raise ConfigError("the forecaster is no setting of --set; choose it with --model")
    if get_origin(field_of(name, kind).annotation) is tuple:
        return name, tuple(part.strip() for part in value.split(",") if part.strip())
    may_be_none = type(None) in get_args(field_of(name, kind).annotation)
    return name, None if may_be_none and value.strip().lower() in ("none", "null", "") else value.strip()


def setting_help(name: str, kind: str = "time_llm") -> str:
    """One sentence on a setting, for a tooltip or `--help`.

    Raises:
        ConfigError: there is no such setting.
    """
    return field_of(name, kind).description or ""


def setting_label(name: str, kind: str = "time_llm") -> str:
    """A setting's name in words; a name that no setting has is written out."""
    for one in (kind, *KINDS):
        for fields in sections(one).values():
            if name in fields.model_fields:
                return label_of(name, fields.model_fields[name])
    return name.replace("_", " ").capitalize()
