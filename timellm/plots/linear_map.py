"""The weights of a linear forecaster, as a heatmap over rows of the context and steps ahead.

Weights [L, H] go in, figures come out. Where there are more rows or steps than can be told apart, neighbours are
averaged. The colours are symmetric around zero.

Shapes: L rows of the context, the oldest first, H steps ahead.
"""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure

from timellm.plots.exporting import new_figure
from timellm.plots.template import empty

MOST_ROWS, MOST_STEPS = 400, 120
_DIVERGING = "PuOr"


def thinned(weights_LH: np.ndarray, *, rows: int = MOST_ROWS, steps: int = MOST_STEPS) -> tuple[np.ndarray, int, int]:
    """Weights of which there are no more than `rows` and `steps`, and how many neighbours each is the mean of.

    The last row stays in a group of full size, the first group may be smaller.
    """
    each_row, each_step = -(-len(weights_LH) // rows), -(-weights_LH.shape[1] // steps)
    last_first = np.add.reduceat(weights_LH[::-1], np.arange(0, len(weights_LH), each_row), axis=0)
    counts = np.add.reduceat(np.ones(len(weights_LH)), np.arange(0, len(weights_LH), each_row))
    by_row = (last_first / counts[:, None])[::-1]
    summed = np.add.reduceat(by_row, np.arange(0, by_row.shape[1], each_step), axis=1)
    counts = np.add.reduceat(np.ones(by_row.shape[1]), np.arange(0, by_row.shape[1], each_step))
    return summed / counts, each_row, each_step


def linear_chart(weights_LH: np.ndarray) -> go.Figure:
    """Rows back from the end of the context to the left, steps ahead upwards."""
    shown, each_row, each_step = thinned(weights_LH)
    back = -(np.arange(len(shown))[::-1] * each_row + (each_row + 1) / 2)
    ahead = np.arange(shown.shape[1]) * each_step + (each_step + 1) / 2
    most = float(np.abs(shown).max()) or 1.0
    figure = empty(height=430, legend=False)
    figure.add_trace(
        go.Heatmap(
            x=back, y=ahead, z=shown.T, colorscale=_DIVERGING, zmin=-most, zmax=most,
            hovertemplate="row %{x} (-1 is the last)<br>step %{y} ahead<br>weight %{z:.4f}<extra></extra>",
            colorbar={"orientation": "h", "thickness": 10, "y": -0.18, "yanchor": "top"},
        )
    )  # fmt: skip
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(title="rows before the forecast", showgrid=False)
    figure.update_yaxes(title="step ahead", showgrid=False)
    return figure


def linear_figure(weights_LH: np.ndarray, *, title: str) -> Figure:
    """The same for a report."""
    figure = new_figure(10, 4.5)
    axis = figure.subplots()
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    most = float(np.abs(weights_LH).max()) or 1.0
    rows, steps = weights_LH.shape
    drawn = axis.imshow(
        weights_LH.T, aspect="auto", origin="lower", cmap=_DIVERGING, vmin=-most, vmax=most,
        extent=(-rows - 0.5, -0.5, 0.5, steps + 0.5), interpolation="nearest",
    )  # fmt: skip
    axis.set_xlabel("rows before the forecast")
    axis.set_ylabel("step ahead")
    figure.colorbar(drawn, ax=axis, label="weight", pad=0.01)
    return figure
