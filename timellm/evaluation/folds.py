"""A run beside itself retrained at each fold of a backtest, and whether retraining helped.

Inputs: the errors by window of the run, which was trained once, and of its folds, each trained on what came before it.
Outputs: `FoldsReport`: a row for each fold, the test over all of them, and a sentence.

Shapes: W windows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from timellm.errors import ConfigError
from timellm.evaluation.judge import EQUAL, LUCK
from timellm.evaluation.metrics import METRICS, metric_from
from timellm.evaluation.significance import Comparison, compare
from timellm.evaluation.window_errors import ModelErrors, WindowErrors

RETRAINED = "retrained"
_SAME = 1e-4
_UNTRAINED = "Last value"
"""A model without weights: its errors tell whether two tables are the same."""


@dataclass(frozen=True)
class FoldRow:
    """One fold: the run as it was trained, and retrained on what came before the fold."""

    fold: int
    windows: int
    error: float | None
    """Of the run, trained once."""
    retrained_error: float | None
    change: float | None
    """How much larger the error is after retraining, as a share; below 0 where it is smaller."""


@dataclass(frozen=True)
class FoldsReport:
    """All finished folds."""

    metric: str
    rows: tuple[FoldRow, ...]
    comparison: Comparison
    """The retrained model beside the run, over the windows of all finished folds."""
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe."""
        rows = [asdict(row) for row in self.rows]
        return {
            "metric": self.metric, "rows": rows, "comparison": self.comparison.to_dict(), "sentence": self.sentence,
        }  # fmt: skip


def judge_folds(run: WindowErrors, folds: Sequence[tuple[int, WindowErrors]], model: str) -> FoldsReport:
    """Compare a run's own model `model` with itself retrained; `folds` by number, each with its own windows.

    Raises:
        ConfigError: a fold was scored on windows that the run does not have, or on another table.
    """
    whole = run.of(model)
    parts = [_placed(run, fold, number, model) for number, fold in folds]
    together = _joined(RETRAINED, parts)
    comparison = compare(RETRAINED, model, replace(run, models={RETRAINED: together}), other_errors=run)
    rows = tuple(_row(run.metric, number, whole, part) for (number, _), part in zip(folds, parts, strict=True))
    return FoldsReport(run.metric, rows, comparison, _sentence(comparison, model, len(folds)))


def _placed(run: WindowErrors, fold: WindowErrors, number: int, model: str) -> ModelErrors:
    """A fold's errors with the places that its windows have in the run."""
    _check_same_table(run, fold, number)
    return _moved(fold.of(model), run, fold)


def _moved(errors: ModelErrors, run: WindowErrors, fold: WindowErrors) -> ModelErrors:
    channel, row = np.divmod(errors.place, fold.scored.span)
    place = channel * run.scored.span + row + fold.scored.first_origin - run.scored.first_origin
    return replace(errors, place=place, span=run.scored.span)


def _check_same_table(run: WindowErrors, fold: WindowErrors, number: int) -> None:
    if _UNTRAINED not in run.models or _UNTRAINED not in fold.models:
        return
    mine, theirs = run.of(_UNTRAINED), _moved(fold.of(_UNTRAINED), run, fold)
    rows = np.minimum(np.searchsorted(mine.place, theirs.place), len(mine.place) - 1)
    same = np.array_equal(mine.place[rows], theirs.place)
    if not same or not np.allclose(mine.total[rows], theirs.total, rtol=_SAME):
        raise ConfigError(f"fold {number} was scored on other windows than the run: its table was changed since then")


def _joined(name: str, parts: Sequence[ModelErrors]) -> ModelErrors:
    arrays = {
        field: np.concatenate([getattr(part, field) for part in parts])
        for field in ("place", "total", "count", "whole", "points")
    }
    joined = ModelErrors(name, span=parts[0].span, **arrays)
    return joined.at(np.argsort(joined.place))


def _row(metric: str, number: int, whole: ModelErrors, part: ModelErrors) -> FoldRow:
    _, mine, theirs = np.intersect1d(whole.place, part.place, assume_unique=True, return_indices=True)
    before, after = (
        float(metric_from(metric, one.total[rows].sum(), one.count[rows].sum()))
        for one, rows in ((whole, mine), (part, theirs))
    )
    change = after / before - 1 if before > 0 else math.nan
    return FoldRow(number, len(theirs), *(one if math.isfinite(one) else None for one in (before, after, change)))


def _sentence(found: Comparison, model: str, folds: int) -> str:
    short = METRICS[found.metric].short
    on = f"on {found.windows:,} windows of {folds} fold{'' if folds == 1 else 's'}"
    numbers = f"{found.error:.4g} against {found.other_error:.4g}, {on}"
    if math.isnan(found.relative):
        return f"Nothing can be said of retraining: {model} has no {short} above 0 to compare with."
    change = f"{abs(found.relative):.1%} {'lower' if found.relative < 0 else 'higher'} after retraining ({numbers})"
    if abs(found.relative) < EQUAL:
        return f"Retraining makes no difference: the {short} is the same within 1 % ({numbers})."
    if found.p_value is None:
        return f"The {short} is {change}. No test was made: {found.reason}."
    p_value = "p < 0.001" if found.p_value < 0.001 else f"p = {found.p_value:.2g}"
    if found.p_value >= LUCK:
        return f"The {short} is {change}, but the difference may be luck ({p_value})."
    return f"Retraining {'helps' if found.relative < 0 else 'does harm'}: the {short} is {change}, {p_value}."
