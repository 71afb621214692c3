"""Which prototypes each patch of a window was rewritten in, read from the trained adapter alone.

Inputs: a run folder and a window. Outputs: the attention of `timellm.forecasters.time_llm.reprogramming`. The backbone
is not needed, because patches attend to prototypes before it runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from timellm.config import ModelConfig, RunConfig
from timellm.data.gaps import last_context
from timellm.data.table import Table
from timellm.errors import ConfigError, DataError
from timellm.forecasters.time_llm.patching import PatchEmbedding, instance_norm, patch_spans
from timellm.forecasters.time_llm.reprogramming import Reprogramming
from timellm.forecasting.artifacts import RunFolder
from timellm.training.checkpoint import read_adapter

NO_ATTENTION = (
    "this run has no attention over text prototypes: a linear map rewrites its patches (reprogramming=linear);"
    " choose a run with reprogramming=prototypes"
)


@dataclass(frozen=True)
class AttentionMap:
    """Attention of one window's patches to the prototypes."""

    weights: np.ndarray
    """[heads, P, V]; each row over V sums to 1."""
    words: tuple[str, ...]
    """[V] nearest words of each prototype, "price, cost, pay"."""
    spans: np.ndarray
    """[P, 2] rows of the context that each patch covers, end exclusive."""
    context: pd.Series
    """[T] the window in original units, indexed by time."""
    channel: str

    def matrix(self, head: int | None = None) -> np.ndarray:
        """[P, V] of one head (counted from 0), or the mean over heads."""
        return self.weights.mean(axis=0) if head is None else self.weights[head]

    def top(self, count: int, head: int | None = None) -> np.ndarray:
        """The `count` prototypes that the window attends most, most attended first."""
        return np.argsort(-self.matrix(head).sum(axis=0), kind="stable")[:count]

    def frame(self, head: int | None = None) -> pd.DataFrame:
        """One row a patch with its first and last time, one column a prototype named by number (from 1) and words."""
        names = [f"{number}: {words}" for number, words in enumerate(self.words, start=1)]
        frame = pd.DataFrame(self.matrix(head), columns=names)
        frame.insert(0, "end", self.context.index[self.spans[:, 1] - 1])
        frame.insert(0, "start", self.context.index[self.spans[:, 0]])
        frame.index.name = "patch"
        return frame


def attention_map(run_dir: str | Path, *, channel: str, cutoff: pd.Timestamp | None = None) -> AttentionMap:
    """Attention of the window of `channel` that ends at `cutoff`, or at the end of the run's table.

    Raises:
        CheckpointError: the run folder is incomplete or damaged.
        ConfigError: the run has no such attention.
        DataError: there is no such channel, no such row, too few rows before it, or a missing value among them.
    """
    folder = RunFolder(Path(run_dir))
    config, table = folder.config(), folder.table()
    if config.model.reprogramming == "linear":
        raise ConfigError(NO_ATTENTION)
    context = _context(config, table, channel=channel, cutoff=cutoff)
    number = table.channels.index(channel)
    scaler = folder.scaler()
    scaled = (context.to_numpy() - scaler.mean[number]) / scaler.scale[number]
    spans = patch_spans(len(context), patch_length=config.model.patch_length, stride=config.model.stride)
    return AttentionMap(
        weights=_weights(folder, config.model, torch.tensor(scaled, dtype=torch.float32)[None]),
        words=tuple(", ".join(words) for words in folder.words()),
        spans=np.array(spans),
        context=context,
        channel=channel,
    )


def _context(config: RunConfig, table: Table, *, channel: str, cutoff: pd.Timestamp | None) -> pd.Series:
    if channel not in table.channels:
        raise DataError(f"there is no channel '{channel}'; the run has {', '.join(table.channels)}")
    series = table.values[channel]
    if cutoff is not None and cutoff not in series.index:
        raise DataError(
            f"there is no row at {cutoff}; the table runs from {series.index[0]} to {series.index[-1]}"
            f" every {table.frequency}"
        )
    series = series if cutoff is None else series.loc[:cutoff]
    length = config.model.context
    if len(series) < length:
        raise DataError(f"only {len(series):,} rows end at {cutoff}, a window has {length:,}; take a later time")
    filled = last_context(series.to_numpy(np.float64), rows=length, missing=config.task.missing)
    if np.isnan(filled).any():
        raise DataError(
            f"channel '{channel}' misses {int(series.iloc[-length:].isna().sum()):,} values in the window that ends at"
            f" {series.index[-1]}; choose another one"
        )
    return pd.Series(filled, index=series.index[-length:], name=channel)


@torch.inference_mode()
def _weights(folder: RunFolder, config: ModelConfig, context_BT: torch.Tensor) -> np.ndarray:
    tensors = read_adapter(folder.path)
    prototypes_VD = folder.prototypes()
    embedding = PatchEmbedding(
        patch_length=config.patch_length,
        stride=config.stride,
        d_model=config.d_model,
        dropout=0.0,
        rounded=config.round_patches,
    )
    reprogramming = Reprogramming(
        d_model=config.d_model,
        heads=config.heads,
        keys=config.d_ff,
        width=prototypes_VD.shape[1],
        dropout=0.0,
        cosine=config.attention_scores == "cosine",
    )
    for prefix, module in (("patch_embedding.", embedding), ("reprogramming.", reprogramming)):
        module.load_state_dict(
            {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        )
        module.eval()
    normed_BT, _, _ = instance_norm(context_BT, as_published=config.statistic_digits == 0)
    return reprogramming.attention(embedding(normed_BT), prototypes_VD=prototypes_VD)[0].numpy()
