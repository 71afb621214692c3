"""What a prompt does and where it is read, for a report: pictures of `timellm.plots.prompt` go in, figures come out."""

from __future__ import annotations

import matplotlib.dates as mdates
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from timellm.plots.exporting import new_figure
from timellm.plots.prompt import OTHER, OWN, ChangedPicture, EffectsPicture, ReadPicture
from timellm.plots.series import shorten
from timellm.plots.template import ACCENT, HISTORY, OTHERS, SEQUENTIAL

_MOST_TOKENS = 400


def changed_figure(picture: ChangedPicture, *, title: str) -> Figure:
    """The end of the context, what came, and both forecasts."""
    figure = new_figure(9, 5)
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    _head(figure, title, axes, below)
    measured = pd.concat([picture.context, picture.actual])
    for series, name, colour, line in (
        (measured, "Measured", HISTORY, "-"),
        (picture.own, OWN, ACCENT, "-"),
        (picture.changed, OTHER, OTHERS[0], "--"),
    ):
        times = mdates.date2num(series.index.to_pydatetime())
        axes.plot(times, series.to_numpy(), line, color=colour, label=name, linewidth=1.6)
    locator = mdates.AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))
    axes.set_ylabel(_text(shorten(str(picture.own.name), 24)))
    axes.legend(frameon=False, fontsize=9, ncols=3, loc="lower right", bbox_to_anchor=(1, 1))
    change = picture.changed - picture.own
    times = mdates.date2num(change.index.to_pydatetime())
    below.bar(times, change, color=OTHERS[0], width=0.9 * float(np.diff(times).min(initial=1.0)))
    below.set_ylabel("change")
    return figure


def effects_figure(picture: EffectsPicture, *, title: str) -> Figure:
    """A bar for each part of a prompt, with what most windows show as a line."""
    count = len(picture.labels)
    figure = new_figure(8, 0.32 * count + 1.4)
    axes = _axes(figure, title)
    colours = [ACCENT] * (count - picture.controls) + [HISTORY] * picture.controls
    spread = np.maximum([picture.mean_E - picture.low_E, picture.high_E - picture.mean_E], 0)
    axes.barh(np.arange(count), picture.mean_E, color=colours, xerr=spread, error_kw={"elinewidth": 1, "capsize": 2})
    _name_rows(axes, picture.labels, picture.title)
    return figure


def read_figure(picture: ReadPicture, *, title: str) -> Figure:
    """The heatmap of tokens x patches."""
    labels = picture.labels[:_MOST_TOKENS]
    figure = new_figure(8, 0.13 * len(labels) + 1.6)
    axes = _axes(figure, title)
    mesh = axes.pcolormesh(picture.weights_PL[:, :_MOST_TOKENS].T, cmap=SEQUENTIAL.lower(), vmin=0, rasterized=True)
    axes.set_yticks(np.arange(len(labels)) + 0.5, [_text(shorten(label, 22)) for label in labels], fontsize=6)
    axes.invert_yaxis()
    axes.set_xlabel("patch, oldest first")
    figure.colorbar(mesh, ax=axes, label="attention", format="{x:.1%}", pad=0.01)
    return figure


def _axes(figure: Figure, title: str) -> Axes:
    axes = figure.subplots()
    _head(figure, title, axes)
    return axes


def _head(figure: Figure, title: str, *drawn: Axes) -> None:
    figure.suptitle(_text(title), x=0.01, ha="left", fontsize=12, fontweight="bold")
    for axes in drawn:
        axes.spines[["top", "right"]].set_visible(False)


def _name_rows(axes: Axes, labels: tuple[str, ...], title: str) -> None:
    axes.set_yticks(np.arange(len(labels)), [_text(shorten(label, 40)) for label in labels], fontsize=9)
    axes.invert_yaxis()
    axes.set_xlabel(title)
    axes.xaxis.set_major_formatter("{x:.1%}")


def _text(label: str) -> str:
    """A label in which nothing is mathematics, and signs that cannot be seen are written out."""
    label = "_" * len(label) if label and not label.strip(" ") else label
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in label).replace("$", r"\$")
