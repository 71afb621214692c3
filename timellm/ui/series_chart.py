"""The series of a table on the Data page: whole, at the place of a finding, or over the stretch that was dragged over.

A long series is drawn by the lowest and the highest value of many rows. A stretch of it is drawn anew from its own
rows, so that a closer look shows more and not the same points further apart.
"""

from __future__ import annotations

import pandas as pd
import streamlit as st

from timellm.data.table import Table
from timellm.plots.series import MOST_SMALL, Stretch, all_channels, gaps, one_channel, thinning_note
from timellm.quality.checks import Quality, shown_first
from timellm.ui import charts, keys, quality
from timellm.ui.words import moment

_FEWEST_ROWS = 10


def show(table_id: str, table: Table, checked: Quality) -> None:
    """One channel large, then all of them small."""
    rows, channels = table.values.shape
    order, brushed = shown_first(table, checked), keys.view("data", f"brushed/{table_id}")
    with st.container(horizontal=True):
        channel = st.selectbox("Channel", order, **keys.in_address("channel", order))
        finding = quality.chosen(checked, channel)
        span = st.session_state.get(brushed)
        if finding:
            st.session_state.pop(brushed, None)
            stretch = quality.stretch_of(finding, table)
        else:
            stretch = Stretch(*span) if span and span[1] < rows else Stretch(0, rows - 1)
    series = stretch.of(table.values[channel])

    def take(begin: pd.Timestamp, end: pd.Timestamp) -> None:
        first, last = rows_between(table.values.index, begin, end)
        st.session_state[brushed] = (first, last)
        st.session_state["finding"] = None

    charts.draw_with_brush(
        one_channel, series, marks=stretch.inside(), brush=True, alt=f"Rows of {channel}, with what was found marked",
        key=f"{brushed}/{stretch.first}-{stretch.last}", on_span=take,
    )  # fmt: skip
    st.caption(" ".join(_notes(series, quality.in_words(finding) if finding else "")))
    if finding is None and len(series) < rows:
        st.button(
            "Show the whole series", icon=":material/zoom_out_map:", key=f"{brushed}/back",
            on_click=lambda: st.session_state.pop(brushed, None),
        )  # fmt: skip
    if channels > 1 and finding is None and len(series) == rows:
        st.markdown("**All channels**")
        if channels > MOST_SMALL:
            st.caption(f"The first {MOST_SMALL} of {channels:,} channels.")
        charts.draw(all_channels, table.values[list(order[:MOST_SMALL])], alt="Every channel, small")


def _notes(series: pd.Series, finding: str) -> list[str]:
    """What is shown, what is left out of the drawing, and what is marked."""
    notes = [finding, f"{moment(series.index[0])} to {moment(series.index[-1])}.", thinning_note(len(series))]
    if found := gaps(series):
        marked = "1 gap is marked" if len(found) == 1 else f"{len(found):,} gaps are marked"
        notes.append(f"{marked}; the longest has {found[0][2]:,} {'row' if found[0][2] == 1 else 'rows'}.")
    notes.append("Drag over the chart to look closer.")
    return [note for note in notes if note]


def rows_between(index: pd.DatetimeIndex, begin: pd.Timestamp, end: pd.Timestamp) -> tuple[int, int]:
    """First and last row of a stretch of time, a few at least."""
    first, last = int(index.searchsorted(begin)), int(index.searchsorted(end, side="right")) - 1
    lacking = max(0, _FEWEST_ROWS - (last - first + 1))
    first = max(0, first - lacking // 2 - lacking % 2)
    last = min(len(index) - 1, max(last, first) + lacking // 2)
    return first, max(last, min(first + 1, len(index) - 1))
