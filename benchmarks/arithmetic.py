"""What a training step must compute, and how fast this machine multiplies: the yardstick of `benchmarks.step_time`.

Counted are the matrix products of a step with direct prototypes, as the estimate of a run's time counts them: the
layers over each prompt's own tokens, over the patches forward and back to their input, attention, and the adapters.
"""

from __future__ import annotations

import time

import torch

from benchmarks.contenders import D_FF, D_MODEL, HEADS, PROTOTYPES, Task, chosen_patches
from timellm.config import ModelConfig
from timellm.forecasters.time_llm.shape import backbone_shape
from timellm.sizing.arithmetic import prototype_operations, window_operations


def step_flops(task: Task, *, batch: int, prompt_tokens: float, shared_tokens: float) -> float:
    """Floating-point operations of one step; `prompt_tokens` a window has of its own, after `shared_tokens`."""
    return _flops(task, batch=batch, prompt=(shared_tokens, prompt_tokens), passes=3)


def forecast_flops(task: Task, *, batch: int, prompt_tokens: float, shared_tokens: float) -> float:
    """The same of forecasting `batch` windows."""
    return _flops(task, batch=batch, prompt=(shared_tokens, prompt_tokens), passes=1)


def _flops(task: Task, *, batch: int, prompt: tuple[float, float], passes: int) -> float:
    model = ModelConfig(
        backbone=task.backbone, layers=task.layers, context=task.context, horizon=task.horizon,
        heads=HEADS, d_model=D_MODEL, d_ff=D_FF, prototypes=PROTOTYPES, **chosen_patches(task),
    )  # fmt: skip
    shape = backbone_shape(task.backbone)
    window = sum(window_operations(model, shape, prompt=prompt, passes=passes))
    return batch * window + passes * prototype_operations(model, shape)


def bf16_rate(size: int = 1536, seconds: float = 0.2) -> float:
    """Operations a second of a bfloat16 matrix product of the backbone's size, measured now."""
    left, right = torch.randn(size, size).bfloat16(), torch.randn(size, size).bfloat16()
    torch.mm(left, right)
    count, begin = 0, time.perf_counter()
    while (passed := time.perf_counter() - begin) < seconds:
        torch.mm(left, right)
        count += 1
    return count * 2 * size**3 / passed
