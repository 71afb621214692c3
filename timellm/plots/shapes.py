"""Shapes of patches, some thin and their mean thick, on the page and for print.

Shapes: K patches drawn, S rows of a patch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure

from timellm.plots.exporting import new_figure
from timellm.plots.template import RUNS, empty, tint

_HEIGHT, _A_ROW = 130, 4


@dataclass(frozen=True)
class ShapeGroup:
    """Patches that belong together."""

    name: str
    mean_S: np.ndarray
    shapes_KS: np.ndarray


def reach(groups: Sequence[ShapeGroup]) -> tuple[float, float]:
    """Lowest and highest value of what is drawn, so that all groups can share a scale."""
    drawn = np.concatenate([np.append(group.shapes_KS.ravel(), group.mean_S) for group in groups])
    return float(drawn.min()), float(drawn.max())


def shapes_chart(group: ShapeGroup, *, number: int, between: tuple[float, float]) -> go.Figure:
    """The group's shapes, in the colour of its number, counted from 0; `between` are the ends of the scale."""
    colour, rows = RUNS[number % len(RUNS)], np.arange(1, len(group.mean_S) + 1)
    figure = empty(height=_HEIGHT, legend=False)
    # All thin lines in one trace, with a gap after each: a trace a line takes most of the time of drawing the page.
    gaps_K1 = np.full((len(group.shapes_KS), 1), np.nan)
    figure.add_trace(
        go.Scatter(
            x=np.tile(np.append(rows, rows[-1]), len(group.shapes_KS)),
            y=np.hstack([group.shapes_KS, gaps_K1]).ravel(),
            mode="lines", line={"color": tint(colour, 0.35), "width": 1}, hoverinfo="skip", connectgaps=False,
        )
    )  # fmt: skip
    figure.add_trace(
        go.Scatter(
            x=rows, y=group.mean_S, mode="lines", line={"color": colour, "width": 3},
            hovertemplate="row %{x}: %{y:.2f}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(showticklabels=False)
    figure.update_yaxes(nticks=4, range=between)
    return figure


def shapes_figure(groups: Sequence[ShapeGroup], *, title: str) -> Figure:
    """All groups side by side, on one scale."""
    lines = -(-len(groups) // _A_ROW)
    figure = new_figure(11, 0.6 + 2.3 * lines)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
    axes = figure.subplots(lines, min(_A_ROW, len(groups)), sharey=True, squeeze=False).ravel()
    for number, (axis, group) in enumerate(zip(axes, groups, strict=False)):
        colour, rows = RUNS[number % len(RUNS)], np.arange(1, len(group.mean_S) + 1)
        axis.plot(rows, group.shapes_KS.T, color=colour, alpha=0.35, linewidth=0.8)
        axis.plot(rows, group.mean_S, color=colour, linewidth=2.4)
        axis.set_title(group.name, fontsize=9)
        axis.spines[["top", "right"]].set_visible(False)
    for axis in axes[len(groups) :]:
        axis.set_visible(False)
    figure.supxlabel("row of the patch", fontsize=9)
    figure.supylabel("standard deviations", fontsize=9)
    return figure
