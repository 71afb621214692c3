"""The leaderboard as a page shows it: ranked by the chosen metric, every column explained on hover."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from timellm.evaluation.leaderboard import leaderboard
from timellm.evaluation.metrics import METRICS
from timellm.ui.words import plain, without_minus_zero

if TYPE_CHECKING:
    from timellm.evaluation.scores import Scores
    from timellm.evaluation.significance import Comparison
    from timellm.evaluation.verdict import Verdict

COLUMNS = {
    name: st.column_config.NumberColumn(metric.title, help=metric.help, format="%.4g")
    for name, metric in METRICS.items()
} | {
    "rank": st.column_config.NumberColumn("", width=40),
    "model": st.column_config.TextColumn("Model", width=300),
    "to_own": st.column_config.NumberColumn(
        "To this run", format="percent", help="How much larger the error is than that of this run's own model."
    ),
    "won": st.column_config.NumberColumn(
        "Windows won", format="percent", help="Share of the windows in which it is closer than this run's own model."
    ),
    "p_value": st.column_config.NumberColumn(
        "p", format="%.2g",
        help="How often luck alone would make such a difference to this run's own model (Diebold-Mariano test on means "
        "over blocks of one horizon). Empty: too few windows to test, or it is the own model.",
    ),
    "coverage": st.column_config.NumberColumn(
        "Points", format="percent", help="Share of the test points that the model has a forecast for."
    ),
    "windows": st.column_config.NumberColumn("Windows", help="Test windows scored.", format="localized"),
    "points": st.column_config.NumberColumn("Points", format="localized"),
    "channel": st.column_config.TextColumn("Channel"),
    "step": st.column_config.NumberColumn("Step", help="Rows ahead."),
}  # fmt: skip
_ICONS = {
    "best": ":material/trending_up:",
    "worse": ":material/trending_down:",
    "equal": ":material/trending_flat:",
    "luck": ":material/trending_flat:",
}


def board(scores: Scores, metric: str, comparisons: Mapping[str, Comparison]) -> pd.DataFrame:
    """Models, best first by `metric`, with how they compare with the run's own; undefined values last."""
    rows = leaderboard(scores, metric, comparisons=comparisons)
    frame = pd.DataFrame(
        {
            "rank": row.rank,
            metric: row.error,  # before the long names, which take the whole width of a phone
            "model": f"{row.model} (this run)" if row.own else row.model,
            "to_own": None if row.own else without_minus_zero(row.to_own, decimals=4),
            "won": None if row.own else row.won,
            "p_value": row.p_value,
            "coverage": row.coverage,
        }
        for row in rows
    )
    if (frame["coverage"] > 0.9999).all():
        frame = frame.drop(columns="coverage")
    for name in ("p_value", "won", "to_own"):  # of a board with one model, or of a run without errors by window
        if frame[name].isna().all():
            frame = frame.drop(columns=name)
    others = scores.overall.set_index("model").loc[[row.model for row in rows], [n for n in METRICS if n != metric]]
    return pd.concat([frame, others.reset_index(drop=True)], axis=1)


def names_in_order(scores: Scores, metric: str) -> tuple[str, ...]:
    """Models, best first."""
    return tuple(row.model for row in leaderboard(scores, metric))


def show_verdict(verdict: Verdict) -> None:
    """The verdict in a box whose colour and icon say how it came out."""
    icon = _ICONS.get(verdict.outcome, ":material/info:")
    box = st.warning if verdict.outcome == "worse" else st.success if verdict.outcome == "best" else st.info
    box(plain(verdict.sentence()), icon=icon)
