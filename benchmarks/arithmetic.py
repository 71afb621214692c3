"""What a training step must compute, and how fast this machine multiplies: the yardstick of `benchmarks.step_time`.

Counted are the matrix products that no arrangement of a Time-LLM step with direct prototypes can leave out: the layers
over the statistics of each prompt (forward; only keys and values in the last layer), the layers over the patches
(forward, and backward to the input, as the weights are frozen), their attention, and the adapters (forward, backward to
inputs and weights). The prompt's part that all windows share is not counted, for it is computed once a run.
"""

from __future__ import annotations

import time

import torch
from transformers import AutoConfig

from benchmarks.contenders import D_FF, D_MODEL, HEADS, PROTOTYPES, Task


def step_flops(task: Task, *, batch: int, prompt_tokens: float, shared_tokens: float) -> float:
    """Floating-point operations of one step; `prompt_tokens` a window has of its own, after `shared_tokens`."""
    model = AutoConfig.from_pretrained(task.backbone)
    width, inner, layers = model.hidden_size, model.intermediate_size, task.layers
    key_width = width * model.num_key_value_heads // model.num_attention_heads
    keys_and_values = 2 * width * key_width
    layer = 2 * width * width + keys_and_values + 3 * width * inner  # multiplications a token

    patches = (task.context - 16) // 8 + 2
    own = prompt_tokens
    seen_by_prompt = shared_tokens + own / 2
    seen_by_patch = shared_tokens + own + patches / 2
    prompt = own * ((layers - 1) * (layer + 2 * width * seen_by_prompt) + keys_and_values)
    through = patches * layers * (2 * layer + 2 * width * 3 * seen_by_patch)  # backward attention: two products more

    keys = HEADS * D_FF
    once = PROTOTYPES * 2 * width * keys * 3
    each = patches * (3 * 16 * D_MODEL + D_MODEL * keys + 2 * keys * PROTOTYPES + keys * width) * 3
    head = patches * D_FF * task.horizon * 3
    return 2.0 * (batch * (prompt + through + each + head) + once)


def bf16_rate(size: int = 1536, seconds: float = 0.2) -> float:
    """Operations a second of a bfloat16 matrix product of the backbone's size, measured now."""
    left, right = torch.randn(size, size).bfloat16(), torch.randn(size, size).bfloat16()
    torch.mm(left, right)
    count, begin = 0, time.perf_counter()
    while (passed := time.perf_counter() - begin) < seconds:
        torch.mm(left, right)
        count += 1
    return count * 2 * size**3 / passed
