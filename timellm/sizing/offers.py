"""What to change when a run does not fit: for each way to save memory, the largest setting that does, and its price.

Inputs: a configuration and the free memory. Outputs: `Offer`s, the cheapest first. Ways that change no result lead; if
no single way is enough, they are taken together and the others are tried on top of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from timellm.config import RunConfig, TimeLLMConfig
from timellm.errors import TimeLLMError
from timellm.forecasters.time_llm.catalog import catalogue, is_ready
from timellm.forecasters.time_llm.shape import backbone_shape
from timellm.sizing.estimate import Estimate, Surroundings, estimate

ROOM = 0.95
"""Share of the free memory that a run may be estimated at; the rest is for what the machine does beside it."""
_MOST = 4
_SAME = {
    "accumulation": "The same result, each batch in {} parts.",
    "gradient_checkpointing": "The same result; activations are computed twice.",
}
_TOLD = {
    ("prototype_source", "direct"): "Prototypes are free weights instead of the paper's map.",
    ("quantization", "8bit"): "The backbone is stored in 8 bits, which is a little less exact.",
    ("quantization", "4bit"): "The backbone is stored in 4 bits, which is less exact.",
}
_Choices = list[tuple[dict[str, Any], str]]
"""Settings and their price, from the smallest change to the largest."""


@dataclass(frozen=True)
class Offer:
    """Settings with which the run fits."""

    settings: dict[str, Any]
    memory_mib: float
    seconds: float
    price: str
    """What it costs beside time, in words."""

    @property
    def as_options(self) -> str:
        """The settings as the command line takes them."""
        return " ".join(f"--set {name}={value}" for name, value in self.settings.items())


def fits(need_mib: float, free_mib: float) -> bool:
    """Whether a run that needs so much may be started with so much free."""
    return need_mib <= ROOM * free_mib


def largest_that_fits(config: RunConfig, free_mib: float, around: Surroundings) -> list[Offer]:
    """Changed settings with which `config` fits into `free_mib`, the cheapest first; empty if nothing is enough.

    Raises:
        TimeLLMError: the configuration itself cannot be estimated.
    """
    for taken in _foundations(config):
        base, offers = config.updated(**taken), []
        for choices in _ways(base):
            for settings, price in choices:
                found = _estimated(base, settings, around)
                if found is not None and fits(found.memory_mib, free_mib):
                    offers.append(_least(config, taken | settings, price, free_mib, around))
                    break
        if offers:
            return offers[:_MOST]
    return []


def _least(config: RunConfig, settings: dict[str, Any], price: str, free_mib: float, around: Surroundings) -> Offer:
    """The offer of `settings`, with no more parts and no more computed twice than it takes to fit."""
    wanted = {name: value for name, value in settings.items() if name not in ("accumulation", "gradient_checkpointing")}
    most = settings.get("accumulation", config.trained.accumulation)
    for twice in ({}, {"gradient_checkpointing": True}) if "gradient_checkpointing" in settings else ({},):
        for parts in (config.trained.accumulation, *_doublings(config.trained.accumulation, most)):
            split = {"accumulation": parts} if parts != config.trained.accumulation else {}
            found = _estimated(config, wanted | split | twice, around)
            if found is not None and fits(found.memory_mib, free_mib):
                words = _price(wanted, split | twice, price)
                return Offer(split | twice | wanted, found.memory_mib, found.seconds, words)
    raise AssertionError(f"{settings} was seen to fit")


def _price(wanted: dict[str, Any], same: dict[str, Any], price: str) -> str:
    """What the way costs, after what the settings that change no result do."""
    if not wanted:
        return " ".join(_SAME[name].format(value) for name, value in same.items())
    told = [_SAME[name].format(value) for name, value in same.items()]
    told += [_TOLD[name, value] for name, value in wanted.items() if (name, value) in _TOLD]
    return " ".join(dict.fromkeys([price, *told]))


def _estimated(base: RunConfig, settings: dict[str, Any], around: Surroundings) -> Estimate | None:
    try:
        return estimate(base.updated(**settings), around)
    except TimeLLMError:  # a combination that is not allowed
        return None


def _foundations(config: RunConfig) -> list[dict[str, Any]]:
    """What is changed before a way is tried: nothing, all that changes no result, and that with 4-bit storage."""
    if not isinstance(config.forecaster, TimeLLMConfig):
        return [{}]
    same: dict[str, Any] = {"accumulation": config.trained.batch_size, "gradient_checkpointing": True}
    if config.model.prototype_source == "map":
        same["prototype_source"] = "direct"
    stored = [] if config.model.quantization == "4bit" else [same | {"quantization": "4bit"}]
    return [{}, same, *stored]


def _ways(config: RunConfig) -> list[_Choices]:
    """Each way to save memory with its settings, the ways that change no result first."""
    if config.training is None:
        return []
    training = config.training
    ways: list[_Choices] = [
        [
            ({"accumulation": parts}, _SAME["accumulation"].format(parts))
            for parts in _doublings(training.accumulation, training.batch_size)
        ]
    ]
    if not isinstance(config.forecaster, TimeLLMConfig):
        return ways
    model = config.model
    if not training.gradient_checkpointing:
        ways.append([({"gradient_checkpointing": True}, _SAME["gradient_checkpointing"])])
    if model.prototype_source == "map":
        ways.append([({"prototype_source": "direct"}, _TOLD["prototype_source", "direct"])])
    if model.quantization == "none":
        ways.append([({"quantization": "8bit"}, _TOLD["quantization", "8bit"])])
    if model.quantization != "4bit":
        ways.append([({"quantization": "4bit"}, _TOLD["quantization", "4bit"])])
    ways.append([({"layers": count}, f"Only the first {count} of {model.layers} layers.")
                 for count in range(model.layers - 1, 0, -1)])  # fmt: skip
    ways.append([({"context": rows}, f"The model sees {rows:,} rows instead of {model.context:,}.")
                 for rows in _halvings(model.context, at_least=max(48, model.patch_length))])  # fmt: skip
    ways.append(_smaller_backbones(config))
    return ways


def _smaller_backbones(config: RunConfig) -> _Choices:
    """Backbones that are here and smaller, the largest first, with as many of the layers as they have."""
    now = backbone_shape(config.model.backbone)
    ready = [entry for entry in catalogue() if entry.width < now.width and is_ready(entry.name)]
    return [
        (
            {"backbone": entry.name, "layers": min(config.model.layers, entry.layers)},
            f"{entry.title} is a smaller language model.",
        )
        for entry in sorted(ready, key=lambda entry: -entry.parameters_millions)
    ]


def _doublings(first: int, last: int) -> list[int]:
    """Powers of two above `first`, and `last`, which they stay below."""
    found, size = [], 2
    while size < last:
        if size > first:
            found.append(size)
        size *= 2
    return [*found, last] if last > first else []


def _halvings(first: int, *, at_least: int) -> list[int]:
    found, size = [], first // 2
    while size >= at_least:
        found.append(size)
        size //= 2
    return found
