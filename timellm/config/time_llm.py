"""The settings of Time-LLM, with what the network is built from."""

from __future__ import annotations

import re
from typing import Literal, Self

from pydantic import field_validator, model_validator

from timellm.config.linear import AskedFallback, AskedFeatures, AskedMaps, AskedOthers, LinearPenalty
from timellm.config.notes import parse_notes
from timellm.config.quantiles import QuantileConfig
from timellm.config.section import setting

Quantization = Literal["none", "8bit", "4bit"]


class TimeLLMConfig(QuantileConfig):
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
    """Arithmetic of the frozen backbone. float32: as the paper's; auto: bfloat16 where the processor multiplies
    it faster, often several times, or has it and the backbone is quantised, and float32 elsewhere."""
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
    prototype_start: Literal["spread", "shapes", "map"] = "spread"
    """What direct prototypes are before training. spread: words spread evenly over the vocabulary; shapes: words for
    shapes and times (rise, peak, flat, morning, weekend) first, then spread ones; map: mixtures of all words, as the
    paper's map starts, which differ so little that every patch reaches the language model as the same vector."""
    attention_scores: Literal["cosine", "dot"] = "cosine"
    """How patches are compared with prototypes. dot: as the paper's; cosine: directions alone, times a sharpness that
    each head learns, because dot products stay near zero and the attention then rests on all prototypes alike."""
    reprogramming: Literal["prototypes", "linear"] = "prototypes"
    """How patches come to the language model's width. prototypes: as mixtures of text prototypes, by attention; linear:
    by a linear map, for comparison; then there are no prototypes, and no attention can be looked at."""
    body: Literal["language_model", "random_weights", "transformer_block", "attention", "none"] = setting(
        "language_model", title="What reads the patches"
    )
    """language_model: the backbone's layers, as in the paper. The others show for comparison what these are worth.
    random_weights: the same layers with random weights; transformer_block, attention: one trained layer instead; none:
    patches go straight to the head."""
    linear_path: Literal["none", "fixed", "weighted", "trained"] = "fixed"
    """A ridge regression beside the language model, solved before training, so that the language model has to add only
    what a linear map cannot say. fixed: it stays as it was solved; weighted: how much of it counts is learned for each
    step of the horizon; trained: the whole map learns on; none: as in the paper. Of what is learned on top, a half or
    less is kept, and nothing if that is not surely better on the validation windows."""
    linear_features: AskedFeatures = "auto"
    """What the linear path knows beside the shape of the context. plain: nothing; level: how high the context lies;
    calendar: hour of the week, day of the week and month; auto: a weighted mean of the maps that are better before the
    test part."""
    linear_maps: AskedMaps = "auto"
    """shared: the linear path has one map for all channels; by_channel: each channel has a map of its own, drawn to the
    shared one; auto: both are tried, as above."""
    linear_fallback: AskedFallback = "auto"
    """What a large penalty leaves of the linear path's forecast. mean: the mean of the context; last: its last value,
    which suits prices; rule: the simple rule, such as the last season again, that fits the table best before the test
    part; auto: all are tried, as above."""
    linear_others: AskedOthers = setting("auto", title="Linear maps, other channels")
    """What the linear path of a channel knows of the other channels. none: nothing; recent: how they moved in the last
    16 rows, which makes the maps differ by channel; auto: both are tried, as above, but for shared maps."""
    linear_penalty: LinearPenalty = "even"
    """even: large weights of the linear path cost the same for every row of the context; by_age: they cost more for
    older rows, which was better on some tables and worse on others."""
    prompt_style: Literal["compact", "paper", "none"] = "compact"
    """Wording of the prompt. paper: the published one; compact: the same facts in fewer words, because the statistics
    are read anew for every window and most of a short window's time goes into them; none: no prompt, for comparison."""
    statistic_digits: int = setting(2, ge=0, le=8)
    """Significant digits of the prompt's statistics. 0: all of them (up to 18), summed as the published code does;
    fewer, because each digit costs tokens in every window."""
    lags: Literal["distinct", "circular"] = "distinct"
    """Lags named in the prompt. circular: the published ones, 0 to context - 1; distinct: 1 to half the context,
    because 0 always leads the others and each of them comes twice, as k and context - k."""
    prompt_calendar: bool = False
    """Let the prompt say when the forecast begins: weekday, hour and month, as far as they fit the step between rows. A
    ridge can be told the same ('calendar')."""
    holiday_country: str = ""
    """Let the prompt name the public holidays of this country in context and horizon: AU, or AU-VIC for a part of it.
    Empty: none. It needs the optional package holidays."""
    dated_notes: str = setting("", max_length=20_000, multiline=True)
    """Let the prompt say what you know of days in context and horizon, one a line, as in: 2016-12-26 Boxing Day. What
    you write of the time after a forecast begins must have been known before."""
    prompt_known: bool = False
    """Let the prompt say what columns known ahead do in the horizon, such as: promotion on 3 of 14 steps, 5 of 56
    before. Their effect is added to forecasts without it, too."""
    round_patches: bool = False
    """Round the normalised window to bfloat16 before it is cut, as the published code does; off, because it only loses
    digits."""
    dropout: float = setting(0.1, ge=0, lt=1)
    """Dropout of patch embedding and head while training."""
    attention_dropout: float = setting(0.0, ge=0, lt=1)
    """Dropout of the reprogramming attention while training. The published code has 0.1; 0, because only then no table
    of weights (windows x patches x prototypes) has to be written out."""
    fast_code: bool = setting(True, affects="speed", title="Fast code on a CPU")
    """Run parts of the network that are written anew for CPUs. Off: the libraries' own parts; the result is the same
    but for rounding, and a run takes longer."""

    @property
    def has_two_parts(self) -> bool:
        """Whether a forecast is what a linear path says and what a language model adds."""
        return self.linear_path != "none" and self.body == "language_model"

    @property
    def has_prompt(self) -> bool:
        """Whether a prompt is read before the patches."""
        return self.prompt_style != "none" and self.body != "none"

    @property
    def tells_time(self) -> bool:
        """Whether a prompt says where its window lies in time, or what is known ahead of it."""
        said = self.prompt_calendar or self.prompt_known or self.holiday_country or self.dated_notes.strip()
        return self.has_prompt and bool(said)

    @field_validator("holiday_country")
    @classmethod
    def _is_a_code(cls, country: str) -> str:
        code = country.strip().upper()
        if code and not re.fullmatch(r"[A-Z]{2}(-[A-Z0-9]{1,10})?", code):
            raise ValueError("it is no code of a country; use for example AU, or AU-VIC for a part of it")
        return code

    @field_validator("dated_notes")
    @classmethod
    def _are_dated(cls, notes: str) -> str:
        parse_notes(notes)
        return notes


