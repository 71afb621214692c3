"""The kinds of forecasters: what they are called, and what they can do.

Pages and the command line read this to offer them, so it imports neither their settings nor their code: that of a kind,
and with it torch, is loaded when it works. A new kind is one section in `timellm.config.forecasters`, one module here,
and one entry.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING

from timellm.errors import ConfigError
from timellm.forecasters.start_rules import StartRules

if TYPE_CHECKING:
    from timellm.forecasters.protocol import Forecaster


@dataclass(frozen=True)
class Kind:
    """One kind of forecaster."""

    name: str
    """As in configurations and after `--model`."""
    title: str
    """As leaderboards and pages show it."""
    purpose: str
    """What it is, in a sentence."""
    code: str
    """`module:class`, the module inside `timellm.forecasters`; its whole name for a kind that is made of runs."""
    file: str = "adapter.safetensors"
    """File of a run's folder that holds it; that of the kinds that train is the usual one."""
    quick: bool = False
    """Fitted and scored in seconds, so that every run has it beside its own forecaster."""
    attention: bool = False
    """Its attention over text prototypes can be looked at."""
    language_model: bool = False
    """It has a backbone, which can be quantised and has to be fetched."""
    extra: str | None = None
    """The optional requirement that it needs."""
    start_rules: StartRules = field(default_factory=StartRules)
    """Which trained adapters its training may begin at; of kinds that train step by step."""
    of_runs: bool = False
    """Made of finished runs rather than fitted to a table: it is offered where runs are compared."""

    @property
    def trains(self) -> bool:
        """Whether it learns step by step."""
        from timellm.config import kind_section

        return kind_section(self.name).trains

    def load(self) -> type[Forecaster]:
        """Its class."""
        module, name = self.code.split(":")
        return getattr(import_module(module if self.of_runs else f"timellm.forecasters.{module}"), name)


_TIME_LLM_START = StartRules(
    free=(
        "backbone_dtype", "quantization", "prototype_start", "linear_path", "linear_features", "linear_maps",
        "linear_fallback", "linear_others", "linear_penalty", "prompt_calendar", "holiday_country", "dated_notes",
        "prompt_known",
    ),
    of_the_table=("quantile_head.", "linear_share.", "linear_path."),
)  # fmt: skip
_ALL = (
    Kind(
        "time_llm",
        "Time-LLM",
        "A frozen language model reads the series in its own words; small adapters around it are trained.",
        "time_llm.forecaster:TimeLLMForecaster",
        attention=True,
        language_model=True,
        start_rules=_TIME_LLM_START,
    ),
    Kind(
        "ridge",
        "Ridge",
        "One linear map from what was to what comes, solved at once. Hard to beat, and done in seconds.",
        "ridge.forecaster:Ridge",
        file="ridge.safetensors",
        quick=True,
    ),
    Kind(
        "dlinear",
        "DLinear",
        "Two linear maps, of trend and rest, trained step by step. Small and fast.",
        "dlinear:DLinearForecaster",
        start_rules=StartRules(for_the_horizon=True),
    ),
    Kind(
        "patchtst",
        "PatchTST",
        "A transformer over patches of the series, trained from nothing: no language model.",
        "patchtst:PatchTSTForecaster",
    ),
    Kind(
        "autoformer",
        "Autoformer",
        "A transformer that follows a series' own repeats; slow on a processor.",
        "autoformer:AutoformerForecaster",
    ),
    Kind(
        "ets",
        "AutoETS",
        "Exponential smoothing, fitted to each window on its own. It forecasts as many windows as its time allows.",
        "statistical:ETSForecaster",
        file="statistical.json",
        extra="statistical",
    ),
    Kind(
        "theta",
        "AutoTheta",
        "The theta method, fitted to each window on its own. It forecasts as many windows as its time allows.",
        "statistical:ThetaForecaster",
        file="statistical.json",
        extra="statistical",
    ),
    Kind(
        "fracast",
        "Fracast",
        "A small model that was trained on other series; its weights come with its package.",
        "zero_shot_fracast:FracastForecaster",
        file="zero_shot.json",
        extra="zero-shot",
    ),
    Kind(
        "timesfm",
        "TimesFM 2.5",
        "A model of 200 million weights trained on other series, perhaps on this one. Its weights are fetched.",
        "zero_shot_timesfm:TimesFMForecaster",
        file="zero_shot.json",
    ),
    Kind(
        "chronos",
        "Chronos-2",
        "A model of 120 million weights trained on other series, perhaps on this one. Its weights are fetched.",
        "zero_shot_chronos:ChronosForecaster",
        file="zero_shot.json",
        extra="zero-shot",
    ),
    Kind(
        "naive",
        "Simple forecasts",
        "What was last, a day, a week or a year ago; the best of these rules is found by validation.",
        "naive:Naive",
        file="naive.json",
        quick=True,
    ),
    Kind(
        "ensemble",
        "Ensemble",
        "The mean or the median of the forecasts of finished runs.",
        "timellm.forecasting.ensemble:Ensemble",
        file="ensemble.json",
        of_runs=True,
    ),
)
REGISTRY: dict[str, Kind] = {kind.name: kind for kind in _ALL}
OFFERED: dict[str, Kind] = {name: kind for name, kind in REGISTRY.items() if not kind.of_runs}
"""Those that can be fitted to a table."""


def kind_of(name: str) -> Kind:
    """The kind called `name`.

    Raises:
        ConfigError: there is none; the message lists them.
    """
    if name not in REGISTRY:
        raise ConfigError(f"there is no forecaster '{name}'; there are: {', '.join(REGISTRY)}")
    return REGISTRY[name]
