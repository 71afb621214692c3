"""Patches as small charts beside each other: what the shapes have in common is seen at a glance.

Values and titles go in, a figure comes out.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from timellm.plots.template import ACCENT, style

_COLUMNS = 3
_ROW_HEIGHT, _FRAME_HEIGHT, _TITLE_HEIGHT = 160, 30, 56


@dataclass(frozen=True)
class ShapesPicture:
    """Patches, most attentive first."""

    values: tuple[np.ndarray, ...]
    """Rows of each patch, in deviations from the mean of its window."""
    titles: tuple[tuple[str, ...], ...]
    """At most three short lines over each."""


def shapes_chart(picture: ShapesPicture) -> go.Figure:
    """A small chart for each patch, all on one scale."""
    rows = -(-len(picture.values) // _COLUMNS)
    height = rows * _ROW_HEIGHT + _FRAME_HEIGHT
    titles = ["<br>".join(map(escape, lines)) for lines in picture.titles]
    figure = make_subplots(
        rows=rows, cols=_COLUMNS, subplot_titles=titles, shared_yaxes="all", horizontal_spacing=0.03,
        vertical_spacing=_TITLE_HEIGHT / height,
    )  # fmt: skip
    for place, values in enumerate(picture.values):
        row, column = divmod(place, _COLUMNS)
        trace = go.Scatter(
            x=np.arange(1, len(values) + 1), y=values, mode="lines+markers", line={"color": ACCENT, "width": 2},
            marker={"size": 4}, hovertemplate="row %{x} of the patch<br>%{y:.2f} deviations<extra></extra>",
        )  # fmt: skip
        figure.add_trace(trace, row=row + 1, col=column + 1)
    style(figure, height=height, legend=False)
    figure.update_layout(hovermode="closest", margin={"t": _TITLE_HEIGHT})
    figure.update_annotations(font={"size": 10})
    figure.update_xaxes(showticklabels=False, showgrid=False, zeroline=False)
    figure.update_yaxes(nticks=4, zeroline=True)
    return figure
