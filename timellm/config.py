"""The run configuration: one frozen, validated tree that the page, the store, the worker and the checkpoint share.

A `RunConfig` is made of three sections (data, model, training). Setting names are unique across the sections, so
`config.updated(layers=4, horizon=24)` and `--set layers=4` need no section. The JSON written by `to_json` is the
only form in which a configuration travels.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from timellm.errors import ConfigError
from timellm.json_text import parse_json

_MOST_BYTES = 8 * 2**20  # of a configuration as text, which may name many thousand channels

Quantization = Literal["none", "8bit", "4bit"]


def _one_line(error: ValidationError) -> str:
    """Say every problem as `setting 'x' is 'v': why`, in one line."""
    problems = []
    for item in error.errors(include_url=False):
        name = ".".join(str(part) for part in item["loc"])
        reason = item["msg"].removeprefix("Value error, ")
        if not name:  # a rule over several settings, which names them itself
            problems.append(reason)
            continue
        found = "" if item["type"] in ("missing", "extra_forbidden") else f" is {item['input']!r}"
        problems.append(f"setting '{name}'{found}: {reason}")
    return "; ".join(problems)


class _Section(BaseModel):
    # Frozen, because the same object is shown, stored and trained on; unknown names are refused, because a typo in
    # `--set learning_rat=1` must not train with the default.
    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False, validate_default=True
    )

    def __init__(self, /, **settings: Any) -> None:
        try:
            super().__init__(**settings)
        except ValidationError as error:
            raise ConfigError(_one_line(error)) from None


class DataConfig(_Section):
    """Which table, what its columns mean, and how its rows are split."""

    path: str
    """CSV file, as an absolute path once a run is queued."""
    layout: Literal["auto", "wide", "long"] = "auto"
    """wide: one timestamp column and numeric columns; long: one row per series and timestamp."""
    time_column: str | None = None
    """Timestamp column; found by its content when not given."""
    id_column: str | None = None
    """Series ID column of a long table."""
    value_column: str | None = None
    """Target column of a long table."""
    channels: tuple[str, ...] = ()
    """Columns (wide) or series IDs (long) to learn and forecast; empty means all of them."""
    time_of_day_column: str | None = None
    """Column of times of day beside a timestamp column of dates; found by its content when not given."""
    decimal: Literal["auto", "point", "comma"] = "auto"
    """Decimal sign of numbers such as 1.017, which may be 1.017 or 1017. Columns that show their sign themselves (12.5)
    are read as they show; auto reads the others alike, and asks where no column shows it."""
    header: Literal["auto", "yes", "no"] = "auto"
    """Whether the first line names the columns; auto asks when the names look like data."""
    encoding: str = "auto"
    """Encoding of the text, such as utf-8, cp1252 or koi8-r; auto takes UTF-8 or what is clear, and asks otherwise."""
    frequency: str | None = None
    """Step between rows as a pandas offset alias (h, 15min, D, MS ...); found from the timestamps when not given."""
    split: str = "70%/10%/20%"
    """Train/validation/test in time order, as shares ("70%/10%/20%") or as rows ("8640/2880/2880")."""
    missing: Literal["skip", "interpolate"] = "skip"
    """skip: windows that touch a missing value are left out; interpolate: gaps in a context are filled from its own
    past, and windows that miss a value to forecast are left out."""
    description: str = Field("", max_length=4000)
    """What the data is, in a sentence or two; becomes the first part of the prompt."""

    @field_validator("encoding")
    @classmethod
    def _encoding_is_known(cls, name: str) -> str:
        try:
            if name != "auto":
                b"a".decode(name)
        except (LookupError, ValueError):
            raise ValueError("give auto or a text encoding, such as utf-8, cp1252, koi8-r or shift_jis") from None
        return name

    @field_validator("split")
    @classmethod
    def _split_is_readable(cls, text: str) -> str:
        parts = [part.strip() for part in text.split("/")]
        shares = [part.endswith("%") for part in parts]
        numbers = [part.rstrip("%").strip() for part in parts]
        if len(parts) != 3 or any(shares) != all(shares) or not all(n.isdigit() and int(n) > 0 for n in numbers):
            raise ValueError("give train/validation/test as shares like 70%/10%/20% or as rows like 8640/2880/2880")
        if all(shares) and sum(map(int, numbers)) != 100:
            raise ValueError("the three shares must add up to 100%")
        return "/".join(f"{int(n)}%" if share else str(int(n)) for n, share in zip(numbers, shares, strict=True))

    def split_rows(self, rows: int) -> tuple[int, int, int]:
        """Rows of train, validation and test for a table of `rows` rows.

        Of shares, train and test are rounded down and validation has the rest, as in the published benchmarks.

        Raises:
            ConfigError: the split needs more rows than there are.
        """
        parts = self.split.split("/")
        if self.split.endswith("%"):
            train, _, test = (rows * int(part.rstrip("%")) // 100 for part in parts)
            return train, rows - train - test, test
        train, validation, test = map(int, parts)
        if (total := train + validation + test) > rows:
            raise ConfigError(
                f"setting 'split' asks for {total:,} rows ({self.split}), but the table has {rows:,}; lower it"
            )
        return train, validation, test


class ModelConfig(_Section):
    """The network: window lengths, backbone, and the sizes of the trained adapters (paper section 3)."""

    backbone: str = "smollm2-135m"
    """Name in the catalogue, a Hugging Face model id, or a local folder."""
    layers: int = Field(6, ge=1, le=256)
    """How many of the backbone's layers are used, counted from the input."""
    quantization: Quantization = "none"
    """Storage of the frozen backbone: none, 8bit (int8, one scale a row) or 4bit (NF4 with double quantization)."""
    backbone_dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Arithmetic of the frozen backbone. float32: as the paper's; auto: bfloat16 where the machine multiplies it fast,
    because matrix products then run several times faster, float32 elsewhere."""
    trust_remote_code: bool = False
    """Run Python code that ships with the backbone, with all your rights on this machine. Only for a source you trust;
    almost no backbone needs it."""
    context: int = Field(336, ge=8, le=20_000)
    """Rows the model sees before it forecasts."""
    horizon: int = Field(96, ge=1, le=10_000)
    """Rows it forecasts."""
    patch_length: int = Field(16, ge=1, le=512)
    """Rows in one patch."""
    stride: int = Field(8, ge=1, le=512)
    """Rows between the starts of neighbouring patches."""
    d_model: int = Field(32, ge=1, le=4096)
    """Width of a patch embedding."""
    d_ff: int = Field(32, ge=1, le=8192)
    """Backbone channels kept for the head, and keys per attention head (as in the published code)."""
    heads: int = Field(8, ge=1, le=64)
    """Heads of the reprogramming attention."""
    prototypes: int = Field(1000, ge=2, le=20_000)
    """Text prototypes that patches are rewritten in."""
    prototype_source: Literal["direct", "map"] = "direct"
    """map: the paper's linear map over the vocabulary; direct: the same prototypes as free weights, because they span
    the same functions with a fraction of the weights (1/85 for SmolLM2) and of the time."""
    prompt_style: Literal["compact", "paper"] = "compact"
    """Wording of the prompt. paper: the published one; compact: the same facts in fewer words, because the statistics
    are read anew for every window and most of a short window's time goes into them."""
    statistic_digits: int = Field(2, ge=0, le=8)
    """Significant digits of the prompt's statistics. 0: all of them (up to 18), summed as the published code does;
    fewer, because each digit costs tokens in every window."""
    lags: Literal["distinct", "circular"] = "distinct"
    """Lags named in the prompt. circular: the published ones, 0 to context - 1; distinct: 1 to half the context,
    because 0 always leads the others and each of them comes twice, as k and context - k."""
    round_patches: bool = False
    """Round the normalised window to bfloat16 before it is cut, as the published code does; off, because it only loses
    digits."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout of patch embedding and head while training."""
    attention_dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout of the reprogramming attention while training. The published code has 0.1; 0, because only then no table
    of weights (windows x patches x prototypes) has to be written out."""

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


class TrainingConfig(_Section):
    """How the adapters are trained and when training ends."""

    steps: int = Field(100, ge=1, le=10_000_000)
    """Optimiser steps at most."""
    minutes: float | None = Field(None, gt=0, le=100_000)
    """Time budget for training; the schedule then follows the clock, and `steps` remains an upper bound."""
    batch_size: int = Field(32, ge=1, le=65_536)
    """Windows (one channel each) in one step."""
    learning_rate: float = Field(2e-3, gt=0, le=1)
    """Peak learning rate."""
    optimizer: Literal["adamw", "adam"] = "adamw"
    """Adam with decoupled weight decay, or plain Adam."""
    weight_decay: float = Field(0.01, ge=0, le=1)
    """Decoupled weight decay; AdamW only."""
    schedule: Literal["one-cycle", "cosine", "constant"] = "one-cycle"
    """one-cycle: rise for 30 %, fall to nothing; cosine: fall only; constant."""
    loss: Literal["mse", "mae", "huber"] = "mse"
    """Training loss on z-scored values."""
    accumulation: int = Field(1, ge=1, le=4096)
    """Parts in which a batch is worked through; more take less memory and more time, and the result is the same."""
    gradient_checkpointing: bool = False
    """Compute the backbone's activations again in the backward pass: much less memory, about a third more time."""
    clip_norm: float = Field(1.0, gt=0)
    """Gradients are scaled down to this norm."""
    validations: int = Field(6, ge=1, le=1000)
    """How often the validation part is looked at during the run."""
    validation_windows: int = Field(256, ge=1)
    """Windows of the validation part looked at each time, evenly spaced; all of them if there are fewer."""
    pinned_windows: int = Field(4, ge=0, le=16)
    """Validation windows whose forecast is kept at every validation, so that one sees how it came about; 0: none."""
    patience: int = Field(4, ge=1)
    """Validations without improvement before training stops early."""
    seed: int = Field(0, ge=0, le=2**31 - 1)
    """Seed of initial weights, batch order and dropout."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto uses a GPU where there is one."""
    deepspeed: str | None = None
    """DeepSpeed configuration file (JSON) with a ZeRO stage of 0 to 2, for a run of several processes; it is optional,
    and has to be installed."""
    tracker: Literal["none", "tensorboard", "mlflow", "wandb"] = "none"
    """Experiment tracker that also gets the run's numbers; it has to be installed. wandb is Weights & Biases."""

    @model_validator(mode="after")
    def _parts_hold_windows(self) -> Self:
        if self.accumulation > self.batch_size:
            raise ValueError(
                f"accumulation {self.accumulation} makes more parts than a batch of {self.batch_size} has windows;"
                " lower it to at most batch_size"
            )
        return self


