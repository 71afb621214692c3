"""The number of operations of a run, counted from its matrix products, and its time at this machine's speed.

Inputs: a configuration, the backbone's shape and the measured speed of the machine. Outputs: `Seconds` by arithmetic,
which `timellm.sizing.estimate` then corrects by the real times of past runs or of a trial.

Shapes: B windows, P patches, L prompt tokens, D backbone width, V prototypes, W vocabulary, h heads, K head size.
"""

from __future__ import annotations

from dataclasses import dataclass

from timellm.config import ModelConfig, RunConfig
from timellm.forecasters.time_llm.shape import BackboneShape
from timellm.sizing.machine import MachineFacts
from timellm.sizing.memory import prompt_tokens, quantile_weights, trained_weights
from timellm.training.evaluation_batch import EVALUATION_BATCH, evaluated_windows

_REACHED = 0.36
"""Share of the rate of a large matrix product that a whole step reaches on a CPU (docs/measurements.md)."""
STARTING_S = 8.0
"""Starting Python and importing torch and transformers; the weights come on top."""
_READ_MIB_PER_S = 400.0


@dataclass(frozen=True)
class Seconds:
    """Seconds for one unit of each phase."""

    loading: float
    step: float
    window: float
    """One window without gradient."""
    again: float
    """One whose prompt has been read before."""


def seconds_by_arithmetic(config: RunConfig, shape: BackboneShape, facts: MachineFacts, *, dtype: str) -> Seconds:
    """Seconds from counted operations and measured rates."""
    prompt = prompt_tokens(config, shape)
    checkpointed = config.trained.gradient_checkpointing
    frozen, trained = window_operations(config.model, shape, prompt=prompt, passes=3 + checkpointed)
    parts = min(config.trained.accumulation, config.trained.batch_size)
    once = prototype_operations(config.model, shape)
    rate = _REACHED * 1e9 * facts.gflops.get(dtype, facts.gflops["float32"])
    rate32 = _REACHED * 1e9 * facts.gflops["float32"]
    unpacking = _unpacking_s(config, shape, facts)
    # Forward, backward, and with checkpointing forward again; the prompt of a causal backbone goes forward alone.
    unpackings = parts * (2 + checkpointed + shape.causal)
    step = config.trained.batch_size * (frozen / rate + trained / rate32)
    step += 3 * parts * once / rate32 + unpackings * unpacking
    # The optimiser reads and writes weight, gradient and two moments.
    weights = trained_weights(config.model, shape) + quantile_weights(config, shape)
    step += 7 * 4 * weights / (facts.gib_per_s * 2**30)
    frozen_forward, trained_forward = window_operations(config.model, shape, prompt=prompt, passes=1)
    again_forward, _ = window_operations(config.model, shape, prompt=prompt, passes=1, read=False)
    batch, again = (
        EVALUATION_BATCH * (frozen / rate + trained_forward / rate32) + once / rate32 + (1 + shape.causal) * unpacking
        for frozen in (frozen_forward, again_forward)
    )
    weights_mib = (shape.embedding_weights + config.model.layers_run * shape.layer_weights) * 4 / 2**20
    return Seconds(
        loading=STARTING_S + weights_mib / _READ_MIB_PER_S,
        step=step,
        window=batch / EVALUATION_BATCH,
        again=again / EVALUATION_BATCH,
    )


def window_operations(
    model: ModelConfig, shape: BackboneShape, *, prompt: tuple[float, float], passes: int, read: bool = True
) -> tuple[float, float]:
    """Operations of one window in (the frozen layers, the adapters).

    `prompt` has the tokens that all windows share, which are computed once a run and not counted, and a window's own.
    Without `read`, the prompt of a causal backbone has been read before. `passes` is 1 for a forecast, 3 with a
    backward pass (to inputs and to weights), 4 if layers run again for it.
    """
    shared, own = prompt
    keys = model.patches + shared + own
    rows = model.patches + (0 if shape.causal else shared + own)
    width = shape.heads * shape.head_size
    product, attended = 2 * rows * shape.layer_weights, 4 * rows * keys * width
    # Backward, a frozen matrix passes its gradient on but has none of its own; attention has both.
    frozen = product * (passes - (passes > 1)) + attended * passes
    frozen *= model.layers_run
    if shape.causal and model.layers_run and read:  # the prompt's own tokens; its last layer gives only keys and values
        frozen += (model.layers_run - 1) * own * (2 * shape.layer_weights + 4 * (shared + own) * width)
    heads = model.heads * model.d_ff
    adapters = 2 * model.patches * heads * (model.d_model + shape.width + 2 * model.prototypes)
    adapters += 2 * model.patches * min(model.d_ff, shape.width) * model.horizon * (1 + len(model.quantiles))
    return frozen, adapters * min(passes, 3)


def prototype_operations(model: ModelConfig, shape: BackboneShape) -> float:
    """Operations of one forward pass that do not depend on how many windows it has: prototypes, their keys, values."""
    mapped = 2 * model.prototypes * shape.vocabulary * shape.width if model.prototype_source == "map" else 0
    return mapped + 4 * model.prototypes * shape.width * model.heads * model.d_ff


def _unpacking_s(config: RunConfig, shape: BackboneShape, facts: MachineFacts) -> float:
    """Seconds to bring every quantised layer into the arithmetic of the products once."""
    if config.model.quantization == "none":
        return 0.0
    passes = {"8bit": 4, "4bit": 12}[config.model.quantization]  # bytes read and written for each weight, in all
    return config.model.layers_run * shape.layer_weights * passes / (facts.gib_per_s * 2**30)


def training_seconds(config: RunConfig, seconds: Seconds, *, validation_windows: int) -> float:
    """Training with its validations; a time budget ends it if that comes first."""
    looked_at = evaluated_windows(min(config.trained.validation_windows, validation_windows))
    validating = seconds.window + (config.trained.validations - 1) * seconds.again
    whole = config.trained.steps * seconds.step + looked_at * validating
    return min(whole, 60 * config.trained.minutes) if config.trained.minutes else whole
