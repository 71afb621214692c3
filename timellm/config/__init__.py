"""The configuration of a run: a table, a task on it, a forecaster, and its training where it trains step by step."""

from timellm.config.forecasters import (
    KINDS,
    AutoformerConfig,
    BudgetConfig,
    ChronosConfig,
    DLinearConfig,
    EnsembleConfig,
    ETSConfig,
    FracastConfig,
    NaiveConfig,
    PatchTSTConfig,
    RidgeConfig,
    StatisticalConfig,
    ThetaConfig,
    TimesFMConfig,
    ZeroShotConfig,
)
from timellm.config.linear import (
    AskedFallback,
    AskedFeatures,
    AskedMaps,
    LinearFallback,
    LinearFeatures,
    LinearMaps,
    LinearPenalty,
)
from timellm.config.quantiles import QuantileConfig
from timellm.config.run import RunConfig
from timellm.config.section import Affects, ForecasterConfig
from timellm.config.settings import (
    field_of,
    kind_section,
    names_affecting,
    parse_setting,
    section_of,
    sections,
    setting_help,
    setting_label,
)
from timellm.config.table import WEEKDAYS, DataConfig, KnownEffect, TaskConfig
from timellm.config.time_llm import ModelConfig, Quantization, TimeLLMConfig
from timellm.config.training import TrainingConfig

__all__ = [
    "KINDS", "WEEKDAYS", "Affects", "AskedFallback", "AskedFeatures", "AskedMaps", "AutoformerConfig",
    "BudgetConfig", "ChronosConfig", "DLinearConfig", "DataConfig", "ETSConfig", "EnsembleConfig",
    "ForecasterConfig", "FracastConfig", "KnownEffect", "LinearFallback", "LinearFeatures", "LinearMaps",
    "LinearPenalty", "ModelConfig", "NaiveConfig", "PatchTSTConfig", "QuantileConfig", "Quantization",
    "RidgeConfig", "RunConfig", "StatisticalConfig", "TaskConfig", "ThetaConfig", "TimeLLMConfig",
    "TimesFMConfig", "TrainingConfig", "ZeroShotConfig", "field_of", "kind_section", "names_affecting",
    "parse_setting", "section_of", "sections", "setting_help", "setting_label",
]  # fmt: skip
