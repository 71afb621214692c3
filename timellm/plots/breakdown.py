"""Errors by a key, such as the hour or the weekday: a bar for the run's own model and a dot for the simple forecast.

Tidy frames go in, figures come out.
"""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from timellm.plots.series import shorten
from timellm.plots.template import ACCENT, HISTORY, empty

_MOST = 40
"""Keys that are drawn; of more, such as channels, those with the largest error."""


def by_key(own: pd.Series, naive: pd.Series | None, *, ordered: bool, label: str, axis: str) -> go.Figure:
    """Bars of one model's error by key, and dots of the simple forecast's, named by the series.

    `ordered` keys, such as hours, stay in order along the horizontal axis; others are listed, the largest error on top.
    """
    if not ordered:
        own = own.sort_values(na_position="first").iloc[-_MOST:]
    keys = [shorten(str(key), 28) for key in own.index]
    figure = empty(height=320 if ordered else 130 + 26 * len(own))
    dots = None if naive is None else naive.reindex(own.index)
    figure.add_trace(_bars(keys, own, ordered=ordered))
    if dots is not None:
        figure.add_trace(_dots(keys, dots, ordered=ordered))
    figure.update_layout(hovermode="x unified" if ordered else "y unified", bargap=0.25)
    along, across = (
        (figure.update_xaxes, figure.update_yaxes) if ordered else (figure.update_yaxes, figure.update_xaxes)
    )
    along(type="category", title=axis if ordered else None)
    across(title=label, rangemode="tozero", showgrid=True)
    return figure


def _bars(keys: list[str], errors: pd.Series, *, ordered: bool) -> go.Bar:
    look = {
        "name": str(errors.name),
        "marker": {"color": ACCENT},
        "hovertemplate": "%{y:.4g}" if ordered else "%{x:.4g}",
    }
    return go.Bar(x=keys, y=errors, **look) if ordered else go.Bar(x=errors, y=keys, orientation="h", **look)


def _dots(keys: list[str], errors: pd.Series, *, ordered: bool) -> go.Scatter:
    x, y = (keys, errors) if ordered else (errors, keys)
    return go.Scatter(
        x=x,
        y=y,
        mode="markers",
        name=str(errors.name),
        marker={"size": 9, "color": HISTORY, "symbol": "diamond", "line": {"width": 1}},
        hovertemplate="%{y:.4g}" if ordered else "%{x:.4g}",
    )
