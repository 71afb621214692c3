"""Errors as charts: along the horizon, and channel by channel. Tidy score frames go in, figures come out."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from timellm.plots.series import shorten
from timellm.plots.template import ACCENT, BASELINES, DASHES, HISTORY, empty

MOST_CHANNELS = 30
_SYMBOLS = {"Seasonal naive": "diamond", "Last value": "square"}


def _order(frame: pd.DataFrame) -> list[str]:
    """The model before the baselines, which keep the order of `BASELINES`."""
    names = list(dict.fromkeys(frame["model"]))
    return [n for n in names if n not in BASELINES] + [n for n in BASELINES if n in names]


def by_step(frame: pd.DataFrame, *, metric: str, label: str) -> go.Figure:
    """One line a model over the horizon step; `frame` has columns model, step and `metric`, `label` names the axis."""
    figure = empty(height=320)
    for name in _order(frame):
        rows = frame[frame["model"] == name].sort_values("step")
        figure.add_trace(
            go.Scatter(
                x=rows["step"],
                y=rows[metric],
                mode="lines+markers" if len(rows) < 25 else "lines",
                name=name,
                line={
                    "color": BASELINES.get(name, ACCENT),
                    "dash": DASHES.get(name, "solid"),
                    "width": 1.6 if name in BASELINES else 2.4,
                },
                hovertemplate="%{y:.4g}",
            )
        )
    figure.update_xaxes(title="rows ahead", rangemode="tozero")
    figure.update_yaxes(title=label, rangemode="tozero")
    return figure


def by_channel(frame: pd.DataFrame, *, metric: str, label: str) -> go.Figure:
    """A row of dots a channel, one dot a model, the model's worst channel on top; the worst 30 when there are more."""
    names = _order(frame)
    worst = frame[frame["model"] == names[0]].sort_values(metric, ascending=True, na_position="first")
    channels = worst["channel"].tolist()[-MOST_CHANNELS:]
    table = frame.pivot(index="channel", columns="model", values=metric).reindex(channels)
    labels = [shorten(str(channel), 28) for channel in channels]
    figure = empty(height=110 + 30 * len(channels))
    for channel, row in zip(labels, table.itertuples(index=False), strict=True):  # a thin line ties a channel's dots
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
    for name in names:
        figure.add_trace(
            go.Scatter(
                x=table[name],
                y=labels,
                mode="markers",
                name=name,
                marker={"size": 11, "color": BASELINES.get(name, ACCENT), "symbol": _SYMBOLS.get(name, "circle")},
                hovertemplate="%{x:.4g}",
            )
        )
    figure.update_layout(hovermode="y unified")
    figure.update_xaxes(title=label, rangemode="tozero", showgrid=True)
    figure.update_yaxes(type="category")
    return figure
