"""Whether one model is better than another, or luck: the Diebold-Mariano test on the windows that both cover.

Inputs: errors by window of two models (`timellm.evaluation.window_errors`). Outputs: a `Comparison`: the difference, on
how many windows and points it rests, and a p-value or the reason why there is none.

Windows overlap, so their errors rise and fall together: 200 windows of 96 steps that start one after the other cover
little more than three horizons. The test is therefore made on the means of blocks of as many cut-offs as a horizon has
rows. `statsmodels` calculates it on these means, with two or more lags and the correction of Harvey, Leybourne and
Newbold (1997) for a small number. On the cut-offs themselves with `horizon - 1` lags, it takes 10 to 17 of 100
differences that are luck for real ones, where 5 are meant, because its weights count only a part of the dependence. On
blocks it takes 6 to 9 (this module's test repeats that).

Shapes: K cut-offs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from timellm.errors import ConfigError
from timellm.evaluation.metrics import metric_from
from timellm.evaluation.window_errors import ModelErrors, WindowErrors
from timellm.training.gain import FEWEST_INDEPENDENT

_LAGS = 2  # of blocks: neighbours share target rows, and one more for errors that last


@dataclass(frozen=True)
class Comparison:
    """How a model compares with another one, on the windows that both cover."""

    model: str
    other: str
    metric: str
    error: float
    """Of `model`, on the windows that both cover; NaN where it is not defined."""
    other_error: float
    difference: float
    """Error of `model` minus that of `other`: below 0 where `model` is better. NaN where it is not defined."""
    relative: float
    """The difference as a share of the error of `other`; NaN if that is 0."""
    p_value: float | None
    """How often luck alone would make a difference at least as large; None where no test was made."""
    reason: str
    """Why no test was made; empty if one was."""
    won: float
    """Share of the windows in which `model` has the smaller error; equal errors count half."""
    windows: int
    points: int
    """With an actual value and a forecast of both."""
    cutoffs: int
    independent: float
    """How many windows that do not overlap would cover the same rows."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe: None where a number is not defined."""
        tree = asdict(self)
        return {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in tree.items()}

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`.

        Raises:
            KeyError, TypeError, ValueError: a field is missing or of another kind.
        """
        floats = ("error", "other_error", "difference", "relative", "won", "independent")
        numbers: dict[str, Any] = {name: float("nan" if tree[name] is None else tree[name]) for name in floats}
        numbers |= {name: int(tree[name]) for name in ("windows", "points", "cutoffs")}
        p_value = None if tree["p_value"] is None else float(tree["p_value"])
        texts: dict[str, Any] = {name: str(tree[name]) for name in ("model", "other", "metric", "reason")}
        return cls(**texts, **numbers, p_value=p_value)


def compare(model: str, other: str, errors: WindowErrors, *, other_errors: WindowErrors | None = None) -> Comparison:
    """Compare two models by the metric of `errors`; `other` is looked for in `other_errors` if they are given.

    A window counts if both models have a forecast of all its points with an actual value.

    Raises:
        ConfigError: a model has no errors there, or the two files are of different windows or metrics.
    """
    theirs = errors if other_errors is None else other_errors
    keys = [(one.scored.window_set, one.scored.fold, one.metric) for one in (errors, theirs)]
    if keys[0] != keys[1]:
        raise ConfigError(
            f"{model} and {other} are scored on different windows or metrics; score both on the same table and split"
        )
    first, second = _shared(errors.of(model), theirs.of(other))
    metric, horizon = errors.metric, errors.scored.horizon
    error, reference = (float(metric_from(metric, one.total.sum(), one.count.sum())) for one in (first, second))
    cutoffs, loss_K, reference_K = _by_cutoff(first, second)
    independent = _independent(cutoffs, horizon)
    p_value, reason = _test(loss_K - reference_K, cutoffs, horizon=horizon)
    difference = error - reference if math.isfinite(error) and math.isfinite(reference) else math.nan
    return Comparison(
        model=model,
        other=other,
        metric=metric,
        error=error,
        other_error=reference,
        difference=difference,
        relative=difference / reference if reference > 0 else math.nan,
        p_value=p_value,
        reason=reason,
        won=_won(first, second),
        windows=len(first.place),
        points=int(first.points.sum()),
        cutoffs=len(cutoffs),
        independent=independent,
    )


def losses_by_cutoff(models: Sequence[ModelErrors]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Cut-offs [K] in order, and each model's mean loss [K] over all channels there, on windows that all cover."""
    shared = models[0].place[models[0].whole & (models[0].count > 0)]
    for one in models[1:]:
        shared = np.intersect1d(shared, one.place[one.whole & (one.count > 0)], assume_unique=True)
    kept = [one.at(np.searchsorted(one.place, shared)) for one in models]
    return _means(shared % models[0].span, kept)


def diebold_mariano(difference_K: np.ndarray, blocks: int) -> float:
    """P-value of equal accuracy from the loss differences [K] of successive cut-offs, in so many blocks.

    NaN if the differences are the same in every block.
    """
    from statsmodels.tsa.stattools import diebold_mariano_test  # takes seconds to import

    means = np.array([block.mean() for block in np.array_split(difference_K, blocks)])
    if np.ptp(means) <= 1e-12 * np.abs(means).max():
        return math.nan
    scaled = means / np.abs(means).max()  # squares of very small or large numbers are none
    nothing = np.zeros(blocks)
    result = diebold_mariano_test(
        nothing, scaled, nothing, criterion=lambda _, loss: loss, harvey_adj=True, horizon=_LAGS + 1
    )
    return float(result.pvalue)


def _test(difference_K: np.ndarray, cutoffs: np.ndarray, *, horizon: int) -> tuple[float | None, str]:
    independent = _independent(cutoffs, horizon)
    if not len(difference_K):
        return None, "no window is covered by both models"
    if not np.isfinite(difference_K).all():
        return None, "an error is too large for a number"
    if not difference_K.any():
        return None, "the errors are the same in every window"
    if independent < FEWEST_INDEPENDENT:
        return (
            None,
            f"the windows cover about {independent:.2g} horizons, and fewer than {FEWEST_INDEPENDENT} tell little",
        )
    spacing = int(np.diff(cutoffs).min())
    blocks = min(len(cutoffs), int(cutoffs[-1] - cutoffs[0] + spacing) // horizon)
    p_value = diebold_mariano(difference_K, blocks)
    return (None, "the difference is the same everywhere") if math.isnan(p_value) else (p_value, "")


def _independent(cutoffs: np.ndarray, horizon: int) -> float:
    if not len(cutoffs):
        return 0.0
    return min(float(cutoffs[-1] - cutoffs[0] + horizon) / horizon, float(len(cutoffs)))


def _shared(model: ModelErrors, other: ModelErrors) -> tuple[ModelErrors, ModelErrors]:
    """The windows that both models cover wholly, in one order."""
    _, first, second = np.intersect1d(
        model.place[model.whole], other.place[other.whole], assume_unique=True, return_indices=True
    )
    return model.at(np.flatnonzero(model.whole)[first]), other.at(np.flatnonzero(other.whole)[second])


def _by_cutoff(first: ModelErrors, second: ModelErrors) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut-offs [K] in order, and each model's mean loss [K] over all channels there."""
    defined = np.flatnonzero((first.count > 0) & (second.count > 0))
    cutoffs, losses = _means(first.place[defined] % first.span, [first.at(defined), second.at(defined)])
    return cutoffs, losses[0], losses[1]


def _means(cutoff: np.ndarray, models: Sequence[ModelErrors]) -> tuple[np.ndarray, list[np.ndarray]]:
    """The different cut-offs [K] in order, and each model's mean loss [K] over its windows there."""
    cutoffs, number = np.unique(cutoff, return_inverse=True)
    sums = (
        (np.bincount(number, one.total, len(cutoffs)), np.bincount(number, one.count, len(cutoffs))) for one in models
    )
    return cutoffs, [total / count for total, count in sums]


def share_won(model: ModelErrors, other: ModelErrors) -> float:
    """Share of the windows that both cover in which `model` has the smaller error; equal errors count half.

    NaN if there is none in which both have a defined error.
    """
    return _won(*_shared(model, other))


def _won(first: ModelErrors, second: ModelErrors) -> float:
    defined = (first.count > 0) & (second.count > 0)
    if not defined.any():
        return math.nan
    mine, theirs = (one.total[defined] / one.count[defined] for one in (first, second))
    return float(np.mean(mine < theirs) + np.mean(mine == theirs) / 2)
