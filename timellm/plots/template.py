"""The one look of every chart: colours, line styles and margins.

Inputs: sizes. Outputs: empty figures, which the other modules here fill. Colours are mid-tones that keep a
contrast of 3:1 on both the light and the dark page. Text, grid and background are left unset, because the page supplies
them for whichever mode is on, so a figure need not be drawn again when the mode changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

ACCENT = "#12938A"  # what the model says
HISTORY = "#7E8886"  # what was measured
OTHERS = ("#C2660C", "#7A63B8", "#B0456A", "#5B7A1F", "#3B74B8", "#94703A", "#6B7785")  # models it is compared with
MARK = "#C2660C"  # gaps and other findings
SEQUENTIAL = "Cividis"  # perceptually even, and the same to colour-blind eyes
_DASHES = ("dash", "dot", "dashdot", "longdash", "longdashdot", "dash", "dot")  # no line by its colour alone
_SYMBOLS = ("diamond", "square", "triangle-up", "x", "cross", "star", "triangle-down")
MOST_DRAWN = 4
"""Other models that a chart draws. None is hidden behind a faded name in the legend, which is too faint to read."""

# Runs beside each other: as many as can be told apart, each by colour and by dash.
RUNS = ("#12938A", "#C2660C", "#7A63B8", "#B0456A", "#5B7A1F", "#3B74B8", "#94703A", "#6B7785")
RUN_DASHES = ((1, 0), (7, 3), (2, 2), (9, 3, 2, 3), (1, 0), (7, 3), (2, 2), (9, 3, 2, 3))

_TEMPLATE = go.layout.Template(layout={"colorway": [ACCENT, *OTHERS, HISTORY]})

# Nothing in the tool bar may lead off the machine, and a wheel that scrolls the page must not zoom a chart.
CONFIG = {
    "displaylogo": False,
    "scrollZoom": False,
    "modeBarButtonsToRemove": ["lasso2d", "select2d", "autoScale2d", "zoomIn2d", "zoomOut2d"],
}


@dataclass(frozen=True)
class Look:
    """How a model is drawn in every chart of a page."""

    colour: str
    dash: str
    symbol: str
    width: float


def looks(names: Iterable[str], own: str) -> dict[str, Look]:
    """How to draw the best of the models, given best first: the run's own stands out.

    The run's own comes first in what is returned. A legend of a dozen models would take the room of the chart.
    """
    found = {own: Look(ACCENT, "solid", "circle", 2.4)}
    others = [name for name in dict.fromkeys(names) if name != own][:MOST_DRAWN]
    for place, name in enumerate(others):
        turn = place % len(OTHERS)
        found[name] = Look(OTHERS[turn], _DASHES[turn], _SYMBOLS[turn], 1.6)
    return found


def looks_of_runs(names: Sequence[str]) -> dict[str, Look]:
    """How to draw runs beside each other, none of which stands out: each by colour and by dash."""
    dashes = ("solid", *_DASHES)
    return {
        name: Look(RUNS[place % len(RUNS)], dashes[place % len(dashes)], "circle", 2.0)
        for place, name in enumerate(names)
    }


def tint(colour: str, opacity: float) -> str:
    """A colour `#RRGGBB` as rgba with `opacity` from 0 to 1."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def style(figure: go.Figure, *, height: int, legend: bool = True) -> go.Figure:
    """Give a figure the common margins, legend place and hover manner; `height` in pixels. Returns the same figure."""
    figure.update_layout(
        template=_TEMPLATE,
        height=height,
        margin={"l": 8, "r": 12, "t": 34 if legend else 12, "b": 8},
        showlegend=legend,
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 1.0, "yanchor": "bottom"},
        hovermode="x unified",
        dragmode="zoom",
        uirevision="keep",  # a redraw with new points keeps the user's zoom
        modebar={"orientation": "v"},
    )
    return figure


def empty(*, height: int, legend: bool = True) -> go.Figure:
    """A styled figure without traces; `height` in pixels."""
    return style(go.Figure(), height=height, legend=legend)
