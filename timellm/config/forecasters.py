"""The sections of the forecasters, one a kind; `kind` says which one a configuration has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import Field, model_validator

from timellm.config.section import Section, setting

Quantization = Literal["none", "8bit", "4bit"]


class ForecasterConfig(Section):
    """Settings of one kind of forecaster."""

    affects = "weights"
    trains: ClassVar[bool] = False
    """Whether the kind learns step by step, and so has a training section."""
    usual_training: ClassVar[Mapping[str, Any]] = {}
    """Training settings that suit this kind better than the usual ones."""

    kind: str


class TimeLLMConfig(ForecasterConfig):
    """Time-LLM: backbone, and the sizes of the trained adapters (paper section 3)."""

    trains = True

    kind: Literal["time_llm"] = "time_llm"
    """Time-LLM: a frozen language model with trained adapters around it."""

    backbone: str = "smollm2-135m"
    """Name in the catalogue, a Hugging Face model id, or a local folder."""
    layers: int = setting(6, title="Layers used", ge=1, le=256)
    """How many of the backbone's layers are used, counted from the input."""
    quantization: Quantization = "none"
    """Storage of the frozen backbone: none, 8bit (int8, one scale a row) or 4bit (NF4 with double quantization)."""
    backbone_dtype: Literal["auto", "float32", "bfloat16", "float16"] = setting("auto", title="Backbone arithmetic")
    """Arithmetic of the frozen backbone. float32: as the paper's; auto: bfloat16 where the machine multiplies it fast,
    because matrix products then run several times faster, float32 elsewhere."""
    trust_remote_code: bool = setting(False, affects="place", title="Run the backbone's code")
    """Run Python code that ships with the backbone, with all your rights on this machine. Only for a source you trust;
    almost no backbone needs it."""
    patch_length: int = setting(16, title="Patch length, rows", ge=1, le=512)
    """Rows in one patch."""
    stride: int = setting(8, title="Stride, rows", ge=1, le=512)
    """Rows between the starts of neighbouring patches."""
    d_model: int = setting(32, title="Patch embedding width", ge=1, le=4096)
    """Width of a patch embedding."""
    d_ff: int = setting(32, title="Backbone channels kept", ge=1, le=8192)
    """Backbone channels kept for the head, and keys per attention head (as in the published code)."""
    heads: int = setting(8, ge=1, le=64)
    """Heads of the reprogramming attention."""
    prototypes: int = setting(1000, ge=2, le=20_000)
    """Text prototypes that patches are rewritten in."""
    prototype_source: Literal["direct", "map"] = "direct"
    """map: the paper's linear map over the vocabulary; direct: the same prototypes as free weights, because they span
    the same functions with a fraction of the weights (1/85 for SmolLM2) and of the time."""
    prompt_style: Literal["compact", "paper"] = "compact"
    """Wording of the prompt. paper: the published one; compact: the same facts in fewer words, because the statistics
    are read anew for every window and most of a short window's time goes into them."""
    statistic_digits: int = setting(2, ge=0, le=8)
    """Significant digits of the prompt's statistics. 0: all of them (up to 18), summed as the published code does;
    fewer, because each digit costs tokens in every window."""
    lags: Literal["distinct", "circular"] = "distinct"
    """Lags named in the prompt. circular: the published ones, 0 to context - 1; distinct: 1 to half the context,
    because 0 always leads the others and each of them comes twice, as k and context - k."""
    round_patches: bool = False
    """Round the normalised window to bfloat16 before it is cut, as the published code does; off, because it only loses
    digits."""
    dropout: float = setting(0.1, ge=0, lt=1)
    """Dropout of patch embedding and head while training."""
    attention_dropout: float = setting(0.0, ge=0, lt=1)
    """Dropout of the reprogramming attention while training. The published code has 0.1; 0, because only then no table
    of weights (windows x patches x prototypes) has to be written out."""


