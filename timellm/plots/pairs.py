"""Attention of two channels or runs to the same prototypes, a point for each prototype.

Two arrays of shares and labels go in, figures come out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure

from timellm.plots.exporting import new_figure
from timellm.plots.series import shorten
from timellm.plots.template import ACCENT, HISTORY, empty

_NAMED = 6
_ROOM = (0.3, 0.07)
"""What a name takes of the axes, to the right and upwards, on a phone."""


@dataclass(frozen=True)
class PairsPicture:
    """Both attentions and what they are called."""

    names: tuple[str, str]
    labels: tuple[str, ...]
    first: np.ndarray
    second: np.ndarray

    @property
    def named(self) -> np.ndarray:
        """Positions of the points that are named: those attended most by either whose names do not meet."""
        largest_M = np.maximum(self.first, self.second)
        room = [share * axis.max() for share, axis in zip(_ROOM, (self.first, self.second), strict=True)]
        chosen: list[int] = []
        for at in np.argsort(-largest_M, kind="stable"):
            if all(
                abs(self.first[at] - self.first[other]) >= room[0]
                or abs(self.second[at] - self.second[other]) >= room[1]
                for other in chosen
            ):
                chosen.append(int(at))
            if len(chosen) == _NAMED:
                break
        return np.array(chosen)


def pairs_chart(picture: PairsPicture) -> go.Figure:
    """Points on the diagonal are attended alike by both."""
    figure = empty(height=430, legend=False)
    most = float(max(picture.first.max(), picture.second.max()))
    figure.add_shape(type="line", x0=0, y0=0, x1=most, y1=most, line={"color": HISTORY, "width": 1, "dash": "dot"})
    text = [""] * len(picture.labels)
    names = [shorten(one, 44) for one in picture.labels]
    for at in picture.named:
        text[at] = shorten(picture.labels[at].split(",")[0], 18)
    figure.add_trace(
        go.Scatter(
            x=picture.first, y=picture.second, mode="markers+text", text=text, textposition="top center",
            marker={"color": ACCENT, "size": 7, "opacity": 0.6}, customdata=names,
            cliponaxis=False, textfont={"size": 11},
            hovertemplate="%{customdata}<br>%{x:.3%} and %{y:.3%}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_layout(hovermode="closest")
    one, other = (shorten(name, 40) for name in picture.names)
    figure.update_xaxes(title=one, tickformat=".3~%", rangemode="tozero")
    figure.update_yaxes(title=other, tickformat=".3~%", rangemode="tozero")
    return figure


def pairs_figure(picture: PairsPicture, *, title: str) -> Figure:
    """The same for a report."""
    figure = new_figure(6.5, 6)
    axis = figure.subplots()
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    most = float(max(picture.first.max(), picture.second.max()))
    axis.plot([0, most], [0, most], color=HISTORY, linewidth=1, linestyle=":")
    axis.scatter(picture.first, picture.second, color=ACCENT, s=14, alpha=0.6)
    for at in picture.named:
        axis.annotate(
            shorten(picture.labels[at].split(",")[0], 22), (picture.first[at], picture.second[at]), fontsize=8,
            xytext=(3, 3), textcoords="offset points",
        )  # fmt: skip
    axis.set_xlabel(shorten(picture.names[0], 60))
    axis.set_ylabel(shorten(picture.names[1], 60))
    axis.xaxis.set_major_formatter("{x:.2%}")
    axis.yaxis.set_major_formatter("{x:.2%}")
    axis.spines[["top", "right"]].set_visible(False)
    return figure
