"""Reprogramming attention: the window with one patch marked, and under it, on the same time axis, the heatmap.

Weights [P, V], spans [P, 2] and the window's values go in, a figure comes out. P patches, V prototypes shown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from timellm.plots.series import shorten
from timellm.plots.template import ACCENT, HISTORY, SEQUENTIAL, style, tint

_WINDOW_HEIGHT, _ROW_HEIGHT, _FRAME_HEIGHT = 190, 22, 120


@dataclass(frozen=True)
class AttentionPicture:
    """What is drawn: chosen prototypes only, largest total attention first."""

    weights_PV: np.ndarray
    """Attention of each patch to each prototype shown, shares of 1."""
    labels: tuple[str, ...]
    """Name of each prototype shown: its number and nearest words."""
    spans_P2: np.ndarray
    """First row and last row + 1 of each patch within the window."""
    window: pd.Series
    """The context in original units over time."""

    def span(self, patch: int) -> tuple[pd.Timestamp, pd.Timestamp]:
        """First and last timestamp of a patch."""
        start, end = (int(row) for row in self.spans_P2[patch])
        return self.window.index[start], self.window.index[end - 1]

    def centre(self, patch: int) -> pd.Timestamp:
        """Middle of a patch in time."""
        first, last = self.span(patch)
        return first + (last - first) / 2

    def cell(self, patch: int) -> tuple[pd.Timestamp, pd.Timestamp]:
        """Where the patch's column in the heatmap begins and ends: half-way to its neighbours, which it overlaps."""
        middle, final = self.centre(patch), len(self.spans_P2) - 1
        left = self.span(0)[0] if patch == 0 else middle - (middle - self.centre(patch - 1)) / 2
        right = self.span(final)[1] if patch == final else middle + (self.centre(patch + 1) - middle) / 2
        return left, right

    def edges(self) -> list[pd.Timestamp]:
        """Where the heatmap's P columns begin, and where the last one ends."""
        cells = [self.cell(patch) for patch in range(len(self.spans_P2))]
        return [cells[0][0], *(right for _, right in cells)]


def attention_chart(picture: AttentionPicture, *, patch: int) -> go.Figure:
    """The window over its heatmap, time shared; the chosen patch is shaded in both."""
    words = [shorten(label, 44) for label in picture.labels]
    heat_height = _ROW_HEIGHT * len(words) + 30
    figure = make_subplots(
        rows=2,
        cols=1,
        shared_xaxes=True,
        vertical_spacing=40 / (heat_height + _WINDOW_HEIGHT),
        row_heights=[_WINDOW_HEIGHT, heat_height],
    )
    figure.add_trace(
        go.Scatter(
            x=picture.window.index,
            y=picture.window,
            mode="lines",
            name=str(picture.window.name),
            line={"color": HISTORY, "width": 1.5},
            hovertemplate="%{x}<br>%{y:.5g}<extra></extra>",
        ),
        row=1,
        col=1,
    )
    spans = [picture.span(i) for i in range(len(picture.spans_P2))]
    hover = [f"patch {i + 1}: {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}" for i, (first, last) in enumerate(spans)]
    figure.add_trace(
        go.Heatmap(
            x=picture.edges(),
            y=words,
            z=picture.weights_PV.T,
            colorscale=SEQUENTIAL,
            customdata=np.array([hover] * len(words)),
            hovertemplate="%{customdata}<br>%{y}<br>attention %{z:.3%}<extra></extra>",
            colorbar={
                "title": {"text": "attention", "side": "right"},
                "tickformat": ".2%",
                "thickness": 12,
                "len": heat_height / (heat_height + _WINDOW_HEIGHT),
                "y": 0,
                "yanchor": "bottom",
            },
        ),
        row=2,
        col=1,
    )
    first, last = spans[patch]
    figure.add_vrect(
        x0=first, x1=last, fillcolor=tint(ACCENT, 0.35), line={"color": ACCENT, "width": 1.5}, row=1, col=1
    )
    left, right = picture.cell(patch)
    figure.add_vrect(x0=left, x1=right, line={"color": ACCENT, "width": 2}, row=2, col=1)
    style(figure, height=_WINDOW_HEIGHT + heat_height + _FRAME_HEIGHT, legend=False)
    figure.update_layout(hovermode="closest")
    figure.update_yaxes(autorange="reversed", showgrid=False, row=2, col=1)  # the most attended prototype on top
    figure.update_xaxes(showticklabels=True, row=2, col=1)
    return figure