class ModelConfig(TimeLLMConfig):
    """Time-LLM's settings with the window lengths of its task: what the network is built from."""

    context: int = setting(336, ge=8, le=20_000)
    """Rows the model sees before it forecasts."""
    horizon: int = setting(96, ge=1, le=10_000)
    """Rows it forecasts."""
    known_names: tuple[str, ...] = ()
    """Columns of the table that are known ahead."""

    @model_validator(mode="after")
    def _patch_fits_context(self) -> Self:
        if self.patch_length > self.context:
            raise ValueError(f"patch_length {self.patch_length} is longer than context {self.context}; lower it")
        if self.stride > self.patch_length:
            raise ValueError(f"stride {self.stride} skips rows between patches of {self.patch_length}; lower it")
        return self

    @model_validator(mode="after")
    def _random_weights_are_plain(self) -> Self:
        if self.body == "random_weights" and self.quantization != "none":
            raise ValueError(f"body random_weights cannot be stored in {self.quantization}; set quantization to none")
        return self

    @property
    def layers_run(self) -> int:
        """Layers of the backbone that run: none where something else reads the patches."""
        return self.layers if self.body in ("language_model", "random_weights") else 0

    @property
    def patches(self) -> int:
        """Patches P of one window: the end is padded by one stride (paper section 3.1)."""
        return (self.context - self.patch_length) // self.stride + 2
