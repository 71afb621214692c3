"""Promised and achieved coverage, by horizon step as lines and by channel as dots: a card in, figures out."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from timellm.plots.series import shorten
from timellm.plots.template import ACCENT, HISTORY, OTHERS, empty

_HEIGHT, _ROW_HEIGHT = 300, 26
MOST_CHANNELS = 24
_LEAST_OFF = 0.1
"""Of the promise: nearer ones would look far on an axis of their own."""


def coverage_by_step(rows: Mapping[int, pd.DataFrame]) -> go.Figure:
    """Achieved coverage by step for some levels, with a line at each promise; `rows` are those of a card by level."""
    figure = empty(height=_HEIGHT)
    for place, (level, frame) in enumerate(rows.items()):
        colour = ACCENT if not place else OTHERS[place - 1]
        steps = frame["key"].astype(int)
        figure.add_trace(
            go.Scatter(
                x=steps, y=frame["coverage"], mode="lines", name=f"{level} % band", hovertemplate="%{y:.1%}",
                line={"color": colour, "width": 2, "dash": "solid" if not place else "dash"},
            )
        )  # fmt: skip
        figure.add_hline(y=level / 100, line={"color": HISTORY, "dash": "dot", "width": 1})
    figure.update_yaxes(tickformat=".0%", title="Values inside")
    figure.update_xaxes(title="Horizon step, rows ahead")
    return figure


def coverage_by_channel(frame: pd.DataFrame, level: int) -> go.Figure:
    """Achieved coverage of each channel, the farthest from the promise first; at most 24 channels."""
    off = (frame["coverage"] - level / 100).abs()
    shown = frame.iloc[off.fillna(-1).to_numpy().argsort(kind="stable")[::-1][:MOST_CHANNELS]][::-1]
    figure = empty(height=90 + _ROW_HEIGHT * len(shown), legend=False)
    names = [shorten(str(name), 28) for name in shown["key"]]
    figure.add_trace(
        go.Scatter(
            x=shown["coverage"], y=names, mode="markers", marker={"color": ACCENT, "size": 10},
            hovertemplate="%{x:.1%}<extra></extra>",
        )
    )  # fmt: skip
    figure.add_vline(x=level / 100, line={"color": HISTORY, "dash": "dot", "width": 1})
    far = max(_LEAST_OFF, float(off.max())) * 1.1
    figure.update_xaxes(range=[level / 100 - far, level / 100 + far])
    figure.update_xaxes(tickformat=".0%", title=f"Values inside the {level} % band")
    return figure
