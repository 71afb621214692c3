"""What every section of a configuration is: frozen, checked, and each setting says once what it affects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from timellm.errors import ConfigError

Affects = Literal["windows", "weights", "speed", "place"]
"""windows: which windows are cut and scored; weights: what is learned from them; speed: time and memory alone, the
result is the same but for rounding; place: where a run lies, works and reports."""


class Section(BaseModel):
    """Settings that belong together; unknown names and values out of range are refused."""

    # Frozen, because the same object is shown, stored and trained on; unknown names are refused, because a typo in
    # `--set learning_rat=1` must not train with the default.
    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False, validate_default=True
    )
    affects: ClassVar[Affects]
    """What the section's settings affect, unless a setting says otherwise."""

    def __init__(self, /, **settings: Any) -> None:
        try:
            super().__init__(**settings)
        except ValidationError as error:
            raise ConfigError(_one_line(error)) from None


class ForecasterConfig(Section):
    """Settings of one kind of forecaster."""

    affects = "weights"
    trains: ClassVar[bool] = False
    """Whether the kind learns step by step, and so has a training section."""
    usual_training: ClassVar[Mapping[str, Any]] = {}
    """Training settings that suit this kind better than the usual ones."""

    kind: str


def setting(
    default: Any = ...,
    *,
    affects: Affects | None = None,
    title: str | None = None,
    multiline: bool = False,
    **limits: Any,
) -> Any:
    """A setting of a section; `affects` where it differs from its section, `title` where its name is no good label.

    A `multiline` text is written in several lines.
    """
    extra: dict[str, Any] = ({"affects": affects} if affects else {}) | ({"multiline": True} if multiline else {})
    return Field(default, title=title, json_schema_extra=extra or None, **limits)


def is_multiline(field: FieldInfo) -> bool:
    """Whether a setting is a text of several lines."""
    return isinstance(field.json_schema_extra, dict) and bool(field.json_schema_extra.get("multiline"))


def affected_by(section: type[Section], name: str) -> Affects:
    """What a section's setting affects."""
    extra = section.model_fields[name].json_schema_extra
    return extra.get("affects", section.affects) if isinstance(extra, dict) else section.affects  # type: ignore[return-value]


def label(name: str, field: FieldInfo) -> str:
    """A setting's name in words."""
    return field.title or name.replace("_", " ").capitalize()


def _one_line(error: ValidationError) -> str:
    """Say every problem as `setting 'x' is 'v': why`, in one line."""
    problems = []
    for item in error.errors(include_url=False):
        name = ".".join(str(part) for part in item["loc"])
        reason = item["msg"].removeprefix("Value error, ")
        if not name:  # a rule over several settings, which names them itself
            problems.append(reason)
            continue
        found = "" if item["type"] in ("missing", "extra_forbidden") else f" is {item['input']!r}"
        problems.append(f"setting '{name}'{found}: {reason}")
    return "; ".join(problems)
