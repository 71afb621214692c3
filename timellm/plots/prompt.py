"""What a prompt does and where it is read, drawn: a forecast with another prompt, effects of sentences, words read.

Series, arrays and labels go in, figures come out. Shapes: P patches, L tokens shown, E parts of a prompt.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from timellm.plots.series import shorten
from timellm.plots.template import ACCENT, HISTORY, OTHERS, SEQUENTIAL, style

_ROW_HEIGHT, _FRAME_HEIGHT, _LETTERS = 26, 80, 34
OWN, OTHER, CHANGE = "Own prompt", "Changed prompt", "Change"


@dataclass(frozen=True)
class ChangedPicture:
    """A window's forecast with its own prompt and with another one."""

    context: pd.Series
    """What the model saw, in original units."""
    actual: pd.Series
    """What came, where it is known."""
    own: pd.Series
    changed: pd.Series


@dataclass(frozen=True)
class EffectsPicture:
    """Mean and spread of a change for each part of a prompt, largest first."""

    labels: tuple[str, ...]
    mean_E: np.ndarray
    low_E: np.ndarray
    high_E: np.ndarray
    title: str
    """What the change is, as the axis says it."""
    controls: int = 0
    """The last ones, which are controls and drawn apart."""


@dataclass(frozen=True)
class ReadPicture:
    """Attention of patches to the tokens of a prompt that are shown."""

    weights_PL: np.ndarray
    """Shares of all that each patch gives."""
    labels: tuple[str, ...]
    """The tokens, as they are shown."""
    times: pd.DatetimeIndex
    """First time of each patch."""


def changed_chart(picture: ChangedPicture) -> go.Figure:
    """The end of the context, what came, and both forecasts; under them the change, on an axis of its own."""
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.06, row_heights=[0.72, 0.28])
    measured = pd.concat([picture.context, picture.actual])
    lines = (
        (measured, "Measured", HISTORY, "solid", 1.5),
        (picture.own, OWN, ACCENT, "solid", 2.4),
        (picture.changed, OTHER, OTHERS[0], "dash", 2.0),
    )
    for series, name, colour, dash, width in lines:
        line = {"color": colour, "width": width, "dash": dash}
        figure.add_trace(
            go.Scatter(x=series.index, y=series, mode="lines", name=name, line=line, hovertemplate="%{y:.5g}"),
            row=1,
            col=1,
        )
    change = picture.changed - picture.own
    figure.add_trace(
        go.Bar(x=change.index, y=change, name=CHANGE, marker={"color": OTHERS[0]}, hovertemplate="%{y:+.5g}"),
        row=2,
        col=1,
    )
    style(figure, height=460)
    figure.update_layout(bargap=0.1)
    figure.update_yaxes(title="change", row=2, col=1)
    return figure


def effects_chart(picture: EffectsPicture) -> go.Figure:
    """A bar for each part, with what most windows show as a line."""
    count = len(picture.labels)
    colours = [ACCENT] * (count - picture.controls) + [HISTORY] * picture.controls
    figure = go.Figure(
        go.Bar(
            x=picture.mean_E,
            y=_distinct(picture.labels),
            orientation="h",
            marker={"color": colours},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": np.maximum(picture.high_E - picture.mean_E, 0),
                "arrayminus": np.maximum(picture.mean_E - picture.low_E, 0),
                "thickness": 1.5,
                "width": 4,
                "color": OTHERS[0],
            },
            customdata=np.stack([picture.low_E, picture.high_E], axis=1),
            hovertemplate="%{y}<br>%{x:.2%} (%{customdata[0]:.2%} to %{customdata[1]:.2%})<extra></extra>",
        )
    )
    return _rows(figure, count, picture.title, ".0%" if np.nanmax(picture.high_E, initial=0.0) > 0.05 else ".2%")


def words_chart(labels: tuple[str, ...], shares_E: np.ndarray) -> go.Figure:
    """A bar for each word: the share of the patches' attention that it gets."""
    figure = go.Figure(
        go.Bar(
            x=shares_E,
            y=_distinct(labels),
            orientation="h",
            marker={"color": ACCENT},
            hovertemplate="%{y}<br>%{x:.2%}<extra></extra>",
        )
    )
    return _rows(figure, len(labels), "share of the patches' attention", ".1%")


def read_chart(picture: ReadPicture) -> go.Figure:
    """The heatmap of tokens x patches: the tokens down the side in the order of the prompt."""
    tokens = len(picture.labels)
    figure = go.Figure(
        go.Heatmap(
            z=picture.weights_PL.T,
            x=np.arange(1, len(picture.times) + 1),
            y=np.arange(tokens),
            colorscale=SEQUENTIAL,
            zmin=0,
            customdata=np.array(
                [[f"{label} · {time:%Y-%m-%d %H:%M}" for time in picture.times] for label in _shown(picture.labels)],
                dtype=object,
            ),
            hovertemplate="%{customdata}<br>patch %{x}<br>attention %{z:.2%}<extra></extra>",
            colorbar={"title": {"text": "attention", "side": "right"}, "tickformat": ".1%", "thickness": 12},
        )
    )
    style(figure, height=min(15 * tokens + 110, 2600), legend=False)
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(title="patch, oldest first", showgrid=False)
    figure.update_yaxes(
        autorange="reversed",
        showgrid=False,
        tickvals=np.arange(tokens),
        ticktext=[shorten(label, 18) for label in _shown(picture.labels)],
        tickfont={"size": 11},
    )
    return figure


def _rows(figure: go.Figure, count: int, title: str, ticks: str) -> go.Figure:
    style(figure, height=_ROW_HEIGHT * count + _FRAME_HEIGHT, legend=False)
    figure.update_layout(hovermode="closest", bargap=0.25)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(title=title, tickformat=ticks, rangemode="tozero")
    return figure


def _distinct(labels: tuple[str, ...]) -> list[str]:
    """Labels of rows: plotly would draw two of the same name as one, and reads <b> and the like as markup."""
    seen: dict[str, int] = {}
    found = []
    for label in (shorten(one, _LETTERS) for one in _shown(labels)):
        seen[label] = seen.get(label, 0) + 1
        found.append(label if seen[label] == 1 else f"{label} ({seen[label]})")
    return found


def _shown(labels: tuple[str, ...]) -> list[str]:
    """Labels in which nothing is markup, and signs that cannot be seen are written out; blanks alone as well."""
    labels = tuple("␣" * len(label) if label and not label.strip(" ") else label for label in labels)
    return [
        "".join(one if one.isprintable() else repr(one)[1:-1] for one in label).replace("<", "‹") for label in labels
    ]
