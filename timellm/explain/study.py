"""What a study of faithfulness found: numbers, and the sentences that say them.

Inputs: measurements. Outputs: frames to be drawn or written, and sentences. No torch, so that pages read it at once.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from timellm.explain.answer import FaithfulnessAnswer
from timellm.explain.removals import LEAST, MOST, RANDOM, Interval, Removals


@dataclass(frozen=True)
class Gradients:
    """Integrated gradients beside attention."""

    correlation: Interval
    """Spearman's rank correlation, within a window, of the size of a patch's attribution and how far its attention lies
    from the window's average; mean over windows."""
    gap: float
    """Error of the integration: how far the attributions are from the sum that they should have, as a share of it."""


@dataclass(frozen=True)
class Study:
    """What was measured."""

    windows: int
    deviation: float
    """The forecasts' own deviation around their mean over the horizon, z-scored: the unit of all movements."""
    even: Interval
    """What the forecasts move by with the same weight for every prototype: all that attention carries."""
    prototypes: Removals
    patches: Removals
    gradients: Gradients | None
    """None without Captum."""
    linear_share: float | None
    """Share of the linear path in the variance of the test forecasts; None if the run has no linear path."""

    def sentences(self) -> tuple[str, ...]:
        """What was measured beside the answer."""
        if self.linear_share is None:
            linear = (
                "This run has no linear path: beside the level and the scale of a window, its forecast comes from the"
                " patches, through attention, and from the prompt."
            )
        else:
            linear = (
                f"The linear path, which attention does not touch, carries {self.linear_share:.1%} of the variance of"
                " the test forecasts."
            )
        even = (
            "With the same weight for every prototype the forecasts move by"
            f" {_percent(self.even)} of their own deviation: that is all that attention carries."
        )
        areas = [
            f"{unit}: most attended first {area[MOST]:.3f}, random {area[RANDOM]:.3f}, least attended first"
            f" {area[LEAST]:.3f}"
            for unit, area in self.areas().items()
        ]
        deletion = f"Area under the deletion curve, {'; '.join(areas)}."
        if self.gradients is None:
            return (even, deletion, linear)
        rank = self.gradients.correlation
        gradients = (
            "Integrated gradients and attention rank the patches of a window with Spearman's correlation"
            f" {rank.value:.2f} [{rank.low:.2f} to {rank.high:.2f}]; the integration misses {self.gradients.gap:.1%}."
        )
        return (even, deletion, gradients, linear)

    def areas(self) -> dict[str, dict[str, float]]:
        """Areas under the deletion curves, by unit and order."""
        return {
            one.unit: {order: one.area(order) for order in (MOST, RANDOM, LEAST)}
            for one in (self.prototypes, self.patches)
        }

    def frames(self) -> dict[str, pd.DataFrame]:
        """The measurements of each unit, as `Removals.frame` has them."""
        return {one.unit: one.frame() for one in (self.prototypes, self.patches)}

    def frame(self) -> pd.DataFrame:
        """The measurements of both units, one below the other."""
        return pd.concat(self.frames().values(), ignore_index=True)

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON has it."""
        ratios = {one.unit: asdict(one.ratio()) for one in (self.prototypes, self.patches)}
        return {
            "windows": self.windows,
            "blocks": self.prototypes.blocks.count,
            "deviation_scaled": self.deviation,
            "even_attention_moves": asdict(self.even),
            "most_attended_by_random": ratios,
            "deletion_areas": self.areas(),
            "gradients": None if self.gradients is None else asdict(self.gradients),
            "linear_path_share": self.linear_share,
            "curves": self.frame().to_dict("records"),
        }


@dataclass(frozen=True)
class OneWindow:
    """A window that is looked at by itself: its channel, and the time of its last row."""

    channel: str
    cutoff: pd.Timestamp


@dataclass(frozen=True)
class OneStudy:
    """What was measured of one window, in units of all forecasts' deviation; without intervals."""

    window: OneWindow
    even: float
    prototypes: Removals
    patches: Removals

    def sentence(self) -> str:
        """What masking does to the forecast of this window, in numbers."""
        parts = []
        for one in (self.prototypes, self.patches):
            most, random = (one.of(order)[one.main, 0] for order in (MOST, RANDOM))
            parts.append(
                f"without the {int(one.removed_K[one.main]):,} most attended {one.unit} {most:.1%}, without as many"
                f" random ones {random:.1%}"
            )
        after = f"{self.window.channel} after {self.window.cutoff:%Y-%m-%d %H:%M}"
        return (
            f"The forecast of {after} moves, as a share of the forecasts' own deviation:"
            f" {'; '.join(parts)}; with the same weight for every prototype {self.even:.1%}."
        )


@dataclass(frozen=True)
class Faithfulness:
    """The answer, and what it rests on."""

    answer: FaithfulnessAnswer
    study: Study | None
    """None where nothing had to be worked out."""
    one: OneStudy | None = None
    """Of the window that was asked for."""
    notes: tuple[str, ...] = ()

    def title(self, run: str) -> str:
        """The answer in a line, for a figure of a run."""
        said = {"yes": "attention explains", "partly": "attention explains in part", "no": "attention does not explain"}
        return f"{run}: {said[self.answer.word]} the forecasts"


def _percent(share: Interval) -> str:
    return f"{share.value:.1%} [{share.low:.1%} to {share.high:.1%}]"