class ModelConfig(TimeLLMConfig):
    """Time-LLM's settings with the window lengths of its task: what the network is built from."""

    context: int = setting(336, ge=8, le=20_000)
    """Rows the model sees before it forecasts."""
    horizon: int = setting(96, ge=1, le=10_000)
    """Rows it forecasts."""

    @model_validator(mode="after")
    def _patch_fits_context(self) -> Self:
        if self.patch_length > self.context:
            raise ValueError(f"patch_length {self.patch_length} is longer than context {self.context}; lower it")
        if self.stride > self.patch_length:
            raise ValueError(f"stride {self.stride} skips rows between patches of {self.patch_length}; lower it")
        return self

    @property
    def patches(self) -> int:
        """Patches P of one window: the end is padded by one stride (paper section 3.1)."""
        return (self.context - self.patch_length) // self.stride + 2


class NaiveConfig(ForecasterConfig):
    """Simple forecasts; the best of them is found by validation."""

    kind: Literal["naive"] = "naive"
    """The best of the simple forecasts: last value, drift, and what was one or a few seasons ago."""


class RidgeConfig(ForecasterConfig):
    """One linear map from context to horizon, solved in closed form."""

    kind: Literal["ridge"] = "ridge"
    """Ridge regression: one linear map for all channels, found at once."""


class DLinearConfig(ForecasterConfig):
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


class PatchTSTConfig(ForecasterConfig):
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


class StatisticalConfig(ForecasterConfig):
    """What AutoETS and AutoTheta share: each window has a model of its own, fitted on its context within a budget."""

    season: int | None = setting(None, title="Season, rows", ge=1, le=2000)
    """Rows of one season, 1 for none; found in the training rows when not given."""
    budget_s: float = setting(60.0, title="Time budget, seconds", gt=0, le=1_000_000)
    """Processor time for all test windows; of more than fit into it, an evenly spaced part is forecast."""
    window_budget_s: float = setting(3.0, title="Time for one window, seconds", gt=0, le=100_000)
    """Processor time for one window; where its whole context would take longer, only the last rows are fitted."""
    most_windows: int | None = setting(None, title="Test windows at most", ge=1)
    """Test windows that are forecast at most, evenly spaced; the time budget alone decides when not given."""


class ETSConfig(StatisticalConfig):
    """AutoETS: exponential smoothing, its form chosen by information criterion."""

    kind: Literal["ets"] = "ets"
    """AutoETS: exponential smoothing with error, trend and season chosen for each window."""


class ThetaConfig(StatisticalConfig):
    """AutoTheta: the theta method, its form chosen by error."""

    kind: Literal["theta"] = "theta"
    """AutoTheta: two lines through each window's past, one straight and one that exaggerates its bends."""


class FracastConfig(ForecasterConfig):
    """Fracast: zero-shot, with the weights in its package."""

    kind: Literal["fracast"] = "fracast"
    """Fracast: a small model that was trained on other series."""
    weights: str = ""
    """Local folder with other weights of Fracast; empty: those of the package."""


class TimesFMConfig(ForecasterConfig):
    """TimesFM 2.5: zero-shot, with weights from a model hub or a folder."""

    kind: Literal["timesfm"] = "timesfm"
    """TimesFM 2.5: a model of 200 million weights that was trained on other series."""
    weights: str = "google/timesfm-2.5-200m-transformers"
    """Model hub id, or a local folder with config.json and the weights."""


class ChronosConfig(ForecasterConfig):
    """Chronos-2: zero-shot, with weights from a model hub or a folder."""

    kind: Literal["chronos"] = "chronos"
    """Chronos-2: a model of 120 million weights that was trained on other series."""
    weights: str = "amazon/chronos-2"
    """Model hub id, or a local folder with config.json and the weights."""


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
    | ChronosConfig,
    Field(discriminator="kind"),
]
KINDS: dict[str, type[ForecasterConfig]] = {
    section.model_fields["kind"].default: section for section in get_args(get_args(AnyForecaster)[0])
}
"""Section of each kind."""
