"""What the terms of the metrics come to in some windows: by window and by step, for one model after the other.

Inputs: a few windows with their actual values, and a model's forecasts. Outputs: sums and counts of every term. A term
that is another one divided by its channel's yardstick is worked out from the sums of that one.

Shapes: B windows, H horizon.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from timellm.evaluation.metrics import DIVIDED, NAIVE2, point_errors
from timellm.evaluation.windows import Reference

_OF_ERROR = ("absolute", "squared", "error", "size")
"""Defined wherever there is an error."""


class TermSums(NamedTuple):
    """One term in some windows."""

    window_sum: np.ndarray
    """[B]."""
    window_count: np.ndarray
    """[B] points at which it is defined."""
    step_sum: np.ndarray
    """[H]."""
    step_count: np.ndarray
    """[H]."""


@dataclass(frozen=True)
class PartOfBatch:
    """Windows that every model is scored on."""

    reference: Reference
    channel: np.ndarray
    """[B]."""
    actual_BH: np.ndarray
    naive2_BH: np.ndarray | None
    """Forecasts of Naive2; without them its terms are undefined."""

    @cached_property
    def known_BH(self) -> np.ndarray:
        """Whether there is an actual value."""
        return ~np.isnan(self.actual_BH)

    def sums(self, forecast_BH: np.ndarray) -> dict[str, TermSums]:
        """Every term of one model's forecasts."""
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is named in the notes of the scores
            errors = point_errors(self.actual_BH, forecast_BH)
            scored_BH = ~np.isnan(errors["absolute"])
            if scored_BH.all():
                found = {term: _whole(errors[term]) for term in _OF_ERROR}
            else:
                for term in _OF_ERROR:
                    errors[term] = np.where(scored_BH, errors[term], 0.0)
                found = {term: _sums(errors[term], scored_BH) for term in _OF_ERROR}
            found |= {term: _known(errors[term]) for term in errors if term not in _OF_ERROR}
            found |= {term: self._divided(term, found, errors, scored_BH) for term in DIVIDED}
            return found | self._of_naive2(scored_BH)

    def _divided(
        self, term: str, found: dict[str, TermSums], errors: dict[str, np.ndarray], scored_BH: np.ndarray
    ) -> TermSums:
        of, name = DIVIDED[term]
        divisor_B = self.reference.divisor(name)[self.channel]
        return _weighted(found[of], errors[of], scored_BH, divisor_B)

    def _of_naive2(self, scored_BH: np.ndarray) -> dict[str, TermSums]:
        """Those of Naive2, on the points that a model is scored on."""
        if (scored_BH == self.known_BH).all():
            return self._whole_naive2
        return self._naive2(scored_BH)

    @cached_property
    def _whole_naive2(self) -> dict[str, TermSums]:
        return self._naive2(self.known_BH)

    def _naive2(self, scored_BH: np.ndarray) -> dict[str, TermSums]:
        if self.naive2_BH is None:
            return dict.fromkeys(NAIVE2, _known(np.full(scored_BH.shape, np.nan)))
        forecast_BH = np.where(scored_BH, self.naive2_BH, np.nan)
        errors = point_errors(self.actual_BH, forecast_BH)
        defined_BH = ~np.isnan(errors["absolute"])
        absolute_BH = np.where(defined_BH, errors["absolute"], 0.0)
        divisor_B = self.reference.divisor("naive_error")[self.channel]
        by_naive = _weighted(_sums(absolute_BH, defined_BH), absolute_BH, defined_BH, divisor_B)
        return dict(zip(NAIVE2, (_known(errors["symmetric"]), by_naive), strict=True))


def _known(errors_BH: np.ndarray) -> TermSums:
    defined_BH = ~np.isnan(errors_BH)
    if defined_BH.all():
        return _whole(errors_BH)
    return _sums(np.where(defined_BH, errors_BH, 0.0), defined_BH)


def _whole(errors_BH: np.ndarray) -> TermSums:
    """Of a term that is defined at every point: nothing has to be counted."""
    windows, steps = errors_BH.shape
    counts = np.full(windows, steps), np.full(steps, windows)
    return TermSums(errors_BH.sum(axis=1), counts[0], errors_BH.sum(axis=0), counts[1])


def _sums(errors_BH: np.ndarray, defined_BH: np.ndarray) -> TermSums:
    """Of a term that is 0 where it is not defined."""
    return TermSums(errors_BH.sum(axis=1), defined_BH.sum(axis=1), errors_BH.sum(axis=0), defined_BH.sum(axis=0))


def _weighted(sums: TermSums, errors_BH: np.ndarray, defined_BH: np.ndarray, divisor_B: np.ndarray) -> TermSums:
    """A term divided by a number for each window, undefined in windows where that is NaN."""
    has_B = ~np.isnan(divisor_B)
    weight_B = np.where(has_B, 1 / divisor_B, 0.0)
    step_count = defined_BH.sum(axis=0) if has_B.all() else defined_BH[has_B].sum(axis=0)
    if not np.isfinite(errors_BH).all():  # 0 times infinity is none
        errors_BH = np.where(has_B[:, None], errors_BH, 0.0)
    window_sum = np.where(has_B, sums.window_sum * weight_B, 0.0)
    return TermSums(window_sum, np.where(has_B, sums.window_count, 0), weight_B @ errors_BH, step_count)
