"""Models of other runs on one leaderboard: those that were scored on the same windows.

Inputs: the scores of a run, and of other runs with the same window set. Outputs: scores with a row for each of their
own models, and the comparisons of the run's own model with these.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from timellm.evaluation.metrics import COMPARED
from timellm.evaluation.scores import Scores
from timellm.evaluation.significance import Comparison, compare, share_won
from timellm.evaluation.window_errors import WINDOW_ERRORS, read_window_errors


@dataclass(frozen=True)
class OtherRun:
    """Another run that was scored on the same windows."""

    name: str
    """As its model's row is called."""
    folder: Path
    scores: Scores


def with_others(scores: Scores, others: Iterable[OtherRun]) -> Scores:
    """The scores with a row for the own model of each other run.

    Raises:
        ConfigError: a run was scored on other windows.
    """
    for other in others:
        scores = scores.joined(other.scores.own_alone(other.name))
    return scores


def compare_with_others(
    folder: Path, own: str, others: Iterable[OtherRun], metrics: Iterable[str] = COMPARED
) -> tuple[Comparison, ...]:
    """Compare a run's own model with those of other runs.

    Raises:
        CheckpointError: the errors by window of a run are missing or damaged.
        ConfigError: the runs were scored on different windows.
    """
    found = []
    others = tuple(others)
    for metric in metrics:
        mine = read_window_errors(folder / WINDOW_ERRORS, metric)
        for other in others:
            theirs = read_window_errors(other.folder / WINDOW_ERRORS, metric)
            one = compare(own, other.scores.own, mine, other_errors=theirs)
            found.append(replace(one, other=other.name))
    return tuple(found)


def windows_won(folder: Path, others: Iterable[OtherRun], metric: str, *, baseline: str) -> dict[str, float]:
    """Share of the windows in which each model is closer than `baseline`, a model of the run in `folder`.

    By model; empty for a run of an earlier version, which has no errors by window. A model of another run that has none
    is left out.

    Raises:
        CheckpointError: a file is damaged.
    """
    if not (folder / WINDOW_ERRORS).is_file():
        return {}
    mine = read_window_errors(folder / WINDOW_ERRORS, metric)
    models = dict(mine.models)
    for other in others:
        if (other.folder / WINDOW_ERRORS).is_file():
            theirs = read_window_errors(other.folder / WINDOW_ERRORS, metric)
            models[other.name] = theirs.of(other.scores.own)
    return {name: share_won(errors, mine.of(baseline)) for name, errors in models.items() if name != baseline}
