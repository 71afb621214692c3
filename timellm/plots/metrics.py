"""Errors as charts: along the horizon, and channel by channel. Tidy score frames go in, figures come out."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from timellm.plots.series import shorten
from timellm.plots.template import HISTORY, Look, empty

MOST_CHANNELS = 30
_LEGEND_LINE = 19  # pixels; on a phone each model has a line of its own, which must not lie on the dots


def by_step(frame: pd.DataFrame, looks: Mapping[str, Look], *, metric: str, label: str) -> go.Figure:
    """One line a model over the horizon step; `frame` has columns model, step and `metric`, `label` names the axis."""
    figure = empty(height=320)
    for name, look in looks.items():
        rows = frame[frame["model"] == name].sort_values("step")
        figure.add_trace(
            go.Scatter(
                x=rows["step"],
                y=rows[metric],
                mode="lines+markers" if len(rows) < 25 else "lines",
                name=name,
                line={"color": look.colour, "dash": look.dash, "width": look.width},
                hovertemplate="%{y:.4g}",
            )
        )
    figure.update_xaxes(title="rows ahead", rangemode="tozero")
    figure.update_yaxes(title=label, rangemode="tozero")
    return figure


def by_channel(frame: pd.DataFrame, looks: Mapping[str, Look], *, metric: str, label: str) -> go.Figure:
    """A row of dots a channel, one dot a model, the own model's worst channel on top; the worst 30 if there are more.

    The first of `looks` is the own model.
    """
    worst = frame[frame["model"] == next(iter(looks))].sort_values(metric, ascending=True, na_position="first")
    channels = worst["channel"].tolist()[-MOST_CHANNELS:]
    table = frame.pivot(index="channel", columns="model", values=metric).reindex(channels)
    labels = [shorten(str(channel), 28) for channel in channels]
    figure = empty(height=130 + _LEGEND_LINE * len(looks) + 30 * len(channels))
    shown = table[list(looks)]
    for channel, row in zip(labels, shown.itertuples(index=False), strict=True):  # a thin line ties a channel's dots
        figure.add_trace(
            go.Scatter(
                x=list(row),
                y=[channel] * len(row),
                mode="lines",
                line={"color": HISTORY, "width": 1},
                showlegend=False,
                hoverinfo="skip",
            )
        )
    for name, look in looks.items():
        figure.add_trace(
            go.Scatter(
                x=table[name],
                y=labels,
                mode="markers",
                name=name,
                marker={"size": 11, "color": look.colour, "symbol": look.symbol},
                hovertemplate="%{x:.4g}",
            )
        )
    figure.update_layout(hovermode="y unified")
    figure.update_xaxes(title=label, rangemode="tozero", showgrid=True)
    figure.update_yaxes(type="category")
    return figure
