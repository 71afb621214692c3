"""The faithfulness of attention for a report: frames of measurements go in, a figure of matplotlib comes out."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from timellm.plots.exporting import new_figure
from timellm.plots.faithful import ERROR_TITLE, LOOKS, MOVED_TITLE, Curve, kept_curve, removed_curve


def faithfulness_figure(
    frames: Mapping[str, pd.DataFrame], *, areas: Mapping[str, Mapping[str, float]], title: str
) -> Figure:
    """A row of three panels for each unit ("prototypes", "patches"): deletion, change of the error, and insertion.

    `areas` are those of the deletion curves, by unit and order.
    """
    figure = new_figure(12, 3.4 * len(frames) + 0.7)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold", wrap=True)
    rows = figure.subplots(len(frames), 3, squeeze=False)
    for (unit, frame), (deletion, error, insertion) in zip(frames.items(), rows, strict=True):
        for order in LOOKS:
            named = f"{order}, area {areas[unit][order]:.3f}"
            _draw(deletion, removed_curve(frame, order, measure="moved"), order, label=named)
            _draw(error, removed_curve(frame, order, measure="error"), order, label=order)
            _draw(insertion, kept_curve(frame, order), order, label=order)
        for axes, x, y in (
            (deletion, f"share of {unit} removed", MOVED_TITLE),
            (error, f"share of {unit} removed", ERROR_TITLE),
            (insertion, f"share of {unit} kept", MOVED_TITLE),
        ):
            axes.set(xlabel=x, ylabel=y, xlim=(0, 1))
            axes.xaxis.set_major_formatter(PercentFormatter(1))
            axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
            axes.spines[["top", "right"]].set_visible(False)
        deletion.set_title(f"deletion of {unit}", fontsize=10)
        error.set_title(f"error without {unit}", fontsize=10)
        insertion.set_title(f"insertion: {unit} kept first", fontsize=10)
        deletion.legend(fontsize=8, frameon=False)
    return figure


def _draw(axes: Axes, curve: Curve, order: str, *, label: str) -> None:
    look = LOOKS[order]
    line = {"solid": "-", "dash": "--", "dot": ":"}[look.dash]
    axes.fill_between(curve.x, curve.low, curve.high, color=look.colour, alpha=0.18, linewidth=0)
    axes.plot(curve.x, curve.y, line, color=look.colour, marker=look.marker, markersize=4, linewidth=1.6, label=label)
