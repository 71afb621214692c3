"""The attention picture for a report: an `AttentionPicture` goes in, a figure of matplotlib comes out."""

from __future__ import annotations

import matplotlib.dates as mdates
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from timellm.plots.attention import AttentionPicture
from timellm.plots.exporting import new_figure
from timellm.plots.series import shorten
from timellm.plots.template import ACCENT, HISTORY

_MOST_NAMED = 80


def attention_figure(picture: AttentionPicture, *, title: str, patch: int | None = None) -> Figure:
    """The window over its heatmap, time shared; `patch` is shaded when given."""
    labels = [shorten(label, 44) for label in picture.labels]
    drawn = len(labels) <= _MOST_NAMED  # more names than that cannot be read
    heat_inches = max(0.24 * min(len(labels), _MOST_NAMED), 1.2)
    figure = new_figure(11, 2.8 + heat_inches)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[1.9, heat_inches])
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")

    times = mdates.date2num(picture.window.index.to_pydatetime())
    top.plot(times, picture.window.to_numpy(), color=HISTORY, linewidth=1.2)
    top.set_ylabel(shorten(str(picture.window.name), 24))
    top.spines[["top", "right"]].set_visible(False)

    edges = mdates.date2num(picture.edges())
    scale = picture.scale
    mesh = bottom.pcolormesh(
        edges, np.arange(len(labels) + 1), picture.weights_PV.T, shading="flat", vmin=scale.low, vmax=scale.limit,
        cmap=LinearSegmentedColormap.from_list("attention", scale.colours),
    )  # fmt: skip
    bottom.set_yticks(np.arange(len(labels)) + 0.5 if drawn else [], labels if drawn else [], fontsize=8)
    bottom.set_ylabel("" if drawn else f"{len(labels):,} prototypes")
    bottom.invert_yaxis()
    bottom.xaxis_date()
    locator = mdates.AutoDateLocator()
    bottom.xaxis.set_major_locator(locator)
    bottom.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))
    bar = figure.colorbar(mesh, ax=bottom, pad=0.01, extend="both" if scale.deviation else "max")
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    bar.set_label("attention less the run's average" if scale.deviation else "attention")
    if patch is not None:
        first, last = picture.span(patch)
        top.axvspan(first, last, color=ACCENT, alpha=0.35, linewidth=0)
        left, right = picture.cell(patch)
        bottom.axvspan(left, right, fill=False, edgecolor=ACCENT, linewidth=2)
    return figure
