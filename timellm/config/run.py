"""The run configuration: one frozen, validated tree that the page, the store, the worker and the checkpoint share.

A `RunConfig` is made of four sections: data, task, forecaster, and training where the kind of forecaster trains step by
step. Setting names are unique across the sections of a configuration, so `config.updated(layers=4, horizon=24)` and
`--set layers=4` need no section. The JSON written by `to_json` is the only form in which a configuration travels.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from timellm.config.forecasters import KINDS, AnyForecaster
from timellm.config.quantiles import QuantileConfig
from timellm.config.repair import filling
from timellm.config.section import Affects, Section, affected_by
from timellm.config.settings import kind_section, section_of
from timellm.config.table import DataConfig, TaskConfig
from timellm.config.time_llm import ModelConfig, TimeLLMConfig
from timellm.config.training import TrainingConfig
from timellm.config.upgrade import VERSION, upgrade
from timellm.errors import ConfigError
from timellm.json_text import parse_json

_MOST_BYTES = 8 * 2**20  # of a configuration as text, which may name many thousand channels


class RunConfig(Section):
    """Everything that decides a run's result."""

    affects = "weights"

    version: Literal[3] = VERSION
    data: DataConfig
    task: TaskConfig = Field(default_factory=TaskConfig)
    forecaster: AnyForecaster = Field(default_factory=TimeLLMConfig)
    training: TrainingConfig | None = None

    @model_validator(mode="before")
    @classmethod
    def _training_where_the_kind_trains(cls, tree: Any) -> Any:
        """A kind that trains has a training section, filled with what suits it; another kind has none."""
        if not isinstance(tree, dict):
            return tree
        forecaster = tree.get("forecaster") or {}
        kind = forecaster.get("kind", "time_llm") if isinstance(forecaster, Mapping) else forecaster.kind
        if kind not in KINDS:
            raise ConfigError(f"there is no forecaster '{kind}'; there are: {', '.join(KINDS)}")
        section = KINDS[kind]
        given = tree.get("training")
        if isinstance(forecaster, Mapping):
            tree = tree | {"forecaster": {"kind": kind, **forecaster}}
        if not section.trains:
            if given is not None:
                raise ConfigError(
                    f"'{kind}' does not train step by step, so it has no training settings; leave them out"
                )
            return tree
        if given is None or isinstance(given, Mapping):
            tree = tree | {"training": {**section.usual_training, **(given or {})}}
        return tree

    @model_validator(mode="after")
    def _patches_fit_the_context(self) -> Self:
        if isinstance(self.forecaster, TimeLLMConfig):
            _ = self.model  # checks the lengths against each other
        return self

    @model_validator(mode="after")
    def _gaps_are_treated_in_one_way(self) -> Self:
        if self.task.missing == "interpolate" and self.missing != "interpolate":
            raise ConfigError(
                "setting 'missing' is 'interpolate', and 'repair' fills gaps in another way; leave one of them out"
            )
        return self

    @model_validator(mode="after")
    def _what_is_known_ahead_begins_at_one_time(self) -> Self:
        if self.task.forecast_from == "series_end" and self.data.known_ahead:
            raise ConfigError(
                "setting 'forecast_from' is 'series_end', and columns known ahead are given for the rows after the"
                " table; leave 'forecast_from' or 'known_ahead' out"
            )
        return self

    @property
    def missing(self) -> str:
        """How gaps of a context are treated, as timellm.data.gaps knows it: the fill step decides before `missing`."""
        return filling(self.data.repair) or self.task.missing

    @property
    def kind(self) -> str:
        """Which forecaster it is."""
        return self.forecaster.kind

    @cached_property
    def model(self) -> ModelConfig:
        """Time-LLM's settings with the window lengths.

        Raises:
            ConfigError: the configuration is another forecaster's.
        """
        if not isinstance(self.forecaster, TimeLLMConfig):
            raise ConfigError(f"the forecaster is '{self.kind}', which has no language model")
        lengths = {"context": self.task.context, "horizon": self.task.horizon, "known_names": self.data.known_ahead}
        return ModelConfig(**{name: getattr(self.forecaster, name) for name in TimeLLMConfig.model_fields}, **lengths)

    @property
    def tells_known(self) -> bool:
        """Whether a prompt says what columns known ahead do."""
        forecaster = self.forecaster
        tells = isinstance(forecaster, TimeLLMConfig) and forecaster.has_prompt and forecaster.prompt_known
        return tells and bool(self.data.known_ahead)

    @property
    def quantiles(self) -> tuple[float, ...]:
        """Levels at which the forecaster gives quantiles of its own; empty where bands are made of errors alone."""
        return self.forecaster.quantiles if isinstance(self.forecaster, QuantileConfig) else ()

    @property
    def has_linear_map(self) -> bool:
        """Whether its forecast, or a part of it, is a linear map of the context."""
        forecaster = self.forecaster
        if isinstance(forecaster, TimeLLMConfig):
            return forecaster.linear_path != "none"
        return forecaster.kind in ("ridge", "dlinear")

    @property
    def trained(self) -> TrainingConfig:
        """The training settings.

        Raises:
            ConfigError: the forecaster does not train step by step.
        """
        if self.training is None:
            raise ConfigError(f"the forecaster is '{self.kind}', which does not train step by step")
        return self.training

    @property
    def device(self) -> Literal["auto", "cpu", "cuda"]:
        """Where it works."""
        return self.training.device if self.training else "cpu"

    @classmethod
    def create(cls, path: str | Path, **settings: Any) -> RunConfig:
        """Defaults for the table at `path` with some settings changed, named without their section.

        `kind` chooses the forecaster.

        Raises:
            ConfigError: a name is unknown or a value is not allowed.
        """
        return cls(data=DataConfig(path=str(path))).updated(**settings)

    def updated(self, **settings: Any) -> RunConfig:
        """The same configuration with some settings changed, named without their section.

        With another `kind`, table and task stay, and forecaster and training have that kind's usual settings.

        Raises:
            ConfigError: a name is unknown or a value is not allowed.
        """
        tree = self.to_dict()
        kind = settings.pop("kind", self.kind)
        if kind != self.kind:
            tree = {"data": tree["data"], "task": tree["task"], "forecaster": {"kind": kind}}
            if kind_section(kind).trains:
                tree["training"] = {}
        for name, value in settings.items():
            tree[section_of(name, kind)][name] = value
        return RunConfig.from_dict(tree)

    def settings(self) -> dict[str, Any]:
        """Every setting by its name, as plain values; `kind` is the forecaster's."""
        return {
            name: value
            for section in self.to_dict().values()
            if isinstance(section, dict)
            for name, value in section.items()
        }

    def differences(self, other: RunConfig) -> dict[str, tuple[Any, Any]]:
        """Settings in which two configurations differ: name -> (this value, other value); None where one has it not."""
        mine, theirs = self.settings(), other.settings()
        return {
            name: (mine.get(name), theirs.get(name))
            for name in {**mine, **theirs}
            if mine.get(name) != theirs.get(name)
        }

    def changes(self, other: RunConfig, *affects: Affects) -> dict[str, tuple[Any, Any]]:
        """Of the differences, those of settings that affect any of `affects`."""
        return {
            name: values
            for name, values in self.differences(other).items()
            if self._affected(name) in affects or other._affected(name) in affects
        }

    def affecting(self, *affects: Affects) -> dict[str, Any]:
        """Every setting that affects any of `affects`, by its name, as plain values."""
        return {name: value for name, value in self.settings().items() if self._affected(name) in affects}

    def _affected(self, name: str) -> Affects | None:
        for section in (self.data, self.task, self.forecaster, self.training):
            if section is not None and name in type(section).model_fields:
                return affected_by(type(section), name)
        return None

    def to_dict(self) -> dict[str, Any]:
        """Plain nested dictionaries, lists and numbers."""
        return self.model_dump(mode="json", exclude_none=False, exclude=set() if self.training else {"training"})

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> RunConfig:
        """Inverse of `to_dict`, also of what earlier versions wrote; missing settings take their defaults.

        Raises:
            ConfigError: a name is unknown or a value is not allowed.
        """
        if not isinstance(tree, Mapping):
            raise ConfigError(
                f"a configuration is a JSON object with data, task, forecaster and training, not {type(tree).__name__}"
            )
        return cls(**upgrade(tree))

    def to_json(self) -> str:
        """The JSON text that store, worker and checkpoint share."""
        return json.dumps(self.to_dict(), indent=2)

    @classmethod
    def from_json(cls, text: str) -> RunConfig:
        """Inverse of `to_json`, also of what earlier versions wrote.

        Raises:
            ConfigError: the text is not JSON or not a configuration.
        """
        try:
            tree = parse_json(text, most_bytes=_MOST_BYTES)
        except ValueError as error:
            raise ConfigError(f"the configuration is not JSON: {error}") from None
        return cls.from_dict(tree)
