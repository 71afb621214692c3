"""How much memory a run will need, counted part by part without loading anything.

Inputs: a configuration, the backbone's shape, the table's size and what the program itself takes on this machine.
Outputs: `MemoryNeed`, the worst of four moments: the prototypes are made, a training step, a forward pass without
gradient, and the scoring of all test windows.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from timellm.config import ModelConfig, RunConfig
from timellm.config.notes import parse_notes
from timellm.forecasters.quantile_head_size import head_weights
from timellm.forecasters.ridge.limits import MOST_LAGS
from timellm.forecasters.time_llm.shape import BackboneShape
from timellm.forecasters.time_llm.wording import LAGS, STATISTICS, PromptFacts, digits
from timellm.sizing.activations import PassCount
from timellm.sizing.ridge import RidgeNeed, ridges_of
from timellm.sizing.table import TableSize, scoring_bytes, table_bytes, training_windows, validation_windows
from timellm.training.evaluation_batch import EVALUATION_BATCH

_MIB = 2**20
_TOKENIZER = {"llama": 1000, "gpt2": 1000, "bert": 500}
"""Bytes that a tokenizer takes for each word: those that merge pairs keep the pairs, too."""
_BETWEEN_BLOCKS = 1.45
"""The C library keeps freed blocks of up to 32 MiB, and new ones do not always fit between them: 1.37 and 1.6 times
what their blocks took in two runs (docs/measurements.md)."""
_USUAL_HOLIDAY = "New Year's Day (observed)"
_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True)
class MemoryNeed:
    """Parts in MiB, all of which are held at the worst moment."""

    process: float
    """Interpreter and libraries."""
    table: float
    """The table, and while its test part is scored what that holds."""
    embeddings: float
    """Word embeddings and position table of the backbone, and its tokenizer."""
    layers: float
    """Frozen layers in use, as they are stored."""
    adapters: float
    """Trained weights, prototypes or the paper's map among them, and the embeddings that the map multiplies."""
    optimizer: float
    """Gradients, and two moments for each trained weight."""
    prompt: float
    """Keys and values of the prompts in one pass, and of those that a training keeps."""
    activations: float
    """What one pass holds at its worst moment beside that."""

    @property
    def total(self) -> float:
        """MiB at the worst moment."""
        return sum(getattr(self, name) for name in self.__dataclass_fields__)


def memory_need(
    config: RunConfig,
    shape: BackboneShape,
    table: TableSize,
    *,
    process_mib: float | None,
    dtype: str,
    scored: bool = True,
) -> MemoryNeed:
    """Count the memory of a run whose frozen layers calculate in `dtype`.

    `process_mib` is what the program itself takes; None counts a GPU's memory, where neither program nor table is.
    A trial ends before the test part is `scored`.
    """
    model, training = config.model, config.trained
    trained, number_bytes = trained_weights(model, shape) + quantile_weights(config, shape), _BYTES[dtype]
    count = PassCount(model, shape, number_bytes, *prompt_tokens(config, shape), process_mib is not None)
    batch = min(training.batch_size, training_windows(config, table) or training.batch_size)
    part = math.ceil(batch / min(training.accumulation, batch))
    persistent = {
        "process": process_mib or 0.0,
        "embeddings": (shape.embedding_weights * number_bytes + _TOKENIZER[shape.family] * shape.vocabulary) / _MIB,
        "layers": (model.layers_run or 1) * _layer_bytes(model, shape, number_bytes) / _MIB,
    }
    adapters = 4 * (trained + (shape.vocabulary * shape.width if model.prototype_source == "map" else 0)) / _MIB
    # The linear path is solved, held and asked by the processor.
    ridge = 0.0 if process_mib is None else max(need.bytes for need in ridges_of(config, table)) / _MIB
    adapters += 0.0 if process_mib is None else _path_bytes(config, table) / _MIB
    # The map that direct prototypes start from, and the float32 embeddings it multiplies; both are let go at once.
    direct = model.prototype_source == "direct" and model.reprogramming == "prototypes"
    start = 4 * shape.vocabulary * (shape.width + model.prototypes) / _MIB if direct else 0
    # Gradients, two moments, and for a moment a copy of the largest weight, which the prototypes are.
    largest = model.prototypes * (shape.vocabulary if model.prototype_source == "map" else shape.width)
    largest = max(largest, quantile_weights(config, shape))
    optimizer = 4 * (3 * trained + largest) / _MIB
    prompts = count.kept_prompts(_prompts_read(config, table))
    kept = count.kept(part, checkpointed=training.gradient_checkpointing)
    read = 0.0 if process_mib is None else table_bytes(table) / _MIB
    moments = [
        {"table": read, "optimizer": 0.0, "prompt": 0.0, "activations": start},
        {"table": read, "optimizer": 0.0, "prompt": 0.0, "activations": ridge},
        {
            "table": read,
            "optimizer": optimizer,
            "prompt": count.prompt_cache(part) + prompts,
            "activations": _BETWEEN_BLOCKS * (kept + count.alive(part)),
        },
        {
            "table": read,
            "optimizer": optimizer,
            "prompt": count.prompt_cache(EVALUATION_BATCH) + prompts,
            "activations": _BETWEEN_BLOCKS * count.alive(EVALUATION_BATCH),
        },
    ]
    if scored and process_mib is not None:  # what the optimiser has freed is used again; the last gradients stay
        moments.append(
            {
                "table": read + scoring_bytes(config, table) / _MIB,
                "optimizer": 4 * trained / _MIB,
                "prompt": count.prompt_cache(EVALUATION_BATCH),
                "activations": _BETWEEN_BLOCKS * count.alive(EVALUATION_BATCH),
            }
        )
    return MemoryNeed(**persistent, adapters=adapters, **max(moments, key=lambda moment: sum(moment.values())))


