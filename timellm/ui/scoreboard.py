"""The leaderboard as a page shows it: three plain columns first, the rest apart, every column explained on hover."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from timellm.evaluation.leaderboard import LeaderboardRow, leaderboard
from timellm.evaluation.metrics import METRICS
from timellm.ui.words import plain, without_minus_zero

if TYPE_CHECKING:
    from timellm.evaluation.mixed import Mixed
    from timellm.evaluation.scores import Scores
    from timellm.evaluation.verdict import Verdict

COLUMNS = {
    name: st.column_config.NumberColumn(metric.title, help=metric.help, format="%.4g")
    for name, metric in METRICS.items()
} | {
    "rank": st.column_config.NumberColumn("", width=40, help="Rank by the chosen metric.", pinned=True),
    "model": st.column_config.TextColumn("Model", width="medium"),
    "to_own": st.column_config.NumberColumn(
        "To this run", format="percent", help="How much larger the error is than that of this run's own model."
    ),
    "won_own": st.column_config.NumberColumn(
        "Won from this run", format="percent",
        help="Share of the windows in which it is closer than this run's own model.",
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


def boards(
    scores: Scores, metric: str, rows: Sequence[LeaderboardRow], won: Mapping[str, float]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of a leaderboard by `metric`: three plain columns, and all the rest.

    `won` is the share of the windows in which each is closer than the best simple forecast.
    """
    names = [f"{row.model} (this run)" if row.own else row.model for row in rows]
    shown = pd.DataFrame(
        {
            "rank": row.rank,
            metric: row.error,
            "model": name,
            "skill": without_minus_zero(row.skill, decimals=4),
            "won": won.get(row.model),
        }
        for row, name in zip(rows, names, strict=True)
    )
    rest = pd.DataFrame(
        {
            "rank": row.rank,
            "model": name,
            "to_own": None if row.own else without_minus_zero(row.to_own, decimals=4),
            "won_own": None if row.own else row.won,
            "p_value": row.p_value,
            "coverage": row.coverage,
        }
        for row, name in zip(rows, names, strict=True)
    )
    others = scores.overall.set_index("model").loc[[row.model for row in rows], list(METRICS)]
    rest = pd.concat([rest, others.reset_index(drop=True)], axis=1)
    if (rest["coverage"] > 0.9999).all():
        rest = rest.drop(columns="coverage")
    return _known(shown, ("skill", "won")), _known(rest, ("to_own", "won_own", "p_value", *METRICS))


def _known(frame: pd.DataFrame, names: tuple[str, ...]) -> pd.DataFrame:
    """Without columns in which nothing is known: of a board with one model, or of a run of an earlier version."""
    return frame.drop(columns=[name for name in names if frame[name].isna().all()])


def columns(metric: str, naive: str | None) -> dict[str, Any]:
    """How the columns of the boards are shown; the chosen metric stays in view, and `naive` is the best simple one."""
    pinned = st.column_config.NumberColumn(METRICS[metric].title, help=METRICS[metric].help, format="%.4g", pinned=True)
    than = plain(naive) if naive else "the best simple forecast"
    return COLUMNS | {
        metric: pinned,
        "skill": st.column_config.NumberColumn(
            "Less error than the best simple", format="percent",
            help=f"Skill: the share of the error of {than} that the model takes away. Below 0, that one is better.",
        ),
        "won": st.column_config.NumberColumn(
            "Windows won", format="percent", help=f"Share of the test windows in which it is closer than {than}."
        ),
    }  # fmt: skip


def names_in_order(scores: Scores, metric: str) -> tuple[str, ...]:
    """Models, best first."""
    return tuple(row.model for row in leaderboard(scores, metric))


def show_verdict(verdict: Verdict, mixed: Mixed | None) -> None:
    """The verdict in a box whose icon and colour say how it came out: amber where it is mixed."""
    if mixed:
        st.warning(plain(f"{verdict.sentence()} {mixed.sentence()}".strip()), icon=":material/balance:")
        return
    icon = _ICONS.get(verdict.outcome, ":material/info:")
    box = st.error if verdict.outcome == "worse" else st.success if verdict.outcome == "best" else st.info
    box(plain(verdict.sentence()), icon=icon)


def said_of_board(scores: Scores, naive: str | None) -> str:
    """What the plain columns are, in a caption."""
    simple = f" The best simple forecast is {plain(naive)}." if naive else ""
    return (
        f"Lower errors are better, on all {scores.scored.windows:,} test windows. The ridge and the simple forecasts"
        f" are fitted with every run.{simple}"
    )
