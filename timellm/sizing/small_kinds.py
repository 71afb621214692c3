"""Memory and time of the kinds without a language model, counted from the settings.

Inputs: a configuration, the table's size and the measured speed of the machine. Outputs: a `SmallNeed`. Every run also
fits the ridge and the simple rules and scores them, so their work is part of each. The constants were measured on one
core of an AMD EPYC with AVX2; docs/measurements.md says how near the counts come.

Shapes: T context, H horizon, P patches, F features of the ridge, B windows of a batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from timellm.config import AutoformerConfig, DLinearConfig, PatchTSTConfig, RunConfig
from timellm.config.forecasters import BudgetConfig
from timellm.errors import ConfigError
from timellm.forecasters.quantile_head_size import head_weights
from timellm.forecasters.registry import kind_of
from timellm.sizing.arithmetic import Seconds, training_seconds
from timellm.sizing.machine import MachineFacts
from timellm.sizing.memory import MemoryNeed
from timellm.sizing.ridge import ridges_of
from timellm.sizing.table import (
    TableSize,
    scoring_bytes,
    table_bytes,
    test_windows,
    training_windows,
    validation_windows,
)
from timellm.training.evaluation_batch import EVALUATION_BATCH, evaluated_windows

_MIB = 2**20
_TRANSFORMERS_MIB = 140.0
"""What a process holds less when the libraries of language models are not loaded."""
_STATISTICS_MIB, _OPTIMISER_MIB = 40.0, 60.0
"""What scoring loads for its tests of significance, and torch with its first optimiser."""
_LOADING_S, _TRANSFORMERS_S, _OPTIMISER_S = 4.0, 4.0, 2.0
_SCORING_S, _SCORED_WINDOW_S = 2.0, 2e-4
_RULES_S = 0.3
_SORTED = 8
"""Numbers that are held for each quantile of a window: the offset, sorted, its place in 8 bytes, misses and losses."""
_REACHED = 0.43
"""Share of the rates of a large product and of the main memory that small layers reach together."""


@dataclass(frozen=True)
class SmallNeed:
    """Memory, and seconds of each phase."""

    memory: MemoryNeed
    loading_s: float
    step_s: float
    """0 for a kind that is solved at once."""
    training_s: float
    """With validations, and with the fits of the quick kinds."""
    evaluation_s: float
    forecast_s: float


@dataclass(frozen=True)
class _Network:
    """A network's size, and the work of one window in one forward pass."""

    weights: int
    operations: float
    moved_bytes: float
    """Read and written by whatever is no matrix product."""
    kept_bytes: float
    """Held for the backward pass."""
    alive_bytes: float
    """Held at once without a backward pass."""
    overhead_s: float
    """A training step of no windows."""


def small_need(config: RunConfig, table: TableSize, facts: MachineFacts, *, windows: int | None = None) -> SmallNeed:
    """Count what `config` needs; `windows` are the usable windows of the test part, where they have been counted.

    Raises:
        ConfigError: the kind's need is not known from its settings, or what was measured is a graphics card's speed.
    """
    _check_known(config, facts)
    network = _NETWORKS[config.kind](config) if config.kind in _NETWORKS else None
    step_s, window_s = (0.0, 0.0) if network is None else _network_seconds(network, config, facts)
    windows = test_windows(config, table) if windows is None else windows
    loading_s = _LOADING_S
    training_s = _RULES_S + sum(need.seconds(facts) for need in ridges_of(config, table))
    if network is not None:
        loading_s += _OPTIMISER_S + (_TRANSFORMERS_S if _loads_transformers(config) else 0.0)
        seconds = Seconds(loading=loading_s, step=step_s, window=window_s, again=window_s)
        training_s += training_seconds(config, seconds, validation_windows=validation_windows(config, table))
    return SmallNeed(
        _memory(network, config, table, facts),
        loading_s,
        step_s,
        training_s,
        _SCORING_S + _SCORED_WINDOW_S * windows + evaluated_windows(windows) * window_s,
        evaluated_windows(len(config.data.channels) or table.channels) * window_s,
    )


def _check_known(config: RunConfig, facts: MachineFacts) -> None:
    title = kind_of(config.kind).title
    if isinstance(config.forecaster, BudgetConfig):
        raise ConfigError(
            f"{title} is not estimated, because its memory is that of its own package and weights; it forecasts the"
            f" test part for at most {config.forecaster.budget_s:g} s (budget_s)"
        )
    if facts.gpu is not None:
        raise ConfigError(f"{title} is not estimated on a machine with a graphics card, whose speed was measured alone")


