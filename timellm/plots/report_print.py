"""The figures of a report, for a screen of any width and for paper: series and frames in, figures of matplotlib out.

Lines are thinned, so that a table of a million rows makes a small file. Texts are taken as they are: a dollar sign in a
channel's name begins no formula.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import ParamSpec

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from timellm.plots.exporting import new_figure
from timellm.plots.series import thin
from timellm.plots.template import ACCENT, HISTORY, OTHERS

_WIDTH, _HEIGHT, _SMALL = 5.4, 2.0, 0.95
_BUCKETS, _LETTERS = 300, 60
_ROW = 0.15
"""Inches of one row of a legend."""
_DASHES = ("--", ":", "-.", (0, (5, 1)), (0, (3, 1, 1, 1)))
P = ParamSpec("P")


def _plain(build: Callable[P, Figure]) -> Callable[P, Figure]:
    @wraps(build)
    def inner(*inputs: P.args, **settings: P.kwargs) -> Figure:
        style = {"text.parse_math": False, "font.size": 8.5, "font.family": "sans-serif"}
        with matplotlib.rc_context(style):
            figure = build(*inputs, **settings)
        for axes in figure.axes:
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(axis="y", color="#e3e8e7", linewidth=0.6)
            axes.set_axisbelow(True)
        return figure

    return inner


@_plain
def forecast_figure(
    history: pd.Series, forecasts: Mapping[str, pd.Series], bands: Mapping[int, tuple[pd.Series, pd.Series]]
) -> Figure:
    """The end of the data, forecasts beyond it (the own one first), and the bands of the own one by their level."""
    figure = new_figure(_WIDTH, _HEIGHT)
    axes = figure.subplots()
    _line(axes, history, HISTORY, 1.1, "-", "Measured")
    for place, level in enumerate(sorted(bands, reverse=True)):
        low, high = bands[level]
        axes.fill_between(low.index, low, high, color=ACCENT, alpha=0.14 + 0.1 * place, linewidth=0, label=f"{level} %")
    for place, (name, forecast) in enumerate(forecasts.items()):
        colour = ACCENT if place == 0 else OTHERS[(place - 1) % len(OTHERS)]
        dash = "-" if place == 0 else _DASHES[(place - 1) % len(_DASHES)]
        _line(axes, _joined(history, forecast), colour, 1.6 if place == 0 else 1.1, dash, name)
    _time_axis(axes)
    _legend(figure)
    return figure


@_plain
def overview_figure(values: pd.DataFrame, split: Sequence[tuple[str, pd.Timestamp]]) -> Figure:
    """Every channel over the whole table, one below the other; `split` names each part and the moment it begins."""
    figure = new_figure(_WIDTH, _SMALL * len(values.columns) + 0.4)
    rows = figure.subplots(len(values.columns), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, series) in zip(rows, values.items(), strict=True):
        _line(axes, series, HISTORY, 0.8, "-", str(name))
        axes.set_title(str(name), fontsize=8.5, loc="left", pad=2)
        for _, begin in split[1:]:
            axes.axvline(begin, color=ACCENT, linewidth=0.8, linestyle=":")
    for place, (part, begin) in enumerate(split):
        rows[0].annotate(  # each lower than the one before, because a short part has no room for its name
            part, (begin, 1.0), xycoords=("data", "axes fraction"), xytext=(2, -7 - 8 * place), fontsize=7,
            textcoords="offset points", color="#0F766E",
        )  # fmt: skip
    _time_axis(rows[-1])
    return figure


@_plain
def steps_figure(by_step: pd.DataFrame, models: Sequence[str], metric: str, label: str) -> Figure:
    """The error of some models, the own one first, by the step ahead."""
    figure = new_figure(_WIDTH, _HEIGHT)
    axes = figure.subplots()
    for place, name in enumerate(models):
        rows = by_step[by_step["model"] == name].sort_values("step")
        kept = thin(rows[metric].to_numpy(np.float64), buckets=_BUCKETS)
        colour = ACCENT if place == 0 else OTHERS[(place - 1) % len(OTHERS)]
        dash = "-" if place == 0 else _DASHES[(place - 1) % len(_DASHES)]
        (line,) = axes.plot(rows["step"].to_numpy()[kept], rows[metric].to_numpy()[kept], color=colour, label=name)
        line.set(linewidth=1.8 if place == 0 else 1.1, linestyle=dash)
    axes.set(xlabel="rows ahead", ylabel=label)
    axes.set_ylim(bottom=0)
    _legend(figure)
    return figure


@_plain
def curve_figure(curve: pd.DataFrame) -> Figure:
    """Losses of a training by its step: columns step, train_loss, validation_loss."""
    figure = new_figure(_WIDTH, _HEIGHT)
    axes = figure.subplots()
    for column, colour, name in (("train_loss", HISTORY, "Train"), ("validation_loss", ACCENT, "Validation (MSE)")):
        known = curve[np.isfinite(curve[column].to_numpy(np.float64))]
        kept = thin(known[column].to_numpy(np.float64), buckets=_BUCKETS) if len(known) else np.array([], int)
        (line,) = axes.plot(known["step"].to_numpy()[kept], known[column].to_numpy()[kept], color=colour, label=name)
        line.set(marker="o" if column == "validation_loss" else "", markersize=3)
    axes.set(xlabel="optimiser step", ylabel="loss, z-scored")
    axes.set_ylim(bottom=0)
    _legend(figure)
    return figure


def _line(axes: Axes, series: pd.Series, colour: str, width: float, dash: object, name: str) -> None:
    kept = thin(series.to_numpy(np.float64), buckets=_BUCKETS)
    axes.plot(series.index[kept], series.to_numpy()[kept], color=colour, linewidth=width, linestyle=dash, label=name)


def _joined(history: pd.Series, forecast: pd.Series) -> pd.Series:
    last = history.dropna().iloc[-1:]
    return pd.concat([last, forecast]) if len(last) else forecast


def _time_axis(axes: Axes) -> None:
    locator = AutoDateLocator(minticks=3, maxticks=7)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.margins(x=0.01)


def _legend(figure: Figure) -> None:
    """Above the axes, over the whole width: a legend beside long names would take the room of the lines."""
    handles, names = figure.axes[0].get_legend_handles_labels()
    names = [name if len(name) <= _LETTERS else f"{name[: _LETTERS - 1]}…" for name in names]
    columns = 1 if max(map(len, names), default=0) > _LETTERS // 2 else 4
    figure.set_figheight(figure.get_figheight() + _ROW * -(-len(names) // columns))
    figure.legend(
        handles, names, fontsize=7.5, frameon=False, ncols=columns, loc="outside upper left", columnspacing=1.2,
        handlelength=1.8, borderaxespad=0.1, labelspacing=0.3,
    )  # fmt: skip
