"""Attention for the frozen backbone's layers when only some positions carry a gradient; registered with transformers.

On a CPU the library's fused kernel spends five times longer in backward than the arithmetic needs. Here heads that
share keys are folded into the query rows, so keys and values are never copied for each head, and three plain matrix
products remain. On a GPU the library's fused kernel is used.

Shapes: B batch, h heads, g key/value heads, Q query rows, L keys, K head size.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

NAME = "timellm_folded"

_enough_in_layer: ContextVar[int] = ContextVar("_enough_in_layer", default=-1)  # no layer


class _KeysAreEnough(Exception):
    """Ends a forward pass once the last layer's keys and values are in the cache."""


@contextmanager
def only_keys_and_values(layers: int) -> Iterator[None]:
    """Run a pass for its cache alone: it ends when the last of `layers` has stored its keys and values.

    An exception leaves the model, because no architecture offers a pass that ends there. Attention other than ours
    (on a GPU) runs to the end, with the same result.
    """
    token = _enough_in_layer.set(layers - 1)
    try:
        yield
    except _KeysAreEnough:
        pass
    finally:
        _enough_in_layer.reset(token)


def stop_if_enough(module: nn.Module) -> None:
    """Called by a layer's attention once its keys and values are in the cache; see `only_keys_and_values`."""
    if getattr(module, "layer_idx", None) == _enough_in_layer.get():
        raise _KeysAreEnough


def folded_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **_: object,
) -> tuple[Tensor, None]:
    """query [B, h, Q, K], key and value [B, g, L, K], additive mask [B, 1, Q, L] or None -> [B, Q, h, K].

    The argument list is transformers' own. Dropout is not applied: the backbone is frozen and in evaluation mode.
    """
    stop_if_enough(module)
    batch, heads, rows, size = query.shape
    groups = key.shape[1]
    scale = size**-0.5 if scaling is None else scaling
    folded = (query if scale == 1 else query * scale).reshape(batch, groups, (heads // groups) * rows, size)
    scores = folded @ key.transpose(-1, -2)
    if attention_mask is not None:
        # In place, because the gradient of a product needs its factors and not its result; and behind autograd's back,
        # because for it an addition to a view means two more copies of all scores in the backward pass.
        scores.detach().view(batch, heads, rows, -1).add_(attention_mask)
    # The kernel adds up in float32 and rounds once, so there is nothing to gain from asking for float32 and rounding.
    weights = scores.softmax(dim=-1)
    return (weights @ value).reshape(batch, heads, rows, size).transpose(1, 2), None


AttentionInterface.register(NAME, folded_attention)
# The additive mask, because the boolean one is left out whenever a fused kernel could do without it.
AttentionMaskInterface.register(NAME, eager_mask)
