"""What the views of the Attention page read of a run, worked out once for each run that has ended."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from timellm.ui.run_results import Results

if TYPE_CHECKING:
    from timellm.explain.comparison import Pairs
    from timellm.explain.conditions import Condition
    from timellm.explain.differences import Differences
    from timellm.explain.linear_map import LinearMap
    from timellm.explain.period import PeriodAttention
    from timellm.forecasters.time_llm.attention_history import AttentionHistory


def period(results: Results, channel: str) -> PeriodAttention:
    """Attention of a channel's windows over the test period.

    Raises:
        DataError: the channel has no window there.
    """
    return _period(*_key(results), channel)


def differences(results: Results, channel: str, condition: Condition) -> Differences:
    """What patches that meet a condition attend to, beside all patches.

    Raises:
        DataError: no patch meets it, or every one does.
    """
    return _differences(*_key(results), channel, type(condition).__name__, condition)


def pairs(results: Results, channel: str, *, other: Results, channel_of_other: str) -> Pairs:
    """Attention of a channel beside that of a channel of another run, or of the same one.

    Raises:
        DataError: their prototypes have nothing in common.
    """
    from timellm.explain.comparison import compare

    return compare(period(results, channel), period(other, channel_of_other))


def clusters_of_window(results: Results, channel: str, *, cutoff: pd.Timestamp) -> tuple[int, ...]:
    """The cluster of each patch of a window, counted from 0; empty for a run that has none."""
    return _clusters_of_window(results, *_key(results), channel, cutoff)


def labels_of(results: Results) -> tuple[str, ...]:
    """Number (from 1) and nearest words of each prototype."""
    return _labels(*_key(results))


def history(results: Results) -> AttentionHistory | None:
    """Attention at every validation; None if the run kept none."""
    return _history(*_key(results))


def linear_maps(results: Results) -> tuple[LinearMap, ...]:
    """The maps of a linear forecaster, or of a linear path."""
    return _linear_maps(*_key(results))


def _key(results: Results) -> tuple[str, str]:
    return str(results.run.run_dir), str(results.run.ended)


@st.cache_resource(max_entries=4, show_spinner="Reading the attention of the test period …")  # 64 MB each at most
def _period(run_dir: str, ended: str, channel: str) -> PeriodAttention:
    from timellm.explain.period import PeriodAttention

    return PeriodAttention.open(run_dir, channel)


@st.cache_resource(max_entries=64, show_spinner=False)
def _differences(run_dir: str, ended: str, channel: str, kind: str, condition: Condition) -> Differences:
    """`kind` is part of the key, because the cache sees the fields of a condition and not its class."""
    from timellm.explain.differences import differences

    return differences(_period(run_dir, ended, channel), condition)


@st.cache_resource(max_entries=256, show_spinner=False)
def _clusters_of_window(
    _results: Results, run_dir: str, ended: str, channel: str, cutoff: pd.Timestamp
) -> tuple[int, ...]:
    groups = _results.patch_clusters()
    return () if groups is None else tuple(groups.of(_results.attention(channel, cutoff=cutoff).weights).tolist())


@st.cache_resource(max_entries=16, show_spinner=False)
def _labels(run_dir: str, ended: str) -> tuple[str, ...]:
    from timellm.explain.period import labels
    from timellm.forecasting.artifacts import RunFolder

    return labels(RunFolder(Path(run_dir)).words())


@st.cache_resource(max_entries=16, show_spinner=False)
def _history(run_dir: str, ended: str) -> AttentionHistory | None:
    from timellm.forecasters.time_llm.attention_history import AttentionHistory

    return AttentionHistory.read(Path(run_dir))


@st.cache_resource(max_entries=16, show_spinner=False)
def _linear_maps(run_dir: str, ended: str) -> tuple[LinearMap, ...]:
    from timellm.explain.linear_map import linear_maps

    return linear_maps(run_dir)
