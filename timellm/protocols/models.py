"""The models that protocols run: each kind of forecaster as it usually is, and two variants by name.

`linear_path` is the ridge from which Time-LLM begins, as a run of its own. `published` is the paper's network around
the chosen backbone.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any

from timellm.config import RunConfig, names_affecting, parse_setting
from timellm.config.forecasters import BudgetConfig
from timellm.config.settings import kind_section, section_of
from timellm.errors import ConfigError
from timellm.forecasters.registry import OFFERED, kind_of
from timellm.presets import find_preset

_OF_THE_BACKBONE = {"backbone", "layers", "backbone_dtype", "patch_length", "stride"}
_OF_THE_OPTIMISER = {"optimizer", "learning_rate", "loss", "clip_norm"}
_LINEAR_PATH = dict.fromkeys(("linear_features", "linear_maps", "linear_fallback", "linear_others"), "auto")
MODELS: tuple[str, ...] = tuple(dict.fromkeys(("ridge", "linear_path", "time_llm", "published", *OFFERED)))
"""All that can be asked for."""


def published_network() -> dict[str, Any]:
    """Settings of the paper's network; backbone, patches, steps, batch and validation stay as they usually are."""
    wanted = {*names_affecting("weights", section="forecaster"), *_OF_THE_OPTIMISER} - _OF_THE_BACKBONE
    return {name: value for name, value in find_preset("paper").settings.items() if name in wanted}


def settings_of(model: str) -> dict[str, Any]:
    """The settings of a model, with its `kind`.

    Raises:
        ConfigError: there is no such model.
    """
    if model == "linear_path":
        return {"kind": "ridge", **_LINEAR_PATH}
    if model == "published":
        return {"kind": "time_llm", **published_network()}
    if model not in OFFERED:
        raise ConfigError(f"there is no model '{model}'; there are: {', '.join(MODELS)}")
    return {"kind": model}


def meaning_of(model: str) -> str:
    """What a model is, in a sentence."""
    if model == "linear_path":
        return "The ridge from which Time-LLM begins, as a run of its own."
    if model == "published":
        return "The paper's network around the default backbone, or the one that the setting 'backbone' names."
    return kind_of(settings_of(model)["kind"]).purpose


def is_random(model: str) -> bool:
    """Whether a seed changes its result: it is trained step by step."""
    return kind_section(settings_of(model)["kind"]).trains


def is_limited(model: str) -> bool:
    """Whether it forecasts as many windows of the test part as its time allows, and not all of them."""
    return issubclass(kind_section(settings_of(model)["kind"]), BudgetConfig)


def seeds_of(model: str, seeds: Iterable[int]) -> tuple[int, ...]:
    """The seeds to run: the first alone where nothing is random."""
    seeds = tuple(seeds)
    return seeds if is_random(model) else seeds[:1]


def configure(path: str, model: str, *, seed: int, settings: dict[str, Any], further: Iterable[str] = ()) -> RunConfig:
    """The configuration of a model on a table; `further` are the user's key=value, used where the kind has the key.

    Raises:
        ConfigError: a setting is not allowed.
    """
    own = settings_of(model)
    kind = own["kind"]
    asked = dict(parse_setting(text, kind) for text in further if _has(kind, text))
    own |= {"seed": seed} if is_random(model) else {}
    return RunConfig.create(path, **{**settings, **own, **asked})


def further_of(model: str, further: Mapping[str, str]) -> dict[str, str]:
    """Those of the user's settings that a run of this model takes."""
    kind = settings_of(model)["kind"]
    return {name: value for name, value in further.items() if _has(kind, name)}


DECIDED = ("horizon", "seed", "channels", "training_rows", "training_side")
"""Settings that the key of a cell stands for; with another value, a row of the table would not be what it says."""


def check_settings(models: Iterable[str], further: Iterable[str], *, decided: Container[str]) -> None:
    """Refuse a setting that none of the models has, or one of `decided`: the key of a cell stands for these.

    Raises:
        ConfigError: there is such a one, or it is not key=value.
    """
    kinds = dict.fromkeys(settings_of(model)["kind"] for model in models)
    for text in further:
        if (setting := text.partition("=")[0].strip().replace("-", "_")) in decided:
            raise ConfigError(f"--set {setting}: the options of the protocol decide this setting; leave it out")
        if not any(_has(kind, text) for kind in kinds):
            for kind in kinds:  # says what is wrong with it
                parse_setting(text, kind)


def _has(kind: str, text: str) -> bool:
    try:
        section_of(text.partition("=")[0].strip().replace("-", "_"), kind)
    except ConfigError:
        return False
    return True
