"""Memory of one pass through the network, counted tensor by tensor: kept for the backward pass, or used for a moment.

Frozen matrices keep no input for a backward pass, so a layer keeps only what its norms, its attention and its
activation function need. `tests/training/test_memory.py` compares these counts with what autograd really saves. Sizes
in MiB.

Shapes: B windows, P patches, L prompt tokens, D backbone width, I inner width, V prototypes, h heads, K head size.
"""

from __future__ import annotations

from dataclasses import dataclass

from timellm.config import ModelConfig
from timellm.forecasters.time_llm.pass_sizes import LENGTHS, MOST_KEPT_BYTES, prompts_in_pass
from timellm.forecasters.time_llm.shape import BackboneShape

_MIB = 2**20
_FLOAT32 = 4
_NORMS = 2  # in a layer; each keeps its input
_INNER = {"llama": 3, "gpt2": 4, "bert": 1}
"""Tensors of inner width that a layer keeps: gate, activated gate and what it multiplies; four of GPT-2's written-out
GELU; one of a GELU in one piece."""


@dataclass(frozen=True)
class PassCount:
    """Counts the memory of one pass of B windows."""

    model: ModelConfig
    shape: BackboneShape
    number_bytes: int
    """Bytes of a number in the frozen layers' arithmetic."""
    shared: int
    """Prompt tokens that all windows share."""
    own: int
    """Prompt tokens of one window."""
    on_cpu: bool = True

    @property
    def _prompt(self) -> int:
        return -(-(self.shared + self.own) // LENGTHS) * LENGTHS  # as the network pads them while it trains

    @property
    def _token_bytes(self) -> int:
        """Keys and values of one token in all layers."""
        return self.model.layers_run * 2 * self.shape.key_value_heads * self.shape.head_size * self.number_bytes

    @property
    def _prompts_in_pass(self) -> int:
        return prompts_in_pass(on_cpu=self.on_cpu, quantized=self.model.quantization != "none")

    @property
    def _positions(self) -> int:
        """Positions of a window that carry a gradient."""
        return self.model.patches + (0 if self.shape.causal else self._prompt)

    @property
    def _keys(self) -> int:
        """Positions that these attend to."""
        return self.model.patches + self._prompt

    def prompt_cache(self, windows: int) -> float:
        """Keys and values of the prompts; a backbone that is not causal has none."""
        return windows * self._prompt * self._token_bytes / _MIB if self.shape.causal else 0.0

    def kept_prompts(self, windows: int) -> float:
        """Keys and values that a training keeps, if no two of so many windows have the same prompt."""
        padded = -(-(self.shared + self.own) // LENGTHS) * LENGTHS - self.shared
        needed = windows * padded * self._token_bytes if self.shape.causal and self.own else 0
        return min(needed, MOST_KEPT_BYTES) / _MIB

    def kept(self, windows: int, *, checkpointed: bool = False) -> float:
        """What a forward pass keeps for its backward pass, without the keys and values of the prompts."""
        layer = self._kept_by_layer(windows)
        if checkpointed:  # the input of every layer, and one layer's inside at a time
            hidden = windows * self._positions * self.shape.width * self.number_bytes
            return (self._kept_outside(windows) + self.model.layers_run * hidden + layer) / _MIB
        return (self._kept_outside(windows) + self.model.layers_run * layer) / _MIB

    def alive(self, windows: int) -> float:
        """Memory used for a moment inside the largest layer or attention, forward or backward."""
        rows = self.own if self.shape.causal else self._positions
        patches = self._alive_in_layer(windows, rows=self._positions, keys=self._keys)
        read = self._prompts_in_pass if self.shape.causal else windows
        prompts = self._alive_in_layer(read, rows=rows, keys=self._prompt if self.shape.causal else self._keys)
        return max(patches, prompts) / _MIB

    def _kept_by_layer(self, windows: int) -> float:
        shape = self.shape
        positions, queries = windows * self._positions, shape.heads * shape.head_size
        numbers = positions * (_NORMS * shape.width + _INNER[shape.family] * shape.inner + queries)
        numbers += 2 * positions * shape.key_value_heads * shape.head_size
        weights = windows * shape.heads * self._positions * self._keys
        return (numbers + weights) * self.number_bytes

    def _kept_outside(self, windows: int) -> float:
        """Patch embedding and reprogramming attention in float32, and the norm before or after all layers."""
        model, rows = self.model, windows * self.model.patches
        keys = model.heads * model.d_ff
        numbers: float = rows * (2 * keys + 3 * model.d_model) + 2 * model.prototypes * keys
        if model.attention_dropout:  # then the weights are written out: before, after and, in a byte, which stay
            numbers += (2 + 1 / _FLOAT32) * rows * model.heads * model.prototypes
        normed = windows * self._positions * self.shape.width
        return numbers * _FLOAT32 + normed * self.number_bytes

    def _alive_in_layer(self, windows: int, *, rows: int, keys: int) -> float:
        shape = self.shape
        positions = windows * rows
        scores = windows * shape.heads * rows * keys * 2 * self.number_bytes
        inner = positions * 3 * shape.inner * self.number_bytes
        return max(scores, inner) + positions * shape.width * (_FLOAT32 + 2 * self.number_bytes)
