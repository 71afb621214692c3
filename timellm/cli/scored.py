"""Scores as a verb shows them: a table of errors with the verdict below it, and the same as data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from timellm.cli.answer import columns
from timellm.evaluation.metrics import ABSOLUTE

if TYPE_CHECKING:
    from timellm.evaluation.scores import Scores
    from timellm.evaluation.significance import Comparison
    from timellm.evaluation.verdict import Verdict


def scored_text(scores: Scores, verdict: Verdict, *, by: str, said: Iterable[str] = ()) -> str:
    """Errors of every model by "overall", "channel" or "step", the verdict, and what else is `said`."""
    from timellm.evaluation.mixed import mixed

    frame = {"overall": scores.overall, "channel": scores.by_channel, "step": scores.by_step}[by]
    frame = frame.sort_values(verdict.metric, kind="stable") if by == "overall" else frame
    shown = [name for name in (by, "model", *ABSOLUTE, "windows") if name in frame.columns]
    rows = frame[shown].itertuples(index=False, name=None)
    by_channel = mixed(scores, verdict)
    sentences = [verdict.sentence(), by_channel.sentence() if by_channel else "", *said, *scores.notes]
    return "\n".join([columns(shown, rows), "", *filter(None, sentences)])


def scored_board(scores: Scores, comparisons: Iterable[Comparison], metric: str) -> dict[str, Any]:
    """The scores and the leaderboard by a metric, JSON-safe."""
    from timellm.evaluation.comparisons import by_other
    from timellm.evaluation.leaderboard import leaderboard

    board = leaderboard(scores, metric, comparisons=by_other(comparisons, metric))
    return {**scores.to_dict(), "leaderboard": [row.to_dict() for row in board]}
