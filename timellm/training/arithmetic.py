"""How many operations a run takes, counted from its matrix products; with this machine's rates, how long.

Enters: a configuration, the backbone's shape and what was measured of the machine. Leaves: `Seconds` by arithmetic,
which `timellm.training.estimate` then corrects by what past runs or a trial really took.

Shapes: B windows, P patches, L prompt tokens, D backbone width, V prototypes, W vocabulary, h heads, K head size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from timellm.config import RunConfig
from timellm.model.shape import BackboneShape
from timellm.training.machine import MachineFacts
from timellm.training.memory import EVALUATION_BATCH, prompt_tokens, trained_weights

_REACHED = 0.36
"""Share of the rate of a large matrix product that a whole step reaches on a CPU (docs/measurements.md)."""
_LOADING_S = 8.0
"""Starting Python and importing torch and transformers; the weights come on top."""
_READ_MIB_PER_S = 400.0


@dataclass(frozen=True)
class Seconds:
    """What one unit of each phase takes."""

    loading: float
    step: float
    window: float
    """One window without gradient."""


def seconds_by_arithmetic(config: RunConfig, shape: BackboneShape, facts: MachineFacts, *, dtype: str) -> Seconds:
    """Seconds from counted operations and measured rates."""
    frozen, trained = _operations(config, shape, gradient=True)
    parts = min(config.training.accumulation, config.training.batch_size)
    once = _prototype_operations(config, shape)
    rate = _REACHED * 1e9 * facts.gflops.get(dtype, facts.gflops["float32"])
    rate32 = _REACHED * 1e9 * facts.gflops["float32"]
    unpacking = _unpacking_s(config, shape, facts)
    checkpointed = config.training.gradient_checkpointing
    # Forward, backward, and with checkpointing forward again; the prompt of a causal backbone goes forward alone.
    unpackings = parts * (2 + checkpointed + shape.causal)
    step = config.training.batch_size * (frozen / rate + trained / rate32)
    step += 3 * parts * once / rate32 + unpackings * unpacking
    # The optimiser reads and writes weight, gradient and two moments.
    step += 7 * 4 * trained_weights(config.model, shape) / (facts.gib_per_s * 2**30)
    frozen_forward, trained_forward = _operations(config, shape, gradient=False)
    batch = (
        EVALUATION_BATCH * (frozen_forward / rate + trained_forward / rate32)
        + once / rate32
        + (1 + shape.causal) * unpacking
    )
    weights_mib = (shape.embedding_weights + config.model.layers * shape.layer_weights) * 4 / 2**20
    return Seconds(loading=_LOADING_S + weights_mib / _READ_MIB_PER_S, step=step, window=batch / EVALUATION_BATCH)


def _operations(config: RunConfig, shape: BackboneShape, *, gradient: bool) -> tuple[float, float]:
    """Operations of one window in (the frozen layers, the adapters) for a pass forward, with `gradient` also back."""
    model = config.model
    shared, own = prompt_tokens(config, shape)
    keys = model.patches + shared + own
    rows = model.patches + (0 if shape.causal else shared + own)
    width = shape.heads * shape.head_size
    product, attended = 2 * rows * shape.layer_weights, 4 * rows * keys * width
    # Backward, a frozen matrix passes its gradient on but has none of its own; attention has both.
    again = 1 if gradient and config.training.gradient_checkpointing else 0
    frozen = product * (1 + gradient + again) + attended * (1 + 2 * gradient + again)
    frozen *= model.layers
    if shape.causal:  # the prompt's own tokens; its last layer gives only keys and values
        frozen += (model.layers - 1) * own * (2 * shape.layer_weights + 4 * (shared + own) * width)
    heads = model.heads * model.d_ff
    adapters = 2 * model.patches * heads * (model.d_model + shape.width + 2 * model.prototypes)
    adapters += 2 * model.patches * min(model.d_ff, shape.width) * model.horizon
    return frozen, adapters * (3 if gradient else 1)


def _prototype_operations(config: RunConfig, shape: BackboneShape) -> float:
    """Operations of one pass that do not depend on how many windows it has: prototypes, their keys and values."""
    model = config.model
    mapped = 2 * model.prototypes * shape.vocabulary * shape.width if model.prototype_source == "map" else 0
    return mapped + 4 * model.prototypes * shape.width * model.heads * model.d_ff


def _unpacking_s(config: RunConfig, shape: BackboneShape, facts: MachineFacts) -> float:
    """Seconds to bring every quantised layer into the arithmetic of the products once."""
    if config.model.quantization == "none":
        return 0.0
    passes = {"8bit": 4, "4bit": 12}[config.model.quantization]  # bytes read and written for each weight, in all
    return config.model.layers * shape.layer_weights * passes / (facts.gib_per_s * 2**30)


def training_seconds(config: RunConfig, seconds: Seconds, *, validation_windows: int) -> float:
    """Training with its validations; a time budget ends it if that comes first."""
    looked_at = (
        math.ceil(min(config.training.validation_windows, validation_windows) / EVALUATION_BATCH) * EVALUATION_BATCH
    )
    whole = config.training.steps * seconds.step + config.training.validations * looked_at * seconds.window
    return min(whole, 60 * config.training.minutes) if config.training.minutes else whole
