"""Which prototypes each patch of one window was rewritten in.

Inputs: a run folder and a window. Outputs: the attention of `timellm.forecasters.time_llm.reprogramming`, with what is
needed to draw it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from timellm.config import RunConfig
from timellm.data.gaps import last_context
from timellm.data.prepared import PreparedData
from timellm.data.table import Table
from timellm.errors import DataError
from timellm.explain.profiles import Head, over_heads
from timellm.explain.reader import AttentionReader
from timellm.forecasting.artifacts import RunFolder


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

    def label(self, prototype: int) -> str:
        """Number of a prototype, from 1, and its nearest words."""
        return f"{prototype + 1}: {self.words[prototype]}"

    def matrix(self, head: Head = None) -> np.ndarray:
        """[P, V] of one head (counted from 0), or the mean or the maximum over heads."""
        return over_heads(self.weights, head)

    def top(self, count: int, head: Head = None) -> np.ndarray:
        """The `count` prototypes that the window attends most, most attended first."""
        return np.argsort(-self.matrix(head).sum(axis=0), kind="stable")[:count]

    def frame(self, head: Head = None, *, less: np.ndarray | None = None) -> pd.DataFrame:
        """One row a patch with its first and last time, one column a prototype named by number (from 1) and words.

        `less` [V] is an average to take off, for example that of `AttentionProfile.average`.
        """
        names = [self.label(prototype) for prototype in range(len(self.words))]
        weights = self.matrix(head)
        frame = pd.DataFrame(weights if less is None else weights - less, columns=names)
        frame.insert(0, "end", self.context.index[self.spans[:, 1] - 1])
        frame.insert(0, "start", self.context.index[np.minimum(self.spans[:, 0], len(self.context) - 1)])
        frame.index.name = "patch"
        return frame


def attention_map(run_dir: str | Path, *, channel: str, cutoff: pd.Timestamp | None = None) -> AttentionMap:
    """Attention of the window of `channel` that ends at `cutoff`, or at the end of the run's table.

    Raises:
        CheckpointError: the run folder is incomplete or damaged.
        ConfigError: the run has no such attention.
        DataError: there is no such channel, no such row, too few rows before it, or a missing value among them.
    """
    reader = AttentionReader.open(run_dir)
    return window_attention(reader, RunFolder(Path(run_dir)).prepared(), channel=channel, cutoff=cutoff)


def window_attention(
    reader: AttentionReader, prepared: PreparedData, *, channel: str, cutoff: pd.Timestamp | None = None
) -> AttentionMap:
    """The same for a run that has been opened: its reader and its data.

    Raises:
        DataError: there is no such channel, no such row, too few rows before it, or a missing value among them.
    """
    context = context_of(prepared.config, prepared.table, channel=channel, cutoff=cutoff)
    number = prepared.table.channels.index(channel)
    scaled_T = (context.to_numpy() - prepared.scaler.mean[number]) / prepared.scaler.scale[number]
    return AttentionMap(
        weights=reader.weights(scaled_T[None])[0],
        words=tuple(", ".join(words) for words in reader.words),
        spans=reader.spans_P2,
        context=context,
        channel=channel,
    )


def context_of(config: RunConfig, table: Table, *, channel: str, cutoff: pd.Timestamp | None) -> pd.Series:
    """The context [T] of `channel` that ends at `cutoff`, or at the table's end, in original units.

    Raises:
        DataError: there is no such channel, no such row, too few rows before it, or a missing value among them.
    """
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
    filled = last_context(series.to_numpy(np.float64), rows=length, missing=config.missing)
    if np.isnan(filled).any():
        raise DataError(
            f"channel '{channel}' misses {int(series.iloc[-length:].isna().sum()):,} values in the window that ends at"
            f" {series.index[-1]}; choose another one"
        )
    return pd.Series(filled, index=series.index[-length:], name=channel)
