"""What the reader of scores should know: missing points, percentages of zero, channels that differ in size.

Inputs: how many points there are and how many each model has. Outputs: short sentences.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from timellm.evaluation.metrics import METRICS
from timellm.evaluation.windows import Reference, ScoredWindows

_NAMED = 5  # channels


@dataclass(frozen=True)
class Coverage:
    """Points of the scored windows."""

    every: int
    known: int
    """With an actual value."""
    zero: int
    """With an actual value of 0."""
    of_model: Mapping[str, int]
    """With an actual value and this model's forecast."""


def notes_on(
    coverage: Coverage, *, frames: list[pd.DataFrame], reference: Reference, present: np.ndarray, scored: ScoredWindows
) -> list[str]:
    """Sentences on the scores in `frames`, in which an error that is too large is infinite."""
    return [
        *_point_notes(coverage),
        *_channel_notes(reference, present, scored),
        *_overflow_notes(frames),
    ]


def _point_notes(coverage: Coverage) -> list[str]:
    empty = [name for name, points in coverage.of_model.items() if not points] if coverage.known else []
    notes = [f"{name} has no forecast here: its source rows are missing or lie before the table." for name in empty]
    lacking = 1 - coverage.known / max(coverage.every, 1)
    if coverage.every and lacking > 0:
        notes.append(f"{lacking:.2%} of the test points have no actual value; they are left out.")
    for name, points in coverage.of_model.items():
        if 0 < points < coverage.known:
            share = points / coverage.known
            notes.append(f"{name} has forecasts for {share:.2%} of the points, and is scored on these alone.")
    if coverage.zero:
        share = coverage.zero / coverage.known
        notes.append(f"MAPE and MSPE leave out {share:.2%} of the points, because the actual value is 0.")
    return notes


def _channel_notes(reference: Reference, present: np.ndarray, scored: ScoredWindows) -> list[str]:
    notes = []
    without = [reference.channels[number] for number in present if not reference.naive_error[number] > 0]
    if without:
        shown = ", ".join(f"'{name}'" for name in without[:_NAMED]) + (" ..." if len(without) > _NAMED else "")
        notes.append(
            f"MASE leaves out {shown}: on the training rows, the seasonal naive (season: {scored.season_name}) makes "
            "no error to compare with."
        )
    scales = reference.scale[present]
    if len(scales) > 1 and scales.max() > 10 * scales.min():
        largest = reference.channels[present[scales.argmax()]]
        notes.append(
            f"Channels differ in size more than tenfold: overall MAE, MSE and RMSE mostly show '{largest}'. "
            "MASE and the scaled metrics weigh channels alike."
        )
    return notes


def _overflow_notes(frames: list[pd.DataFrame]) -> list[str]:
    names = [name for name in METRICS if any(np.isinf(frame[name].to_numpy(np.float64)).any() for frame in frames)]
    if not names:
        return []
    shown = ", ".join(METRICS[name].short for name in names)
    return [f"Not everywhere defined: {shown}. An error is too large for a 64-bit number there."]
