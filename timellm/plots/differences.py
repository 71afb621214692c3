"""Bars of how much more, or less, some patches attend to each prototype, with intervals.

A `DifferencesPicture` goes in, figures come out; its bars are in the order in which they are drawn, from the top.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure

from timellm.plots.exporting import new_figure
from timellm.plots.series import shorten
from timellm.plots.template import ACCENT, HISTORY, empty, tint

SURE, CHANCE = "Surely different", "May be chance"
_ROW_HEIGHT = 24


@dataclass(frozen=True)
class DifferencesPicture:
    """The prototypes that are drawn."""

    labels: tuple[str, ...]
    difference: np.ndarray
    """Shares of attention: mean of the chosen patches without that of all."""
    half: np.ndarray
    """Half the width of each interval; NaN where there is none."""
    sure: np.ndarray
    all: np.ndarray
    """Mean attention of all patches."""

    def groups(self) -> list[tuple[str, str, np.ndarray]]:
        """Name, colour and positions of the bars of each kind that there is."""
        kinds = ((SURE, ACCENT, self.sure), (CHANCE, HISTORY, ~self.sure))
        return [(name, colour, np.flatnonzero(which)) for name, colour, which in kinds if which.any()]


def differences_chart(picture: DifferencesPicture) -> go.Figure:
    """Bars to the right: more attention than the average; to the left: less."""
    figure = empty(height=_ROW_HEIGHT * len(picture.labels) + 110)
    names = [shorten(label, 28) for label in picture.labels]
    for name, colour, mine in picture.groups():
        half = picture.half[mine]
        figure.add_trace(
            go.Bar(
                x=picture.difference[mine], y=[names[i] for i in mine], orientation="h", name=name,
                marker={
                    "color": tint(colour, 0.45), "line": {"color": colour, "width": 1},
                    "pattern": {"shape": "" if name == SURE else "/"},
                },
                error_x=(
                    {"array": half, "thickness": 1.8, "width": 4, "color": colour} if np.isfinite(half).all() else None
                ),
                customdata=np.stack([picture.all[mine], half, picture.all[mine] + picture.difference[mine]], axis=1),
                hovertemplate="%{y}<br>%{customdata[2]:.3%} here, %{customdata[0]:.3%} on average<br>"
                "difference %{x:+.3%} ± %{customdata[1]:.3%}<extra></extra>",
            )
        )  # fmt: skip
    figure.update_layout(hovermode="closest", bargap=0.3)
    figure.update_yaxes(
        autorange="reversed", categoryorder="array", categoryarray=names, showgrid=False, dtick=1, automargin=True,
        tickfont={"size": 11},
    )  # fmt: skip
    figure.update_xaxes(tickformat="+.2%", zeroline=True, zerolinewidth=1.5, nticks=5)
    return figure


def differences_figure(picture: DifferencesPicture, *, title: str) -> Figure:
    """The same for a report."""
    figure = new_figure(9, 1.4 + 0.24 * len(picture.labels))
    axis = figure.subplots()
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    for name, colour, mine in picture.groups():
        half = picture.half[mine]
        axis.barh(
            mine, picture.difference[mine], xerr=half if np.isfinite(half).all() else None, color=colour, label=name,
            capsize=2, hatch="" if name == SURE else "//",
        )  # fmt: skip
    axis.set_yticks(range(len(picture.labels)), [shorten(label, 40) for label in picture.labels], fontsize=8)
    axis.invert_yaxis()
    axis.axvline(0, color=HISTORY, linewidth=1)
    axis.xaxis.set_major_formatter("{x:+.2%}")
    axis.set_xlabel("attention above or below the average of all patches")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=8)
    return figure
