"""How forecasts move when what attention rests on is masked: the frame of measurements goes in, figures come out.

The frame has a row for each order and number removed: columns order ("most attended", "random", "least attended"),
share, moved, moved_low, moved_high, error, error_low, error_high, all shares of 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from timellm.plots.template import ACCENT, HISTORY, OTHERS, style, tint

MOST_MASKED = 0.5
"""The chart of masked shares ends here; the curves go on to the last unit."""


@dataclass(frozen=True)
class OrderLook:
    """How an order is drawn, wherever it is."""

    colour: str
    dash: str
    symbol: str
    marker: str
    """The symbol's name in matplotlib."""


LOOKS = {
    "most attended": OrderLook(ACCENT, "solid", "circle", "o"),
    "random": OrderLook(HISTORY, "dash", "square", "s"),
    "least attended": OrderLook(OTHERS[0], "dot", "diamond", "D"),
}
MOVED_TITLE = "forecast moves by"
ERROR_TITLE = "error changes by"
_PANEL_HEIGHT = 270


@dataclass(frozen=True)
class Curve:
    """One order's line with its band: x, and the movement with its lowest and highest value."""

    x: np.ndarray
    y: np.ndarray
    low: np.ndarray
    high: np.ndarray


def removed_curve(frame: pd.DataFrame, order: str, *, measure: str) -> Curve:
    """Movement (measure "moved") or change of the error ("error") by the share removed, from nothing on."""
    rows = frame[frame["order"] == order].sort_values("share")
    columns = [rows[name].to_numpy() for name in ("share", measure, f"{measure}_low", f"{measure}_high")]
    return Curve(*(np.concatenate([[0.0], column]) for column in columns))


def kept_curve(frame: pd.DataFrame, order: str) -> Curve:
    """Movement by the share kept, when `order` is kept first: the other order is removed first."""
    swapped = {"most attended": "least attended", "least attended": "most attended"}
    curve = removed_curve(frame, swapped.get(order, order), measure="moved")
    return Curve(*(values[::-1] for values in (1 - curve.x, curve.y, curve.low, curve.high)))


def masking_chart(frame: pd.DataFrame, *, unit: str) -> go.Figure:
    """Movement of the forecast, and below change of its error, by the share of prototypes or patches that is masked."""
    shares = frame.loc[frame["share"] <= MOST_MASKED, "share"]
    figure = _panels(MOVED_TITLE, ERROR_TITLE)
    for row, measure in enumerate(("moved", "error"), start=1):
        for order in LOOKS:
            curve = removed_curve(frame[frame["share"] <= MOST_MASKED], order, measure=measure)
            # Shares are too close to each other at the left for a linear axis; nothing removed has no place on it.
            one = Curve(*(values[1:] for values in (curve.x, curve.y, curve.low, curve.high)))
            _add(figure, one, order, row=row, said=f"%{{x:.3~p}} of the {unit} masked")
    ticks = sorted(set(shares))
    figure.update_xaxes(type="log", tickvals=ticks, ticktext=[f"{share:.0%}" for share in ticks], tickangle=0)
    figure.update_xaxes(title_text=f"share of {unit} masked", row=2, col=1)
    return figure


def curves_chart(frame: pd.DataFrame, *, unit: str, areas: dict[str, float]) -> go.Figure:
    """Deletion and insertion curves; `areas` are those of the deletion curves by order, and named in the legend."""
    figure = _panels(f"deletion: {MOVED_TITLE}", f"insertion: {MOVED_TITLE}")
    for order in LOOKS:
        name = f"{order}, area {areas[order]:.3f}"
        removed = removed_curve(frame, order, measure="moved")
        _add(figure, removed, order, row=1, said=f"%{{x:.3~p}} of the {unit} removed", name=name)
        _add(figure, kept_curve(frame, order), order, row=2, said=f"%{{x:.3~p}} of the {unit} kept", name=name)
    figure.update_xaxes(tickformat=".0%", range=[-0.02, 1.04])  # room for the marks at both ends
    figure.update_xaxes(title_text=f"share of {unit} removed", row=1, col=1)
    figure.update_xaxes(title_text=f"share of {unit} kept", row=2, col=1)
    return figure


def _panels(upper: str, lower: str) -> go.Figure:
    figure = make_subplots(rows=2, cols=1, vertical_spacing=0.2)
    style(figure, height=2 * _PANEL_HEIGHT + 60)
    figure.update_layout(hovermode="closest")
    for row, title in enumerate((upper, lower), start=1):
        figure.update_yaxes(title_text=title, tickformat=".0%", rangemode="tozero", row=row, col=1)
    return figure


def _add(figure: go.Figure, curve: Curve, order: str, *, row: int, said: str, name: str = "") -> None:
    look = LOOKS[order]
    band = np.concatenate([curve.high, curve.low[::-1]])
    figure.add_trace(
        go.Scatter(
            x=np.concatenate([curve.x, curve.x[::-1]]),
            y=band,
            mode="lines",
            fill="toself",
            fillcolor=tint(look.colour, 0.18),
            line={"width": 0},
            hoverinfo="skip",
            showlegend=False,
            legendgroup=order,
        ),
        row=row,
        col=1,
    )
    figure.add_trace(
        go.Scatter(
            x=curve.x,
            y=curve.y,
            mode="lines+markers",
            name=name or order,
            line={"color": look.colour, "dash": look.dash, "width": 2},
            marker={"symbol": look.symbol, "size": 7},
            customdata=np.stack([curve.low, curve.high], axis=1),
            hovertemplate=f"{order}<br>{said}<br>%{{y:.1%}} (%{{customdata[0]:.1%}} to %{{customdata[1]:.1%}})"
            "<extra></extra>",
            showlegend=row == 1,
            legendgroup=order,
        ),
        row=row,
        col=1,
    )
