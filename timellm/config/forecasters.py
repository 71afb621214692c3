"""The sections of the forecasters, one a kind; `kind` says which one a configuration has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field

from timellm.config.linear import AskedFallback, AskedFeatures, AskedMaps, AskedOthers, LinearPenalty
from timellm.config.quantiles import QuantileConfig
from timellm.config.section import ForecasterConfig, setting
from timellm.config.time_llm import TimeLLMConfig


class NaiveConfig(ForecasterConfig):
    """Simple forecasts; the best of them is found by validation."""

    kind: Literal["naive"] = "naive"
    """The best of the simple forecasts: last value, drift, and what was one or a few seasons ago."""


class RidgeConfig(ForecasterConfig):
    """One linear map from context to horizon, solved in closed form."""

    kind: Literal["ridge"] = "ridge"
    """Ridge regression: one linear map for all channels, found at once."""
    linear_features: AskedFeatures = "plain"
    """What the map knows beside the shape of the context. plain: nothing; level: how high the context lies; calendar:
    the hour of the week, the day of the week and the month at which the forecast begins, as far as they fit the step
    between rows; auto: a weighted mean of the maps that are better on later stretches of the training part and on the
    validation part."""
    linear_maps: AskedMaps = "shared"
    """shared: one map for all channels; by_channel: each channel has a map of its own, drawn to the shared one; auto:
    both are tried, as above."""
    linear_fallback: AskedFallback = "mean"
    """What a large penalty leaves of the forecast. mean: the mean of the context; last: its last value, which suits
    prices; rule: the simple rule, such as the last season again, that fits the table best before the test part; auto:
    all are tried, as above."""
    linear_others: AskedOthers = setting("none", title="Linear maps, other channels")
    """What the map of a channel knows of the other channels. none: nothing; recent: how they moved in the last 16 rows,
    which makes the maps differ by channel; auto: both are tried, as above, but for shared maps."""
    linear_penalty: LinearPenalty = "even"
    """even: large weights cost the same for every row of the context; by_age: they cost more for older rows."""


class DLinearConfig(QuantileConfig):
    """DLinear: one linear map of the trend and one of the rest (AAAI 2023)."""

    trains = True
    # Found on the validation windows of ETTh1 and of the two bundled tables.
    usual_training: ClassVar[Mapping[str, Any]] = {
        "steps": 500,
        "batch_size": 128,
        "learning_rate": 3e-3,
        "validations": 20,
        "validation_windows": 1000,
        "patience": 20,
    }

    kind: Literal["dlinear"] = "dlinear"
    """DLinear: two linear maps, trained step by step."""
    moving_average: int = setting(25, title="Trend average, rows", ge=1, le=9999)
    """Rows over which the trend is averaged; an odd number."""


class AutoformerConfig(ForecasterConfig):
    """Autoformer: trend and season are divided in every layer (NeurIPS 2021)."""

    trains = True
    usual_training: ClassVar[Mapping[str, Any]] = {
        "steps": 300,
        "learning_rate": 1e-3,
        "validations": 10,
        "validation_windows": 500,
        "patience": 10,
    }

    kind: Literal["autoformer"] = "autoformer"
    """Autoformer: a transformer that correlates a series with itself."""
    d_model: int = setting(64, title="Width", ge=1, le=4096)
    """Width of a row inside the network. Published: 512, with which a step takes 18 times as long."""
    d_ff: int = setting(256, title="Inner width", ge=1, le=16_384)
    """Inner width of the two linear layers that follow each auto-correlation. Published: 2048."""
    encoder_layers: int = setting(2, title="Encoder layers", ge=1, le=24)
    """Layers of the encoder."""
    decoder_layers: int = setting(1, title="Decoder layers", ge=1, le=24)
    """Layers of the decoder."""
    moving_average: int = setting(25, title="Trend average, rows", ge=1, le=9999)
    """Rows over which a trend is averaged; an odd number."""
    factor: float = setting(1.0, title="Delays followed", gt=0, le=10)
    """Delays that are followed, as a multiple of the logarithm of the number of rows."""
    dropout: float = setting(0.05, ge=0, lt=1)
    """Dropout while training."""


class PatchTSTConfig(QuantileConfig):
    """PatchTST: a transformer over patches, trained from nothing (ICLR 2023)."""

    trains = True
    # The rate lies between the best ones on the validation windows of ETTh1 (3e-4) and of the pedestrians (1e-3).
    usual_training: ClassVar[Mapping[str, Any]] = {
        "steps": 500,
        "batch_size": 128,
        "learning_rate": 5e-4,
        "validations": 10,
        "validation_windows": 1000,
        "patience": 10,
    }

    kind: Literal["patchtst"] = "patchtst"
    """PatchTST: a transformer over patches, without a language model."""
    patch_length: int = setting(16, title="Patch length, rows", ge=1, le=512)
    """Rows in one patch."""
    stride: int = setting(8, title="Stride, rows", ge=1, le=512)
    """Rows between the starts of neighbouring patches."""
    d_model: int = setting(64, title="Width", ge=1, le=4096)
    """Width of a patch inside the network. Published: 128, and 16 for small tables."""
    heads: int = setting(4, ge=1, le=64)
    """Heads of the attention; they divide d_model. Published: 16, and 4 for small tables."""
    d_ff: int = setting(128, title="Inner width", ge=1, le=16_384)
    """Inner width of the two linear layers that follow each attention. Published: 256, and 128 for small tables."""
    layers: int = setting(3, ge=1, le=48)
    """Layers of the encoder."""
    dropout: float = setting(0.2, ge=0, lt=1)
    """Dropout while training."""


class BudgetConfig(ForecasterConfig):
    """What kinds share that are too slow for every window of a large test part."""

    budget_s: float = setting(60.0, title="Time budget, seconds", gt=0, le=1_000_000)
    """Time for all test windows; of more than fit into it, an evenly spaced part is forecast."""
    most_windows: int | None = setting(None, title="Test windows at most", ge=1)
    """Test windows that are forecast at most, evenly spaced; the time budget alone decides when not given."""


class StatisticalConfig(QuantileConfig, BudgetConfig):
    """What AutoETS and AutoTheta share: each window has a model of its own, fitted on its context within a budget."""

    season: int | None = setting(None, title="Season, rows", ge=1, le=2000)
    """Rows of one season, 1 for none; found in the training rows when not given."""
    window_budget_s: float = setting(3.0, title="Time for one window, seconds", gt=0, le=100_000)
    """Time for one window; where its whole context would take longer, only the last rows are fitted."""


class ETSConfig(StatisticalConfig):
    """AutoETS: exponential smoothing, its form chosen by information criterion."""

    kind: Literal["ets"] = "ets"
    """AutoETS: exponential smoothing with error, trend and season chosen for each window."""


class ThetaConfig(StatisticalConfig):
    """AutoTheta: the theta method, its form chosen by error."""

    kind: Literal["theta"] = "theta"
    """AutoTheta: two lines through each window's past, one straight and one that exaggerates its bends."""


