"""Heads side by side: a small heatmap for each, how many prototypes each rests on, and how alike they are.

Weights [h, P, K] of the prototypes shown and numbers by head go in, figures come out. All small heatmaps have one
colour scale, so that they can be compared.

Shapes: h heads, P patches, K prototypes shown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure
from plotly.subplots import make_subplots

from timellm.plots.exporting import new_figure
from timellm.plots.series import shorten
from timellm.plots.template import ACCENT, SEQUENTIAL, style, tint

_COLUMNS, _ROW_HEIGHT, _HEAD_FRAME, _CELL = 2, 13, 46, 34
_MOST_WRITTEN = 12
_CELLS = {"aspect": "auto", "cmap": SEQUENTIAL.lower(), "interpolation": "nearest"}


@dataclass(frozen=True)
class HeadsPicture:
    """What is drawn: chosen prototypes only, largest total attention first."""

    weights_hPK: np.ndarray
    labels: tuple[str, ...]
    """Name of each prototype shown: its number and nearest words."""
    effective_hP: np.ndarray
    """Prototypes that each patch's attention rests on."""
    alike_hh: np.ndarray
    """Cosine between two heads."""

    @property
    def numbers(self) -> list[str]:
        """Numbers of the prototypes shown: names would leave no room for the heatmaps on a phone."""
        return [label.split(":")[0] for label in self.labels]

    @property
    def heads(self) -> list[str]:
        """Names of the heads."""
        return [f"Head {number}" for number in range(1, len(self.weights_hPK) + 1)]


def heads_chart(picture: HeadsPicture) -> go.Figure:
    """A heatmap for each head: prototypes by patches."""
    heads, patches, shown = picture.weights_hPK.shape
    rows = -(-heads // _COLUMNS)
    each = _ROW_HEIGHT * shown
    height = rows * (each + _HEAD_FRAME) + 90
    figure = make_subplots(
        rows=rows, cols=_COLUMNS, shared_xaxes=True, shared_yaxes=True, subplot_titles=picture.heads,
        vertical_spacing=_HEAD_FRAME / height, horizontal_spacing=0.03,
    )  # fmt: skip
    names = np.repeat([[shorten(label, 44)] for label in picture.labels], patches, axis=1)
    for number, weights_PK in enumerate(picture.weights_hPK):
        row, column = divmod(number, _COLUMNS)
        figure.add_trace(
            go.Heatmap(
                x=np.arange(1, patches + 1), y=picture.numbers, z=weights_PK.T, customdata=names, coloraxis="coloraxis",
                hovertemplate=f"head {number + 1}, patch %{{x}}<br>%{{customdata}}<br>%{{z:.3%}}<extra></extra>",
            ),
            row=row + 1, col=column + 1,
        )  # fmt: skip
    style(figure, height=height, legend=False)
    bar = {"orientation": "h", "thickness": 10, "y": -60 / height, "yanchor": "top", "tickformat": ".1%"}
    figure.update_layout(
        hovermode="closest",
        coloraxis={"colorscale": SEQUENTIAL, "cmin": 0, "colorbar": bar},
        margin={"t": 30, "b": 70},
    )
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False, tickfont={"size": 10}, dtick=1)
    figure.update_xaxes(showgrid=False)
    figure.update_annotations(font_size=12)
    return figure


def effective_chart(picture: HeadsPicture) -> go.Figure:
    """Prototypes that a patch's attention rests on, by head and patch."""
    heads, patches = picture.effective_hP.shape
    figure = go.Figure(
        go.Heatmap(
            x=np.arange(1, patches + 1), y=picture.heads, z=picture.effective_hP, colorscale=SEQUENTIAL,
            hovertemplate="%{y}, patch %{x}<br>%{z:.0f} prototypes<extra></extra>",
            colorbar={"orientation": "h", "thickness": 10, "y": -0.25, "yanchor": "top", "title": "prototypes"},
        )
    )  # fmt: skip
    style(figure, height=24 * heads + 150, legend=False)
    figure.update_layout(hovermode="closest")
    figure.update_yaxes(autorange="reversed", showgrid=False, dtick=1)
    figure.update_xaxes(showgrid=False, title="patch")
    return figure


def alike_chart(picture: HeadsPicture) -> go.Figure:
    """Cosine between the attention of two heads."""
    heads = len(picture.alike_hh)
    figure = go.Figure(
        go.Heatmap(
            x=[str(number) for number in range(1, heads + 1)], y=picture.heads, z=picture.alike_hh, zmin=0, zmax=1,
            # The page writes in its own colour: light tints of the accent keep it readable in both modes.
            colorscale=[[0, tint(ACCENT, 0)], [1, tint(ACCENT, 0.65)]],
            texttemplate="%{z:.2f}" if heads <= _MOST_WRITTEN else None,
            hovertemplate="%{y} and head %{x}<br>cosine %{z:.3f}<extra></extra>",
            colorbar={"orientation": "h", "thickness": 10, "y": -0.2, "yanchor": "top", "title": "cosine"},
        )
    )  # fmt: skip
    style(figure, height=_CELL * min(heads, _MOST_WRITTEN) + 150, legend=False)
    figure.update_layout(hovermode="closest")
    figure.update_yaxes(autorange="reversed", showgrid=False, dtick=1)
    figure.update_xaxes(type="category", showgrid=False, title="head")
    return figure


def heads_figure(picture: HeadsPicture, *, title: str) -> Figure:
    """All of it for a report."""
    heads, patches, shown = picture.weights_hPK.shape
    rows = -(-heads // 4)
    figure = new_figure(11, 1.2 + rows * max(1.6, 0.16 * shown) + 0.28 * heads + 1.2)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
    parts = figure.subfigures(2, 1, squeeze=False, height_ratios=[rows * max(1.6, 0.16 * shown), 0.28 * heads + 1.2])
    above, below = parts[:, 0]
    axes = above.subplots(rows, min(heads, 4), sharex=True, sharey=True, squeeze=False).ravel()
    most = float(picture.weights_hPK.max())
    for axis, name, weights_PK in zip(axes, picture.heads, picture.weights_hPK, strict=False):
        drawn = axis.imshow(weights_PK.T, vmin=0, vmax=most, extent=_from_one(patches, shown), **_CELLS)
        axis.set_title(name, fontsize=9)
        axis.set_yticks(range(shown), [shorten(label, 18) for label in picture.labels], fontsize=6)
    for axis in axes[heads:]:
        axis.set_visible(False)
    above.colorbar(drawn, ax=axes.tolist(), label="attention", format="{x:.1%}", pad=0.01)
    left, right = below.subplots(1, 2, width_ratios=[2, 1])
    drawn = left.imshow(picture.effective_hP, extent=_from_one(patches, heads), **_CELLS)
    left.set_title("prototypes attended to, by head and patch", fontsize=9)
    below.colorbar(drawn, ax=left, pad=0.01)
    drawn = right.imshow(picture.alike_hh, vmin=0, vmax=1, extent=_from_one(heads, heads), **_CELLS)
    right.set_title("cosine between heads", fontsize=9)
    below.colorbar(drawn, ax=right, pad=0.01)
    for axis in (left, right):
        axis.set_yticks(range(heads), picture.heads, fontsize=7)
    return figure


def _from_one(columns: int, rows: int) -> tuple[float, float, float, float]:
    """Where cells lie whose columns count from 1, as patches and heads do on the page, and whose rows count from 0."""
    return 0.5, columns + 0.5, rows - 0.5, -0.5
