"""Which prototypes are attended to more, or less, where something holds of the patch: at night, on a peak ..."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from timellm.explain.condition_names import SEVERAL_DAYS
from timellm.explain.conditions import (
    DAYS,
    PATTERNS,
    Condition,
    Days,
    Hours,
    Like,
    Month,
    Pattern,
    calendar_parts,
    months_in,
)
from timellm.explain.period import PeriodAttention
from timellm.plots.differences import DifferencesPicture, differences_chart, differences_figure
from timellm.plots.marked_patch import marked_patch_chart
from timellm.plots.template import CONFIG
from timellm.ui import charts, keys
from timellm.ui.errors import explained
from timellm.ui.seeing import downloads, reading
from timellm.ui.seeing.chosen import Chosen
from timellm.ui.words import moment, plain

_LIKE = "Like one patch"
_LIMITS = (0.6, 0.7, 0.8, 0.9, 0.95)
_SHOWN = 20
_BRUSHED = keys.view("attention", "brushed")


def show(chosen: Chosen) -> None:
    """Draw the view."""
    st.caption(
        "A bar to the right: these patches attend to that prototype more than the average patch of the test period; to "
        "the left: less. The line at its end is the 95 % interval of that prototype. “Surely different” holds for all "
        "prototypes together, so it takes more than an interval that leaves out zero."
    )
    period = reading.period(chosen.results, chosen.channel)
    condition = _choose(chosen, period)
    with explained("There is nothing to compare"):
        found = reading.differences(chosen.results, chosen.channel, condition)
    st.markdown(plain(found.sentence(period, condition)))
    order = found.order()
    top = order[:_SHOWN]
    labels = period.labels
    picture = DifferencesPicture(
        tuple(labels[i] for i in top), found.difference_V[top], found.half_V[top], found.sure_V[top], found.all_V[top]
    )
    charts.draw(differences_chart, picture, alt="Attention of these patches beside the average, by prototype")
    st.caption(
        "Attention is calculated from a patch's values and its neighbours', so patches of another shape attend "
        "differently even before training. A difference says where attention goes, not that it helps the forecast."
    )
    downloads.offer(
        f"when-{chosen.results.run.id}",
        lambda: differences_figure(picture, title=f"{chosen.channel}: patches that {condition.words}"),
        lambda: found.frame(labels),
    )


def _choose(chosen: Chosen, period: PeriodAttention) -> Condition:
    options = (*calendar_parts(period.grain), *PATTERNS, _LIKE)
    left, right = st.columns(2)
    what = left.selectbox("Patches", options, **keys.in_address("when", options))
    if what == _LIKE:
        return _like(chosen, period)
    with right:
        match what:
            case "Hours":
                return _hours()
            case "Days of the week":
                days = (*SEVERAL_DAYS, *DAYS)
                named_day = st.selectbox("Days", days, **keys.in_address("days", days))
                return Days(SEVERAL_DAYS.get(named_day, (named_day,)))
            case "Month":
                months = months_in(period)
                return Month(st.selectbox("Month", months, **keys.in_address("month", months)))
        st.markdown(f"A patch counts if {PATTERNS[what]}.")
    return Pattern(what)


def _hours() -> Hours:
    hours = range(24)
    begin, end = st.columns(2)
    first = begin.selectbox("From", hours, index=22, format_func=_clock, **keys.in_address("from", hours))
    last = end.selectbox("To the hour of", hours, index=5, format_func=_clock, **keys.in_address("to", hours))
    return Hours(first, last)


def _clock(hour: int) -> str:
    return f"{hour:02d}:00"


def _like(chosen: Chosen, period: PeriodAttention) -> Like:
    spans, patches = period.reader.spans_P2, len(period.reader.spans_P2)
    options = range(1, patches + 1)
    left, right = st.columns(2)
    number = left.slider("Patch of the window", 1, patches, patches // 2 or 1, **keys.in_address("patch", options))
    limit = right.select_slider("Correlation at least", _LIMITS, value=0.8, **keys.in_address("limit", _LIMITS))
    context = chosen.attention().context
    first, end = (int(row) for row in spans[number - 1])
    st.plotly_chart(
        marked_patch_chart(context, first=first, end=end), key=_BRUSHED, config=CONFIG, selection_mode="box",
        on_select=lambda: _take_brushed(period, context), alt="The window, with the chosen patch shaded",
    )  # fmt: skip
    st.caption(
        f"Patch {number} covers {moment(context.index[first])} to {moment(context.index[end - 1])}. Drag over the "
        "chart to "
        "choose another one."
    )
    with explained("This patch cannot be compared with"):
        return Like.of(context.to_numpy(), period.reader, patch=number, limit=limit)


def _take_brushed(period: PeriodAttention, context: pd.Series) -> None:
    """Choose the patch that lies nearest to the stretch of time that was dragged over; none if nothing was."""
    boxes = st.session_state[_BRUSHED].selection.box
    if boxes:
        begin, end = (pd.Timestamp(moment) for moment in boxes[-1]["x"])
        st.session_state["patch"] = period.nearest_patch(context.index, begin, end)
