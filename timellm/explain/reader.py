"""Reads attention of any windows from a run's folder, without the backbone: patches attend before it runs.

Inputs: a run folder, and windows. Outputs: attention of the windows' patches to the text prototypes, from the trained
adapter and the prototypes that the run keeps. Everything is loaded once and nothing is kept between calls.

Shapes: W windows, T context, h heads, P patches, V prototypes, D backbone width.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from timellm.config import ModelConfig
from timellm.data.prepared import PreparedData
from timellm.data.windows import WindowIndex
from timellm.errors import ConfigError
from timellm.forecasters.time_llm.patching import PatchEmbedding, instance_norm, patch_spans
from timellm.forecasters.time_llm.reprogramming import Reprogramming
from timellm.forecasting.artifacts import RunFolder
from timellm.training.checkpoint import read_adapter

NO_ATTENTION = (
    "this run has no attention over text prototypes: a linear map rewrites its patches (reprogramming=linear);"
    " choose a run with reprogramming=prototypes"
)
_WEIGHTS_AT_ONCE = 8_000_000


class AttentionReader:
    """The parts of a trained Time-LLM that patches pass before the backbone."""

    def __init__(
        self, config: ModelConfig, tensors: dict[str, Tensor], *, prototypes_VD: Tensor, words: list[list[str]]
    ) -> None:
        """`tensors` are those of the adapter; `words` name the prototypes, nearest first."""
        self.config = config
        self.prototypes_VD = prototypes_VD
        self.words = tuple(tuple(names) for names in words)
        self.spans_P2 = np.array(patch_spans(config.context, patch_length=config.patch_length, stride=config.stride))
        """Rows of the context that each patch covers, end exclusive."""
        rows_PS = self.spans_P2[:, :1] + np.arange(config.patch_length)
        self.rows_PS = np.minimum(rows_PS, config.context - 1)
        """The row of each value of each patch; past the end the last row repeats, as in the patch embedding."""
        self._embedding = PatchEmbedding(
            patch_length=config.patch_length,
            stride=config.stride,
            d_model=config.d_model,
            dropout=0.0,
            rounded=config.round_patches,
        )
        self._reprogramming = Reprogramming(
            d_model=config.d_model,
            heads=config.heads,
            keys=config.d_ff,
            width=prototypes_VD.shape[1],
            dropout=0.0,
            cosine=config.attention_scores == "cosine",
        )
        for prefix, module in (("patch_embedding.", self._embedding), ("reprogramming.", self._reprogramming)):
            module.load_state_dict(
                {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
            )
            module.eval()

    @classmethod
    def open(cls, run_dir: str | Path) -> Self:
        """The reader of a finished run.

        Raises:
            CheckpointError: the run folder is incomplete or damaged.
            ConfigError: the run has no such attention.
        """
        folder = RunFolder(Path(run_dir))
        config = folder.config()
        if config.model.reprogramming == "linear":
            raise ConfigError(NO_ATTENTION)
        tensors = read_adapter(folder.path)
        return cls(config.model, tensors, prototypes_VD=folder.prototypes(), words=folder.words())

    @torch.inference_mode()
    def weights(self, scaled_WT: np.ndarray) -> np.ndarray:
        """Attention [W, h, P, V] of windows that are z-scored by channel; each row over V sums to 1."""
        context_WT = torch.as_tensor(scaled_WT, dtype=torch.float32)
        normed_WT, _, _ = instance_norm(context_WT, as_published=self.config.statistic_digits == 0)
        found: np.ndarray = self._reprogramming.attention(
            self._embedding(normed_WT), prototypes_VD=self.prototypes_VD
        ).numpy()
        return found

    def over(self, prepared: PreparedData, index: WindowIndex) -> Iterator[tuple[WindowIndex, np.ndarray]]:
        """The windows of `index` in parts that take little memory, each with its attention [W, h, P, V]."""
        each = self.config.heads * len(self.spans_P2) * len(self.prototypes_VD)
        size, past = max(1, _WEIGHTS_AT_ONCE // each), prepared.scaled_past
        for begin in range(0, len(index), size):
            part = index.part(begin, begin + size)
            rows_WT = part.origin[:, None] + np.arange(-prepared.context, 0)
            scaled_WT = past.before(part.origin, channel=part.channel, rows_WK=rows_WT)
            yield part, self.weights(scaled_WT)