class RunConfig(_Section):
    """Everything that decides a run's result."""

    data: DataConfig
    model: ModelConfig = Field(default_factory=ModelConfig)
    training: TrainingConfig = Field(default_factory=TrainingConfig)

    @classmethod
    def create(cls, path: str | Path, **settings: Any) -> RunConfig:
        """Defaults for the table at `path` with some settings changed, named without their section.

        Raises:
            ConfigError: a name is unknown or a value is not allowed.
        """
        return cls(data=DataConfig(path=str(path))).updated(**settings)

    def updated(self, **settings: Any) -> RunConfig:
        """The same configuration with some settings changed, named without their section.

        Raises:
            ConfigError: a name is unknown or a value is not allowed.
        """
        tree = self.to_dict()
        for name, value in settings.items():
            tree[section_of(name)][name] = value
        return RunConfig.from_dict(tree)

    def differences(self, other: RunConfig) -> dict[str, tuple[Any, Any]]:
        """Settings in which two configurations differ: name -> (this value, other value)."""
        mine, theirs = self.to_dict(), other.to_dict()
        return {
            name: (mine[section][name], theirs[section][name])
            for section in mine
            for name in mine[section]
            if mine[section][name] != theirs[section][name]
        }

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Plain nested dictionaries, lists and numbers."""
        return self.model_dump(mode="json")

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> RunConfig:
        """Inverse of `to_dict`; missing settings take their defaults.

        Raises:
            ConfigError: a name is unknown or a value is not allowed.
        """
        if not isinstance(tree, Mapping):
            raise ConfigError(
                f"a configuration is a JSON object with data, model and training, not {type(tree).__name__}"
            )
        return cls(**tree)

    def to_json(self) -> str:
        """The JSON text that store, worker and checkpoint share."""
        return json.dumps(self.to_dict(), indent=2)

    @classmethod
    def from_json(cls, text: str) -> RunConfig:
        """Inverse of `to_json`.

        Raises:
            ConfigError: the text is not JSON or not a configuration.
        """
        try:
            tree = parse_json(text, most_bytes=_MOST_BYTES)
        except ValueError as error:
            raise ConfigError(f"the configuration is not JSON: {error}") from None
        return cls.from_dict(tree)


SECTIONS: dict[str, type[_Section]] = {"data": DataConfig, "model": ModelConfig, "training": TrainingConfig}


def section_of(name: str) -> str:
    """The section that holds setting `name`.

    Raises:
        ConfigError: no section does; the message names the closest spelling.
    """
    for section, kind in SECTIONS.items():
        if name in kind.model_fields:
            return section
    known = [field for kind in SECTIONS.values() for field in kind.model_fields]
    close = get_close_matches(name, known, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else f"; known settings: {', '.join(known)}"
    raise ConfigError(f"there is no setting '{name}'{hint}")


def parse_setting(text: str) -> tuple[str, Any]:
    """Split `key=value` from a command line; the value's type is the setting's own.

    Raises:
        ConfigError: there is no `=`, no such setting, or it is the table, which has an argument of its own.
    """
    name, equals, value = text.partition("=")
    name = name.strip().replace("-", "_")
    if not equals:
        raise ConfigError(f"'{text}' is not key=value")
    section_of(name)
    if name == "path":
        raise ConfigError("the table is no setting of --set; name its file as the argument DATA.csv")
    if name == "channels":
        return name, tuple(part.strip() for part in value.split(",") if part.strip())
    return name, None if value.strip().lower() in ("none", "null", "") and not _has_none(name) else value.strip()


def _has_none(name: str) -> bool:
    """Whether "none" is one of the setting's own values."""
    return "none" in get_args(SECTIONS[section_of(name)].model_fields[name].annotation)


def setting_help(name: str) -> str:
    """One sentence on a setting, for a tooltip or `--help`.

    Raises:
        ConfigError: there is no such setting.
    """
    return SECTIONS[section_of(name)].model_fields[name].description or ""
