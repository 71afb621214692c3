"""Tables as lines: every channel small, one channel large, gaps marked, and the strip that shades the split.

A frame of values [rows, channels] with a time index goes in, figures come out. Long tables are thinned for drawing: the
lowest and the highest row of each stretch are kept, so a spike of one row in a million is still seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from timellm.plots.template import ACCENT, HISTORY, MARK, empty, style, tint

BUCKETS = 1000  # stretches of a long line; about one for each pixel of a wide chart
SMALL_BUCKETS = 300
MOST_SMALL = 24
MOST_GAPS = 100
_SMALL_HEIGHT, _SMALL_GAP, _LARGE_HEIGHT, _STRIP_HEIGHT = 58, 30, 340, 150


def thin(values: np.ndarray, *, buckets: int = BUCKETS) -> np.ndarray:
    """Positions [K <= 2 * buckets + 2] of the rows to draw: first, last, and each stretch's lowest and highest."""
    rows = len(values)
    if rows <= 2 * buckets:
        return np.arange(rows)
    size = -(-rows // buckets)
    padded = np.full(-(-rows // size) * size, np.nan)
    padded[:rows] = values
    stretches = padded.reshape(-1, size)
    offsets = np.arange(len(stretches)) * size
    low = offsets + np.argmin(np.where(np.isnan(stretches), np.inf, stretches), axis=1)
    high = offsets + np.argmax(np.where(np.isnan(stretches), -np.inf, stretches), axis=1)
    # A stretch without any value keeps its first row, which is missing, so that the line breaks there.
    return np.unique(np.concatenate([[0, rows - 1], low, high]))


def thinning_note(rows: int, *, buckets: int = BUCKETS) -> str:
    """A sentence on what is left out of the drawing, or an empty text when every row is drawn."""
    if rows <= 2 * buckets:
        return ""
    return f"{rows:,} rows, drawn as the lowest and highest value of every {-(-rows // buckets):,} rows."


def gaps(series: pd.Series) -> list[tuple[pd.Timestamp, pd.Timestamp, int]]:
    """Runs of missing values as (first, last, rows), longest first."""
    missing = series.isna().to_numpy()
    edges = np.flatnonzero(np.diff(np.concatenate([[0], missing.view(np.int8), [0]])))
    runs = [(int(start), int(end)) for start, end in zip(edges[::2], edges[1::2], strict=True)]
    runs.sort(key=lambda run: run[0] - run[1])
    return [(series.index[start], series.index[end - 1], end - start) for start, end in runs]


def _line(series: pd.Series, *, buckets: int, colour: str, width: float = 1.3) -> go.Scatter:
    kept = thin(series.to_numpy(dtype=float), buckets=buckets)
    return go.Scatter(
        x=series.index[kept],
        y=series.to_numpy()[kept],
        mode="lines",
        name=str(series.name),
        line={"color": colour, "width": width},
        hovertemplate="%{y:.5g}<extra></extra>",
    )


def all_channels(values: pd.DataFrame) -> go.Figure:
    """Every channel as its own small line over one shared time axis; the first 24 when there are more."""
    channels = [str(name) for name in values.columns[:MOST_SMALL]]
    height = 70 + (_SMALL_HEIGHT + _SMALL_GAP) * len(channels)
    spacing = min(_SMALL_GAP / height, 1 / max(len(channels), 2))
    figure = make_subplots(rows=len(channels), cols=1, shared_xaxes=True, vertical_spacing=spacing)
    for row, name in enumerate(channels, start=1):
        figure.add_trace(_line(values[name], buckets=SMALL_BUCKETS, colour=HISTORY, width=1.1), row=row, col=1)
        figure.add_annotation(
            text=f"<b>{escape(shorten(name, 34))}</b>",
            xref="paper",
            yref="y domain" if row == 1 else f"y{row} domain",
            x=0,
            y=1.02,
            xanchor="left",
            yanchor="bottom",
            showarrow=False,
            font={"size": 12},
        )
    style(figure, height=height, legend=False)
    figure.update_layout(margin={"t": 26})
    figure.update_yaxes(nticks=3)
    return figure


@dataclass(frozen=True)
class Stretch:
    """Rows of a table that a chart shows, and which of them it marks; first and last row of each, counted from 0."""

    first: int
    last: int
    marks: tuple[tuple[int, int], ...] = ()

    def of(self, series: pd.Series) -> pd.Series:
        """The rows that are shown."""
        return series.iloc[self.first : self.last + 1]

    def inside(self) -> tuple[tuple[int, int], ...]:
        """The marks as far as they are shown, as rows of what is shown."""
        shown = (
            (max(first, self.first) - self.first, min(last, self.last) - self.first)
            for first, last in self.marks
            if last >= self.first and first <= self.last
        )
        return tuple(shown)


def one_channel(series: pd.Series, *, marks: Sequence[tuple[int, int]] = (), brush: bool = False) -> go.Figure:
    """One channel large, with a mark under each of its gaps; the hundred longest gaps when there are more.

    `marks` are stretches of rows (first and last) that are marked more strongly, a single row by a line. With `brush`,
    dragging chooses a stretch of time instead of zooming.
    """
    figure = empty(height=_LARGE_HEIGHT, legend=False)
    figure.add_trace(_line(series, buckets=BUCKETS, colour=HISTORY))
    for first_row, last_row in marks[:MOST_GAPS]:
        figure.add_vrect(
            x0=series.index[first_row],
            x1=series.index[last_row],
            fillcolor=tint(ACCENT, 0.2),
            line={"color": ACCENT, "width": 2},
        )
    for first, last, _ in gaps(series)[:MOST_GAPS]:
        figure.add_vrect(x0=first, x1=last, fillcolor=tint(MARK, 0.25), line={"color": MARK, "width": 1})
    if brush:
        figure.update_layout(dragmode="select", selectdirection="h")
    return figure


def split_strip(series: pd.Series, rows: Sequence[int]) -> go.Figure:
    """One channel with its train, validation and test part shaded and named; `rows` are the three parts' lengths."""
    figure = empty(height=_STRIP_HEIGHT, legend=False)
    used = series.iloc[: sum(rows)]
    figure.add_trace(_line(series, buckets=SMALL_BUCKETS, colour=HISTORY, width=1.0))
    start = 0
    for name, count, shade in zip(("Train", "Validation", "Test"), rows, (0.05, 0.16, 0.30), strict=True):
        if not count:
            continue
        end = min(start + count, len(used)) - 1
        figure.add_vrect(
            x0=used.index[start],
            x1=used.index[end],
            fillcolor=tint(ACCENT, shade),
            line_width=0,
            layer="below",
        )
        middle = used.index[start] + (used.index[end] - used.index[start]) / 2
        figure.add_annotation(
            text=f"<b>{name}</b> {count:,}" if count > sum(rows) * 0.15 else f"<b>{name}</b><br>{count:,}",
            x=middle,
            y=1.0,
            yref="paper",
            yanchor="bottom",
            showarrow=False,
            font={"size": 12},
        )
        start += count
    figure.update_layout(margin={"t": 38})
    figure.update_yaxes(nticks=3)
    return figure


def shorten(text: str, length: int) -> str:
    """A label of at most `length` characters, cut with an ellipsis."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
