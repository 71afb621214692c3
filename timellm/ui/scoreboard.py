"""The leaderboard as a page shows it: ranked, the chosen metric first, every metric explained on hover."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from timellm.ui.words import METRIC_HELP, METRICS

if TYPE_CHECKING:
    from timellm.forecasting.scores import Scores

COLUMNS = {
    name: st.column_config.NumberColumn(title, help=METRIC_HELP[name], format="%.4g") for name, title in METRICS.items()
} | {
    "rank": st.column_config.NumberColumn("", width=40),
    "model": st.column_config.TextColumn("Model"),
    "windows": st.column_config.NumberColumn("Windows", help="Test windows scored.", format="localized"),
    "channel": st.column_config.TextColumn("Channel"),
    "step": st.column_config.NumberColumn("Step", help="Rows ahead."),
}


def board(overall: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Models, best first by `metric`, which stands next to the name; undefined values last."""
    ranked = overall.sort_values(metric, na_position="last", kind="stable").reset_index(drop=True)
    ranked.insert(0, "rank", range(1, len(ranked) + 1))
    others = [name for name in METRICS if name in ranked and name != metric]
    return ranked[["rank", "model", metric, *others, *(c for c in ("windows",) if c in ranked)]]


def verdict_icon(scores: Scores) -> str:
    """An icon beside the verdict's words: up when the model beats the seasonal naive."""
    skill = scores.skill()
    return ":material/trending_up:" if skill > 0 else ":material/trending_down:"
