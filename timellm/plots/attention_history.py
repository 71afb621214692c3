"""Attention over training: how many prototypes heads rest on, and how much some prototypes get, by step.

Arrays over K validations go in, figures come out.

Shapes: K validations, h heads, U prototypes shown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure

from timellm.plots.exporting import new_figure
from timellm.plots.series import shorten
from timellm.plots.template import HISTORY, RUNS, empty

_DASHES = ("solid", "dash", "dot", "dashdot")
_PRINTED = ("-", "--", ":", "-.")


@dataclass(frozen=True)
class HistoryPicture:
    """Lines over the steps of a training."""

    step: np.ndarray
    """[K]."""
    lines: np.ndarray
    """[K, lines]; NaN where a value was not kept."""
    labels: tuple[str, ...]
    kept: int
    """The step whose weights the run kept."""
    axis: str
    """What the lines are of."""
    format: str
    """Of their values: ".0f" or ".2%"."""


def history_chart(picture: HistoryPicture) -> go.Figure:
    """A line for each head or prototype; the step that was kept is marked."""
    figure = empty(height=330 + 11 * len(picture.labels))
    for number, (label, line) in enumerate(zip(picture.labels, picture.lines.T, strict=True)):
        colour, dash = RUNS[number % len(RUNS)], _DASHES[number // len(RUNS) % len(_DASHES)]
        figure.add_trace(
            go.Scatter(
                x=picture.step, y=line, mode="lines+markers", name=shorten(label, 24), connectgaps=False,
                line={"color": colour, "dash": dash, "width": 2},
                hovertemplate=f"%{{y:{picture.format}}}",
            )
        )  # fmt: skip
    figure.add_vline(x=picture.kept, line={"color": HISTORY, "dash": "dot", "width": 1.5})
    figure.add_annotation(
        x=picture.kept, y=1, yref="paper", text="kept", showarrow=False, xanchor="left", yanchor="top", xshift=3
    )
    figure.update_layout(legend={"yref": "container", "y": 0, "yanchor": "bottom"}, margin={"t": 12, "b": 40})
    figure.update_xaxes(title="step")
    figure.update_yaxes(title=picture.axis, tickformat=picture.format, rangemode="tozero")
    return figure


def history_figure(pictures: tuple[HistoryPicture, ...], *, title: str) -> Figure:
    """The same for a report, one above the other."""
    figure = new_figure(9, 3.4 * len(pictures) + 0.4)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    for axis, picture in zip(figure.subplots(len(pictures), 1, squeeze=False)[:, 0], pictures, strict=True):
        for number, (label, line) in enumerate(zip(picture.labels, picture.lines.T, strict=True)):
            style = _PRINTED[number // len(RUNS) % len(_PRINTED)]
            axis.plot(picture.step, line, style, color=RUNS[number % len(RUNS)], marker=".", label=shorten(label, 24))
        axis.axvline(picture.kept, color=HISTORY, linestyle=":", linewidth=1.2)
        axis.set_ylabel(picture.axis)
        axis.set_ylim(bottom=0)
        axis.yaxis.set_major_formatter(f"{{x:{picture.format}}}")
        axis.legend(frameon=False, fontsize=7, ncols=2, loc="upper left", bbox_to_anchor=(1.0, 1.0))
        axis.spines[["top", "right"]].set_visible(False)
    axis.set_xlabel("step")
    return figure
