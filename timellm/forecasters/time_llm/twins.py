"""Twins of a run of Time-LLM: the same run with one part replaced, so that the difference shows what the part is worth.

Inputs: a configuration. Outputs: one configuration for each twin, with the same table, windows, seed and steps. Nothing
here imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from timellm.config import RunConfig, TimeLLMConfig
from timellm.errors import ConfigError
from timellm.forecasters.time_llm.kept import path_config


@dataclass(frozen=True)
class Twin:
    """One part replaced."""

    name: str
    """In data, such as `no-prompt`."""
    title: str
    purpose: str
    """What it is, in a sentence."""
    language_model: bool
    """Whether it still has the trained language model."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What differs from the run."""

    def config(self, config: RunConfig) -> RunConfig:
        """The run's configuration with this part replaced.

        Raises:
            ConfigError: the result contradicts itself.
        """
        changed = dict(self.settings)
        if changed.get("body") == "random_weights":
            changed["quantization"] = "none"  # random weights are not stored in fewer bits
        if changed.get("kind") != "ridge":
            return config.updated(**changed)
        path = path_config(config)
        if config.model.has_prompt and config.model.prompt_calendar and config.model.linear_features == "plain":
            # The language model must not be the better one because it alone was told the weekday.
            path = path.updated(linear_features="calendar")
        return path


TWINS = (
    Twin("no-prompt", "No prompt", "The language model reads the patches alone.", True, {"prompt_style": "none"}),
    Twin(
        "no-reprogramming",
        "No reprogramming",
        "A linear map brings patches to the language model's width, in place of prototypes and attention.",
        True,
        {"reprogramming": "linear"},
    ),
    Twin(
        "random-weights",
        "Random weights",
        "The language model's layers with random weights; its word embeddings stay.",
        False,
        {"body": "random_weights"},
    ),
    Twin(
        "transformer-block",
        "One transformer block",
        "One trained transformer block in place of the language model.",
        False,
        {"body": "transformer_block"},
    ),
    Twin(
        "attention",
        "One attention layer",
        "One trained attention layer in place of the language model.",
        False,
        {"body": "attention"},
    ),
    Twin("no-language-model", "No language model", "Patches go straight to the head.", False, {"body": "none"}),
    Twin(
        "linear-path",
        "Linear path alone",
        "The ridge from which the run's linear path begins, told the calendar if the run's prompt is.",
        False,
        {"kind": "ridge"},
    ),
)
"""From the most of the run to the least of it."""


def twin_configs(config: RunConfig, *, steps: int | None = None) -> dict[str, RunConfig]:
    """The configuration of each twin by its name; one that would equal the run is left out.

    `steps` are those that the run made: the twins of a run with a time budget make as many, because in equal time each
    would make another number.

    Raises:
        ConfigError: the run has no language model whose worth could be asked for, or a time budget and no `steps`.
    """
    check_has_twins(config)
    if config.trained.minutes is not None:
        if steps is None:
            raise ConfigError(
                f"the run has a time budget of {config.trained.minutes:g} minutes, and its twins make as many steps as"
                " it made in them; let it finish first"
            )
        config = config.updated(minutes=None, steps=steps)
    found = {twin.name: twin.config(config) for twin in TWINS}
    return {name: one for name, one in found.items() if one.kind != config.kind or one.changes(config, "weights")}


def check_has_twins(config: RunConfig) -> None:
    """Refuse a run without a language model.

    Raises:
        ConfigError: it is another forecaster, a twin itself, or began at trained adapters.
    """
    forecaster = config.forecaster
    if not isinstance(forecaster, TimeLLMConfig):
        raise ConfigError(f"the forecaster is '{config.kind}', which has no language model; twins are of Time-LLM runs")
    if config.trained.start_from or config.trained.pretrain:
        raise ConfigError(
            "the run began at trained adapters (start_from, pretrain), which its twins cannot: the comparison would be"
            " with something that was trained for less; train the run without these settings, and then its twins"
        )
    if forecaster.body != "language_model":
        raise ConfigError(
            f"the run is a twin itself: it has '{forecaster.body}' in place of the language model; name the run that"
            " has one (body=language_model)"
        )
