"""A run's loss curves: the store's curve frame goes in, a figure comes out."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from timellm.plots.template import ACCENT, HISTORY, empty


def loss_curves(curve: pd.DataFrame, *, steps: int | None = None) -> go.Figure:
    """Train and validation loss on z-scored values over the optimiser step; columns step, train_loss, validation_loss.

    With `steps`, the axis spans the whole run from the start, so that nothing moves while points arrive.
    """
    figure = empty(height=300)
    train = curve.dropna(subset=["train_loss"])
    validation = curve.dropna(subset=["validation_loss"])
    figure.add_trace(
        go.Scatter(
            x=train["step"],
            y=train["train_loss"],
            mode="lines",
            name="Train",
            line={"color": HISTORY, "width": 1.4},
            hovertemplate="%{y:.4f}",
        )
    )
    figure.add_trace(
        go.Scatter(
            x=validation["step"],
            y=validation["validation_loss"],
            mode="lines+markers",
            name="Validation (MSE)",
            line={"color": ACCENT, "width": 2.4},
            marker={"size": 7},
            hovertemplate="%{y:.4f}",
        )
    )
    if len(validation):
        best = validation.loc[validation["validation_loss"].idxmin()]
        figure.add_annotation(
            x=best["step"],
            y=best["validation_loss"],
            text=f"best {best['validation_loss']:.3f}",
            showarrow=True,
            arrowhead=0,
            ax=0,
            ay=26,
        )
    figure.update_xaxes(title="optimiser step", range=[0, steps] if steps else None)
    figure.update_yaxes(title="loss, z-scored", rangemode="tozero")
    return figure
