"""A channel before and after a repair, one above the other, with the changed cells marked."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from timellm.plots.series import BUCKETS, thin
from timellm.plots.template import ACCENT, HISTORY, MARK, style

_HEIGHT = 420
_MOST_MARKS = 500
_DOTS = 200  # shorter series are drawn with their points


def changed_cells(before: pd.Series, after: pd.Series) -> pd.Series:
    """Values after a repair that were not there before, or were others; both series by their moments."""
    earlier = before.groupby(level=0).first().reindex(after.index)
    same = (after == earlier) | (after.isna() & earlier.isna())
    return after[~same & after.notna()]


def near(series: pd.Series, moment: pd.Timestamp, rows: int) -> pd.Series:
    """The rows of a series on both sides of a moment."""
    place = int(series.index.searchsorted(moment))
    return series.iloc[max(0, place - rows) : place + rows]


def before_after(before: pd.Series, after: pd.Series) -> go.Figure:
    """A channel before and after, by their moments in order; at most 500 of the changed cells are marked."""
    figure = make_subplots(
        rows=2, cols=1, shared_xaxes=True, shared_yaxes="all", vertical_spacing=0.16,
        subplot_titles=("Before" if len(before) else "Before: not to be read as numbers", "After"),
    )  # fmt: skip
    figure.add_trace(_line(before, HISTORY, "Before"), row=1, col=1)
    figure.add_trace(_line(after, ACCENT, "After"), row=2, col=1)
    marked = changed_cells(before, after)
    if 0 < len(marked) < len(after) / 2:  # where most cells are new, marks would say nothing
        kept = np.unique(np.linspace(0, len(marked) - 1, min(len(marked), _MOST_MARKS)).astype(int))
        marked = marked.iloc[kept]
        figure.add_trace(
            go.Scatter(
                x=marked.index, y=marked.to_numpy(), mode="markers", name="Changed",
                marker={"color": MARK, "size": 5, "symbol": "diamond"}, hovertemplate="%{y:.5g}<extra>Changed</extra>",
            ),
            row=2, col=1,
        )  # fmt: skip
    style(figure, height=_HEIGHT, legend=False)
    figure.update_layout(margin={"t": 30})
    figure.update_yaxes(nticks=4)
    return figure


def _line(series: pd.Series, colour: str, name: str) -> go.Scatter:
    kept = thin(series.to_numpy(dtype=float), buckets=BUCKETS)
    return go.Scatter(
        x=series.index[kept],
        y=series.to_numpy()[kept],
        mode="lines+markers" if len(series) <= _DOTS else "lines",
        name=name,
        line={"color": colour, "width": 1.3},
        marker={"size": 4},
        hovertemplate="%{y:.5g}<extra></extra>",
    )
