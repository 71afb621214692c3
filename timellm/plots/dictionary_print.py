"""A prototype dictionary for a report: names, how much they are attended, and shapes go in, a figure comes out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from timellm.plots.exporting import new_figure
from timellm.plots.series import shorten
from timellm.plots.template import ACCENT, HISTORY

_SHAPES = 3


@dataclass(frozen=True)
class DictionaryPicture:
    """The prototypes that are drawn, from the top."""

    labels: tuple[str, ...]
    """Number and words of each."""
    times_even: tuple[float, ...]
    """Its attention over the test period, times an even share."""
    shapes: tuple[tuple[np.ndarray, ...], ...]
    """Patches that attend to it most, most attentive first, in deviations from the mean of their windows."""


def dictionary_figure(picture: DictionaryPicture, *, title: str) -> Figure:
    """A bar for each prototype beside its three most attentive patches; a line marks an even share."""
    count = len(picture.labels)
    figure = new_figure(10, max(0.34 * count, 0.7) + 1.1)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    grid = figure.add_gridspec(count, 2, width_ratios=[5, 1.2])
    bars = figure.add_subplot(grid[:, 0])
    bars.barh(range(count), picture.times_even, color=ACCENT, height=0.7)
    bars.axvline(1, color=HISTORY, linewidth=1.2, linestyle="--")
    bars.set_yticks(range(count), [shorten(label, 52) for label in picture.labels], fontsize=8)
    bars.set_ylim(count - 0.5, -0.5)
    bars.set_xlabel("attention over the test period, times an even share (dashed)", fontsize=9)
    bars.spines[["top", "right"]].set_visible(False)
    for place, shapes in enumerate(picture.shapes):
        small = figure.add_subplot(grid[place, 1])
        for rank, values in reversed(list(enumerate(shapes[:_SHAPES]))):
            small.plot(values, color=ACCENT if rank == 0 else HISTORY, linewidth=1.2 if rank == 0 else 0.8)
        small.set_axis_off()
    figure.text(0.995, 0.005, "its most attentive patches", ha="right", va="bottom", fontsize=8, color=HISTORY)
    return figure
