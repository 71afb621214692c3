"""Gradient checkpointing of a frozen backbone whose prompt is cached.

A checkpointed layer runs twice, in the forward and again in the backward pass. It must find the same keys and values
of the prompt both times, so the cache is only read, never written, while patches run.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer
from transformers.modeling_layers import GradientCheckpointingLayer

from timellm.errors import BackboneError


class _ReadOnlyLayer(DynamicLayer):
    """One layer's keys and values of the prompt; those of the patches are appended for one call and not kept."""

    def update(self, key_states: Tensor, value_states: Tensor, *_: object, **__: object) -> tuple[Tensor, Tensor]:
        return torch.cat([self.keys, key_states], dim=-2), torch.cat([self.values, value_states], dim=-2)


def read_only(cache: DynamicCache) -> DynamicCache:
    """The same cache, closed to writing."""
    for layer in cache.layers:
        layer.__class__ = _ReadOnlyLayer
    return cache


def checkpoint_layers(model: nn.Module, *, name: str) -> None:
    """Let every layer of the backbone `model`, called `name`, keep only its input and run again for its gradient.

    Raises:
        BackboneError: its code has no layers that can be run again.
    """
    layers = [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]
    if not layers:
        raise BackboneError(f"the code of {name} cannot run a layer again; turn 'gradient_checkpointing' off")
    for layer in layers:
        layer.gradient_checkpointing = True
        layer._can_checkpoint_with_cache = True  # see `_ReadOnlyLayer`; without it the library drops the prompt
        layer._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False, preserve_rng_state=False)
        # The library checkpoints in training mode only. Just the layer's own flag: its dropouts below stay off, which
        # is also why no random state needs to be kept.
        layer.training = True
