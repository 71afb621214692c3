"""What is said of a kept forecast, in sentences that pages and the command line share."""

from __future__ import annotations

import math

from timellm.ledger.promise import FEWEST
from timellm.ledger.scoring import EntryScore


def promise_sentence(found: EntryScore) -> str:
    """Whether the error is what the backtest promised."""
    judged, known = found.overall.judged, found.overall.known
    if not known:
        return "Nothing is known of it yet. It is scored when the table has grown."
    if judged.above is None:
        return f"It cannot be judged by the backtest: {judged.reason}."
    of = f"{judged.windows:,} test windows (about {judged.independent:,.0f} that do not overlap)"
    part = "" if known == found.overall.of else f" on the {known:,} of {found.overall.of:,} values that are known"
    if judged.above:
        return (
            f"The error is {judged.ratio:.2f} times what the backtest promised{part}, and 95 in 100 of {of} stay below"
            f" {judged.limit_ratio:.2f}. The series may have changed: fit the run again on the newer table."
        )
    return (
        f"The error is {judged.ratio:.2f} times what the backtest promised{part}; of {of}, 95 in 100 stay below"
        f" {judged.limit_ratio:.2f}. That is within the usual."
    )


def channels_sentence(found: EntryScore) -> str:
    """How many channels are above their limit, and how many would be by luck; empty where none of several is."""
    judged = [one.judged.above for one in found.channels if one.judged.above is not None]
    if len(found.channels) < 2 or not any(judged):
        return ""
    above = f"{sum(judged)} of {len(judged)} channels are above their own limit"
    return f"{above}; by luck alone about {0.05 * len(judged):.1g} would be."


def adjustment_sentence(found: EntryScore) -> str:
    """Whether adjusting helped; empty where nothing of it is known."""
    adjusted = found.overall.adjusted
    if adjusted is None:
        return ""
    on = f"on the {adjusted.points:,} adjusted values that are known"
    if math.isnan(adjusted.change):
        return f"The model made no error {on}, and the adjusted values have an MAE of {adjusted.adjusted:,.4g}."
    numbers = f"MAE {adjusted.adjusted:,.4g} instead of {adjusted.model:,.4g} {on}"
    if abs(adjusted.change) < 0.005:
        return f"The adjustments made no difference: {numbers}."
    word = "better" if adjusted.change < 0 else "worse"
    return f"The adjustments made it {word} by {abs(adjusted.change):.0%}: {numbers}."


def values(count: int, what: str = "value") -> str:
    """So many values, in words."""
    return f"{count:,} {what}{'s' * (count != 1)}"


def revised_words(count: int) -> str:
    """How many values of the context are other ones today."""
    return f"{values(count)} that the forecast saw {'was' if count == 1 else 'were'} revised since"


def actuals_words(count: int) -> str:
    """How many actual values are other ones today than those that came first."""
    verb = "is another one than that which" if count == 1 else "are other ones than those which"
    return f"{values(count, 'actual value')} {verb} came first; the newest is scored"


RULE = (
    "The error of a kept forecast is set beside the errors of the run's test windows at the same steps of the same"
    f" channels. It is called too large when 95 in 100 of them are smaller; with fewer than {FEWEST} windows nothing is"
    " said. One forecast in twenty is above that limit by luck alone."
)