def trained_weights(model: ModelConfig, shape: BackboneShape) -> int:
    """Weights that train."""
    keys = model.heads * model.d_ff
    prototypes = model.prototypes * (shape.vocabulary + 1 if model.prototype_source == "map" else shape.width)
    attention = keys * (model.d_model + 3 * shape.width + 3) + shape.width
    sharpness = model.heads if model.attention_scores == "cosine" else 0
    if model.reprogramming == "linear":
        prototypes, attention, sharpness = 0, (model.d_model + 1) * shape.width, 0
    head = (min(model.d_ff, shape.width) * model.patches + 1) * model.horizon
    rows = {"trained": min(model.context, MOST_LAGS) + 1, "weighted": 1}.get(model.linear_path, 0)
    linear = rows * model.horizon
    own = prototypes + attention + sharpness + head + linear + 3 * model.patch_length * model.d_model
    return own + _body_weights(model, shape.width)


def _prompts_read(config: RunConfig, table: TableSize) -> int:
    """Windows whose prompts a training reads, each counted once; fewer differ."""
    training = config.trained
    steps, validated = training.steps * training.batch_size, training.validation_windows
    if table.rows:
        steps, validated = (
            min(steps, training_windows(config, table)),
            min(validated, validation_windows(config, table)),
        )
    return steps + validated


def quantile_weights(config: RunConfig, shape: BackboneShape) -> int:
    """Weights of the quantile head; 0 without quantiles."""
    return head_weights(config, features=config.model.patches * min(config.model.d_ff, shape.width))


def _body_weights(model: ModelConfig, width: int) -> int:
    """Those of a trained layer in place of the language model."""
    attention = 4 * width * (width + 1) + 4 * width
    return {"attention": attention, "transformer_block": attention + width * (8 * width + 7)}.get(model.body, 0)


def _path_bytes(config: RunConfig, table: TableSize) -> float:
    """The maps of the linear path, which a processor holds."""
    model = config.model
    if model.linear_path == "none":
        return 0.0
    return RidgeNeed(config, table, asked=model).map_bytes


def prompt_tokens(config: RunConfig, shape: BackboneShape) -> tuple[int, int]:
    """Tokens (shared by all prompts, of one window) of the prompt, from the wording; tokenizers differ by some."""
    model = config.model
    if not model.has_prompt:
        return 0, 0
    kept = model.statistic_digits or 17
    facts = PromptFacts(
        config.data.description,
        model.context,
        model.horizon,
        told=(),
        minimum=digits(-1.2345678901234567, kept),
        maximum=digits(2.2345678901234567, kept),
        median=digits(-0.12345678901234567, kept),
        trend="upward",
        lags=(str(max(10, model.context // 3)),) * LAGS,
    )
    shared, heading, own = facts.text(model.prompt_style).rpartition(STATISTICS)
    return _tokens(shared + heading, shape), _tokens(own, shape) + _tokens(_told_words(model), shape)


def _told_words(model: ModelConfig) -> str:
    """Words on a window's time as long as any; holidays by a usual name, because their package may be missing here."""
    from timellm.data.told import MOST_AHEAD, MOST_PAST, example_words  # here, because it loads pandas

    notes = [note.text for note in parse_notes(model.dated_notes)]
    usual = [_USUAL_HOLIDAY] * (MOST_AHEAD + MOST_PAST) if model.holiday_country else []
    return max(example_words(model, sorted([*notes, *usual], key=len, reverse=True)), key=len)


def _tokens(text: str, shape: BackboneShape) -> int:
    """Words by their length, other signs in runs, and digits: one by one in newer tokenizers, in runs in older ones."""
    words = re.findall(r"[^\W\d_]+", text)
    signs = re.findall(r"[^\w\s]+|_", text)
    numerals = re.findall(r"\d" if shape.family == "llama" else r"\d{1,2}", text)
    return sum(1 + (len(word) - 1) // 9 for word in words) + len(numerals) + len(signs)


def _layer_bytes(model: ModelConfig, shape: BackboneShape, plain_bytes: int) -> float:
    """One layer as it is stored: int8 with a scale for each row, NF4 with doubly quantised scales, or plain."""
    if model.quantization == "8bit":
        return shape.layer_weights + 4 * shape.layer_rows
    if model.quantization == "4bit":  # a scale for 64 weights in 8 bits, and a float32 for 256 of those
        return shape.layer_weights * (1 / 2 + 1 / 64 + 4 / (64 * 256))
    return shape.layer_weights * plain_bytes
