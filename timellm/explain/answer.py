"""Whether attention explains a run's forecasts, in one sentence and by a rule.

Inputs: what `timellm.explain.faithfulness` measured. Outputs: yes, partly or no, with its reasons in numbers; in square
brackets 95 % intervals over blocks of windows.

The rule. *No*, if the language model adds nothing; or if even attention, the same weight for every prototype, moves
the forecasts by less than 5 % of their own deviation; or if the 10 % most attended prototypes do not surely move them
further than as many random ones. "Surely" means: further than each of 19 random draws, and the 95 % interval of the
ratio over blocks of windows lies above 1. *Yes*, if moreover even attention moves the forecasts by at least 20 %, the
most attended prototypes move them at least twice as far as random ones, the 10 % least attended ones surely less far
than random ones, and the patches whose attention stands out surely further than random ones. *Partly* otherwise. The
bounds are a convention, not a law; the numbers are there to be read by others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from timellm.explain.removals import LEAST, Blocks, Interval, Removals

NEXT_TO_NOTHING, MUCH, TWICE = 0.05, 0.20, 2.0

Word = Literal["yes", "partly", "no"]


@dataclass(frozen=True)
class FaithfulnessAnswer:
    """One word, and the sentence that begins with it."""

    word: Word
    sentence: str


ADDS_NOTHING = FaithfulnessAnswer(
    "no",
    "No: the language model adds nothing to this run's forecasts, so that its attention cannot explain them.",
)


def answer(even: Interval, prototypes: Removals, patches: Removals) -> FaithfulnessAnswer:
    """Judge by the rule above; `even` is what even attention moves the forecasts by, as a share of their deviation."""
    basis = f"{prototypes.moved_OKW.shape[2]} windows in {prototypes.blocks.count} blocks"
    if prototypes.blocks.count < Blocks.LEAST:
        return _no(f"there are too few test windows to tell ({basis}; {Blocks.LEAST} blocks are needed)")
    equal = f"with the same weight for every prototype they move by {even.value:.1%} of their own deviation"
    # Forecasts without any deviation have no such share, and nothing about them can be explained.
    if not even.value >= NEXT_TO_NOTHING:
        return _no(f"attention carries next to nothing of these forecasts: {equal} ({basis})")
    count = int(prototypes.removed_K[prototypes.main])
    measured = (
        f"without the {count:,} most attended of {prototypes.total:,} prototypes they move"
        f" {_times(prototypes.ratio())} as far as without {count:,} random ones ({basis})"
    )
    if not prototypes.stands_out():
        beaten, draws = prototypes.beaten()
        rank = f"further than with {beaten} of {draws} random draws"
        return _no(f"the prototypes that are attended most matter no more than others: {measured}, {rank}")
    doubts = [] if even.value >= MUCH else [f"attention carries little of them ({equal})"]
    if prototypes.ratio().value < TWICE:
        doubts.append("that is less than twice as far")
    if not (least := prototypes.ratio(LEAST)).high < 1:
        doubts.append(f"little attention does not mean little effect: without the least attended ones {_times(least)}")
    if not patches.stands_out():
        doubts.append(f"the patches whose attention stands out matter no more than others ({_times(patches.ratio())})")
    if doubts:
        return FaithfulnessAnswer(
            "partly",
            f"Partly: attention explains something of these forecasts: {measured}. But {', and '.join(doubts)}.",
        )
    return FaithfulnessAnswer(
        "yes",
        f"Yes: attention explains these forecasts: {measured}, and without the patches whose attention stands out"
        f" {_times(patches.ratio())} as far as without random ones.",
    )


def _no(reason: str) -> FaithfulnessAnswer:
    return FaithfulnessAnswer("no", f"No: {reason}.")


def _times(ratio: Interval) -> str:
    return f"{ratio.value:.2f} times [{ratio.low:.2f} to {ratio.high:.2f}]"
