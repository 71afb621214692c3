"""A window with one of its patches marked, in which a stretch of time can be selected.

A series and the rows of a patch go in, a figure comes out.
"""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from timellm.plots.template import ACCENT, HISTORY, empty, tint


def marked_patch_chart(context: pd.Series, *, first: int, end: int) -> go.Figure:
    """The window as a line, its rows from `first` to before `end` shaded; dragging selects a stretch of time."""
    figure = empty(height=170, legend=False)
    figure.add_trace(
        go.Scatter(
            x=context.index, y=context, mode="lines+markers", line={"color": HISTORY, "width": 1.5},
            marker={"size": 2, "color": HISTORY}, hovertemplate="%{x}<br>%{y:.5g}<extra></extra>",
        )
    )  # fmt: skip
    figure.add_vrect(
        x0=context.index[first], x1=context.index[end - 1], fillcolor=tint(ACCENT, 0.35),
        line={"color": ACCENT, "width": 1.5},
    )  # fmt: skip
    figure.update_layout(dragmode="select", selectdirection="h", hovermode="closest")
    return figure
