"""The set-up form: one widget for each setting of `RunConfig`, made from the setting's own type, limits and help.

Choices are kept in session state by table, so that they survive page switches. `gathered` turns them into a validated
configuration; a setting whose widget is not on the page keeps what it was set to, or its default.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, get_args, get_origin

import annotated_types
import streamlit as st

from timellm.config import (
    RunConfig,
    field_of,
    section_of,
    sections,
    setting_help,
)
from timellm.config import setting_label as label
from timellm.config.section import is_multiline
from timellm.jobs.store.comparison import shown_value
from timellm.ui import keys
from timellm.ui.words import QUANTIZATION

_IN_PLAIN_SIGHT = ("context", "horizon", "kind", "backbone", "layers", "quantization", "steps", "minutes")
"""Settings that each step of the form shows; its other settings are behind 'All settings of this step'."""
_NOT_OFFERED = ("deepspeed", "training_side", "start_from", "pretrain")
"""A page starts one process, has no widget for training_rows, and has an expander of its own for where training begins
(timellm.ui.beginning)."""
_SHOWN_ALWAYS = {"time_llm": _IN_PLAIN_SIGHT}  # other kinds show their few settings among all settings of the step
GROUPS = {"Data": "task", "Model": "forecaster", "Training": "training"}


def advanced(group: str, kind: str = "time_llm") -> tuple[str, ...]:
    """Settings of a group that stand behind 'All settings of this step'."""
    in_sight = _SHOWN_ALWAYS.get(kind, ("context", "horizon", "kind", "steps", "minutes"))
    fields = sections(kind).get(GROUPS[group])
    named = fields.model_fields if fields else {}
    # A number that may be left open has no widget; it is found in the data, and --set changes it.
    widgets = {name for name, field in named.items() if type(None) not in get_args(field.annotation)}
    return tuple(name for name in named if name in widgets and name not in (*in_sight, *_NOT_OFFERED))


_FLOAT_STEPS = {"learning_rate": 0.0005, "dropout": 0.05, "clip_norm": 0.1}
_LEVELS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.975, 0.99)
"""Levels of quantiles that are offered; --set takes any."""
_ROOM_SIDE_BY_SIDE, _EDGES = 20, 2  # letters of all choices together, and of each one's edges: more are cut off


@dataclass(frozen=True)
class Form:
    """The set-up form of one table; `defaults` are the settings suggested for it."""

    table_id: str
    defaults: RunConfig

    @property
    def kind(self) -> str:
        """The forecaster that is chosen."""
        return st.session_state.get(keys.setting(self.table_id, "kind"), self.defaults.kind)

    @property
    def usual(self) -> RunConfig:
        """The settings suggested for the chosen forecaster."""
        return self.defaults if self.kind == self.defaults.kind else _of_kind(self.defaults, self.kind)

    def has(self, name: str) -> bool:
        """Whether the chosen forecaster has a setting."""
        return any(name in fields.model_fields for fields in sections(self.kind).values())

    def default(self, name: str) -> Any:
        """What a setting is when nobody changes it."""
        return getattr(getattr(self.usual, section_of(name, self.kind)), name)

    def key(self, name: str) -> str:
        """Where session state has a setting: two kinds may have settings of one name."""
        shared = self.kind == "time_llm" or section_of(name, self.kind) in ("data", "task")
        return keys.setting(self.table_id, name if shared else f"{self.kind}/{name}")

    def value(self, name: str) -> Any:
        """What a setting is now."""
        return st.session_state.get(self.key(name), self.default(name))

    def widget(self, name: str, **options: Any) -> Any:
        """Draw the widget of a setting and return its value; `options` go to the widget (max_value, label ...)."""
        field = field_of(name, self.kind)
        key, usual = self.key(name), self.default(name)
        common = {
            "label": options.pop("label", label(name, self.kind)),
            "key": key,
            "help": setting_help(name, self.kind),
            "persist_state": "session",
        }
        # A widget whose value was put into session state (by a preset) has no other default beside it.
        put = key in st.session_state
        if get_origin(field.annotation) is Literal:
            choices = list(get_args(field.annotation))
            words = QUANTIZATION if name == "quantization" else {}
            common |= {"format_func": lambda choice: words.get(choice, choice)} | options
            if sum(len(words.get(choice, choice)) + _EDGES for choice in choices) <= _ROOM_SIDE_BY_SIDE:
                return st.segmented_control(
                    options=choices, default=None if put else usual, required=True, width="stretch", **common
                )
            return st.selectbox(options=choices, index=0 if put else choices.index(usual), **common)
        if get_origin(field.annotation) is tuple:  # of numbers: the only such setting of a form is 'quantiles'
            offered = sorted({*_LEVELS, *usual, *st.session_state.get(key, ())})
            start = {} if put else {"default": list(usual)}
            common |= {"options": offered, "format_func": lambda level: f"{100 * level:g} %"}
            return st.multiselect(**start | common | {"placeholder": "None"} | options)
        start = {} if put else {"value": usual}
        if field.annotation is bool:
            return st.toggle(**start | common | options)
        if field.annotation in (int, float):
            return st.number_input(**start | _limits(name, self.kind) | common | options)
        text = st.text_area if is_multiline(field) else st.text_input
        return text(**start | common | options)

    def gathered(self, **settings: Any) -> RunConfig:
        """The configuration as the form stands; `settings` given here override the form's.

        Raises:
            ConfigError: a value is not allowed, or two contradict each other.
        """
        names = [name for fields in sections(self.kind).values() for name in fields.model_fields if name != "kind"]
        return self.usual.updated(**{name: self.value(name) for name in names} | settings)


@lru_cache(maxsize=64)
def _of_kind(config: RunConfig, kind: str) -> RunConfig:
    """Asked for by each widget of the form, and each time the whole configuration would be checked."""
    return config.updated(kind=kind)


def _limits(name: str, kind: str) -> dict[str, Any]:
    field = field_of(name, kind)
    whole = field.annotation is int
    limits: dict[str, Any] = {"step": 1} if whole else {"step": _FLOAT_STEPS.get(name, 0.01), "format": "%g"}
    number: Callable[[Any], float] = int if whole else float
    for rule in field.metadata:
        if isinstance(rule, annotated_types.Ge):
            limits["min_value"] = number(rule.ge)
        elif isinstance(rule, annotated_types.Le):
            limits["max_value"] = number(rule.le)
    return limits


def shown(name: str, value: Any) -> str:
    """A setting's value as text."""
    if name == "quantization":
        return QUANTIZATION.get(value, "–")  # a kind without a language model has none
    if name in ("path", "backbone", "members", "pretrain", "start_from") and value:
        return shown_value(name, value)
    if value is None or value in ((), [], ""):
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)


def as_file(config: RunConfig) -> str:
    """A run's settings as JSON for `fit --config`, which is given the table; of files and folders only the name."""
    changes: dict[str, Any] = {"path": shown_value("path", config.data.path) + ".csv"}
    if config.training is not None:
        changes["pretrain"] = tuple(shown_value("path", one) + ".csv" for one in config.training.pretrain)
        changes["start_from"] = shown_value("start_from", config.training.start_from)
    return config.updated(**changes).to_json()


def differences(config: RunConfig) -> list[dict[str, str]]:
    """Settings in which a run differs from its forecaster's defaults, as table rows.

    The table's path and text are no settings.
    """
    changed = config.differences(RunConfig.create(config.data.path, kind=config.kind))
    return [
        {"Setting": label(name, config.kind), "This run": shown(name, mine), "Default": shown(name, usual)}
        for name, (mine, usual) in changed.items()
        if name not in ("path", "description")
    ]