class ZeroShotConfig(QuantileConfig, BudgetConfig):
    """What the kinds share that were trained elsewhere."""


class FracastConfig(ZeroShotConfig):
    """Fracast: zero-shot, with the weights in its package."""

    kind: Literal["fracast"] = "fracast"
    """Fracast: a small model that was trained on other series."""
    weights: str = ""
    """Local folder with other weights of Fracast; empty: those of the package."""


class TimesFMConfig(ZeroShotConfig):
    """TimesFM 2.5: zero-shot, with weights from a model hub or a folder."""

    kind: Literal["timesfm"] = "timesfm"
    """TimesFM 2.5: a model of 200 million weights that was trained on other series."""
    weights: str = "google/timesfm-2.5-200m-transformers"
    """Model hub id, or a local folder with config.json and the weights."""


class ChronosConfig(ZeroShotConfig):
    """Chronos-2: zero-shot, with weights from a model hub or a folder."""

    kind: Literal["chronos"] = "chronos"
    """Chronos-2: a model of 120 million weights that was trained on other series."""
    weights: str = "amazon/chronos-2"
    """Model hub id, or a local folder with config.json and the weights."""


class EnsembleConfig(ForecasterConfig):
    """An ensemble of finished runs."""

    kind: Literal["ensemble"] = "ensemble"
    """The mean or the median of the forecasts of finished runs."""
    members: tuple[str, ...] = ()
    """Folders of the runs, two to eight, which were scored on the same windows."""
    combine: Literal["mean", "median"] = setting("mean", title="Combined by")
    """How their forecasts are combined, point by point."""


AnyForecaster = Annotated[
    TimeLLMConfig
    | NaiveConfig
    | RidgeConfig
    | DLinearConfig
    | AutoformerConfig
    | PatchTSTConfig
    | ETSConfig
    | ThetaConfig
    | FracastConfig
    | TimesFMConfig
    | ChronosConfig
    | EnsembleConfig,
    Field(discriminator="kind"),
]
KINDS: dict[str, type[ForecasterConfig]] = {
    section.model_fields["kind"].default: section for section in get_args(get_args(AnyForecaster)[0])
}
"""Section of each kind."""