def _memory(network: _Network | None, config: RunConfig, table: TableSize, facts: MachineFacts) -> MemoryNeed:
    process = facts.process_mib + _STATISTICS_MIB
    process += (0.0 if _loads_transformers(config) else -_TRANSFORMERS_MIB) + (
        0.0 if network is None else _OPTIMISER_MIB
    )
    moments = [*(need.bytes for need in ridges_of(config, table)), scoring_bytes(config, table)]
    if network is not None:
        training = config.trained
        batch = min(training.batch_size, training_windows(config, table) or training.batch_size)
        moments += [-(-batch // training.accumulation) * network.kept_bytes, EVALUATION_BATCH * network.alive_bytes]
    weights = 4 * (network.weights if network else 0) / _MIB
    return MemoryNeed(
        process=process,
        table=table_bytes(table) / _MIB,
        embeddings=0.0,
        layers=0.0,
        adapters=weights,
        optimizer=3 * weights,
        prompt=0.0,
        activations=max(moments) / _MIB,
    )


def _loads_transformers(config: RunConfig) -> bool:
    return isinstance(config.forecaster, PatchTSTConfig)


def _network_seconds(network: _Network, config: RunConfig, facts: MachineFacts) -> tuple[float, float]:
    """Seconds of a training step, and of a window without gradient."""
    bytes_per_s = facts.gib_per_s * 2**30
    forward = network.operations / (1e9 * facts.gflops["float32"]) + network.moved_bytes / bytes_per_s
    forward /= _REACHED
    parts = min(config.trained.accumulation, config.trained.batch_size)
    step = parts * network.overhead_s + 3 * config.trained.batch_size * forward
    # The optimiser reads and writes weight, gradient and two moments.
    step += 7 * 4 * network.weights / bytes_per_s
    return step, forward + network.overhead_s / 2 / EVALUATION_BATCH


def _dlinear(config: RunConfig) -> _Network:
    context, horizon = config.task.context, config.task.horizon
    levels, quantiles = len(config.quantiles), head_weights(config, features=context)
    values = 4.0 * (4 * context + 2 * horizon + (context + _SORTED * levels * horizon if levels else 0))
    operations = 4.0 * context * horizon + 2.0 * context * horizon * levels
    weights = 2 * (context + 1) * horizon + quantiles
    return _Network(weights, operations, 2 * values, values, values, overhead_s=4e-3)


def _patchtst(config: RunConfig) -> _Network:
    settings, context, horizon = config.forecaster, config.task.context, config.task.horizon
    assert isinstance(settings, PatchTSTConfig)
    patches, width = max(1, (context - settings.patch_length) // settings.stride + 1), settings.d_model
    layer = 4 * width**2 + 2 * width * settings.d_ff
    levels, quantiles = len(config.quantiles), head_weights(config, features=patches * width)
    head = patches * width * horizon
    attended = 4 * patches**2 * width
    rows = settings.layers * patches
    values = rows * (12 * width + 4 * settings.d_ff + 4 * settings.heads * patches) + _SORTED * levels * horizon
    return _Network(
        settings.layers * layer + head + (settings.patch_length + patches) * width + quantiles,
        2.0 * rows * layer + settings.layers * attended + 2 * head * (1 + levels),
        8.0 * values,
        4.0 * values,
        4.0 * values / settings.layers,
        overhead_s=15e-3,
    )


def _autoformer(config: RunConfig) -> _Network:
    settings, context, horizon = config.forecaster, config.task.context, config.task.horizon
    assert isinstance(settings, AutoformerConfig)
    width, decoded = settings.d_model, context // 2 + horizon
    inner = 2 * width * settings.d_ff
    # A decoder layer correlates twice: with itself, and with what the encoder gives.
    rows = settings.encoder_layers * context + 2 * settings.decoder_layers * decoded
    layers = settings.encoder_layers * (4 * width**2 + inner) + settings.decoder_layers * (8 * width**2 + inner)
    products = settings.encoder_layers * context * (4 * width**2 + inner)
    products += settings.decoder_layers * decoded * (8 * width**2 + inner)
    # Fourier transforms and moving averages read and write a row some hundred times.
    return _Network(layers, 2.0 * products, 8.0 * 130 * rows * width, 4.0 * 46 * rows * width, 4.0 * 16 * rows * width,
                    overhead_s=20e-3)  # fmt: skip


_NETWORKS: dict[str, Callable[[RunConfig], _Network]] = {
    DLinearConfig.model_fields["kind"].default: _dlinear,
    PatchTSTConfig.model_fields["kind"].default: _patchtst,
    AutoformerConfig.model_fields["kind"].default: _autoformer,
}
