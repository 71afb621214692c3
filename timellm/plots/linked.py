"""The linked heatmap as a specification for ECharts: the window's series, its patches' clusters, and the heatmap.

An `AttentionPicture` goes in, a mapping that JSON can hold comes out. What links the parts needs no server:

- Axis pointers. Each part has an axis of patches, and the series has one of rows beside it. Pointing at any part lights
  the patch's rows on the series and its column in the heatmap; columns are as wide as the stride and have the middle of
  their patch in their middle, so that patches that overlap lie side by side.
- A brush on the series. It selects bars without height, one a patch, and with them the bars of a veil over the heatmap,
  which hides the patches that the selected span does not touch.

All axes count rows or patches, so that columns and series stay aligned however long a month is and wherever the reader
is. P patches, K prototypes shown, T rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from timellm.plots.attention import AttentionPicture
from timellm.plots.template import ACCENT, HISTORY, RUNS

HEATMAP = 0
"""Place of the heatmap among the series of the specification."""
SPAN = 1
"""Place of the bars, one a patch, that a span of the series selects."""
_VEIL, _CHOSEN = 2, 3
ROWS_IN_VIEW = 40
"""Of more prototypes, draw a part: 64 patches times 1,000 prototypes take half a second, 40 of them a fifth."""
_TOP, _SERIES, _STRIP, _ROW, _FOOT, _GAP = 40, 150, 16, 22, 74, 12
_INK, _INK_ON_DARK = "#3F4A49", "#C9D1CF"
_WIDE, _NARROW = (24.0, 3.0), (31.0, 4.0)  # left and right of the plots, in percent of the width


@dataclass(frozen=True)
class Marks:
    """What of a picture is marked."""

    patch: int
    row: int | None = None
    """Which of the prototypes shown is chosen."""
    clusters: tuple[int, ...] = ()
    """The cluster of each patch, counted from 0; empty where there are none."""


def linked_height(picture: AttentionPicture) -> int:
    """Pixels that the chart needs."""
    return _TOP + _SERIES + 2 * _GAP + _STRIP + _heat_height(picture) + _FOOT


def picked(index: int, rows: int) -> tuple[int, int]:
    """Patch and row of a cell, by its place in the heatmap's series."""
    return divmod(index, rows)


def linked_chart(picture: AttentionPicture, marks: Marks, *, dark: bool = False) -> dict[str, Any]:
    """The specification; the heatmap's cells run through all prototypes shown, patch by patch.

    `dark` says whether the page is; the library's own grey for words is too faint on a light one.
    """
    ink = {"color": _INK_ON_DARK if dark else _INK}
    patches = len(picture.spans_P2)
    times = [_moment(stamp) for stamp in picture.window.index]
    ends = [picture.span(patch) for patch in range(patches)]
    spans = [f"Patch {number}: {_moment(first)} to {_moment(last)}" for number, (first, last) in enumerate(ends, 1)]
    ticks, words = _ticks(picture.window.index)
    below = ["" for _ in times]
    for place, word in zip(ticks, words, strict=True):
        below[place] = word
    none = {"show": False}
    pointer = {"show": True, "type": "none", "triggerTooltip": False, "label": none}
    by_patch = {"type": "category", "data": spans, "show": False, "axisPointer": pointer}
    hidden = {"type": "value", "min": 0, "max": 1, "show": False, "axisPointer": none}
    strip = ink | {"customValues": [0.5], "formatter": "cluster"} if marks.clusters else none
    return {
        "animation": False,
        "grid": _grids(picture, _WIDE),
        "xAxis": [
            {
                "gridIndex": 0, "type": "category", "data": times, "axisLabel": none, "axisTick": none,
                "axisPointer": {"show": True, "type": "line", "label": none},
            },
            by_patch | {"gridIndex": 1},
            by_patch | {"gridIndex": 1},
            by_patch | {"gridIndex": 2},
            {
                "gridIndex": 3, "type": "category", "data": below, "position": "bottom", "splitLine": none,
                "axisLine": none, "axisTick": {"customValues": ticks, "show": True},
                "axisLabel": ink | {"customValues": ticks, "hideOverlap": True},
                "axisPointer": {"show": True, "type": "line", "triggerTooltip": False, "label": none},
            },
            by_patch | {"gridIndex": 4},
        ],
        "yAxis": [
            {"gridIndex": 0, "type": "value", "scale": True, "splitNumber": 3, "axisPointer": none, "axisLabel": ink},
            hidden | {"gridIndex": 1},
            {
                "gridIndex": 2, "type": "category", "data": list(picture.labels), "inverse": True, "axisTick": none,
                "axisLine": none, "axisLabel": ink | {"interval": 0, "overflow": "truncate"},
                "axisPointer": {"show": True, "type": "shadow", "triggerEmphasis": False, "triggerTooltip": False},
            },
            hidden | {"gridIndex": 2},
            hidden | {"gridIndex": 3},
            hidden | {"gridIndex": 4, "show": True, "axisLabel": strip, "axisLine": none, "axisTick": none,
                      "splitLine": none},
        ],
        "axisPointer": {"link": [{"xAxisIndex": [1, 2, 3, 5]}, {"xAxisIndex": [0, 4]}]},
        "tooltip": {"trigger": "item", "confine": True, "transitionDuration": 0},
        "visualMap": {
            "type": "continuous", "seriesIndex": [HEATMAP, _CHOSEN], "dimension": 2, "calculable": False,
            "min": 100 * picture.scale.low, "max": 100 * picture.scale.limit,
            "inRange": {"color": list(picture.scale.colours)}, "text": list(reversed(picture.scale.ends)),
            "orient": "horizontal", "left": "center", "bottom": 4, "itemWidth": 12, "textStyle": ink,
        },
        "brush": {
            "toolbox": ["lineX", "clear"], "xAxisIndex": [2], "brushLink": [SPAN, _VEIL], "brushMode": "single",
            "throttleType": "debounce", "throttleDelay": 150, "inBrush": {"opacity": 0},
            "outOfBrush": {"opacity": 0.72, "color": HISTORY},
            "brushStyle": {"color": "rgba(18,147,138,0.15)", "borderColor": ACCENT, "borderWidth": 1},
        },
        "toolbox": {
            "left": 0, "top": 0, "padding": [2, 0, 0, 2], "itemSize": 18,
            "feature": {"brush": {"title": {"lineX": "Select a span of the series", "clear": "Clear the span"}}},
        },
        "series": _series(picture, marks, patches=patches),
        "media": [
            {"query": {"maxWidth": 640}, "option": _for_width(picture, _NARROW, words=96, font=10)},
            {"query": {"minWidth": 640, "maxWidth": 1000}, "option": _for_width(picture, _WIDE, words=130, font=11)},
            {"option": _for_width(picture, _WIDE, words=220, font=12)},
        ],
    }  # fmt: skip


def _for_width(picture: AttentionPicture, sides: tuple[float, float], *, words: int, font: int) -> dict[str, Any]:
    labels = {"width": words, "fontSize": font}
    return {
        "grid": _grids(picture, sides),
        "yAxis": [{}, {}, {"axisLabel": labels}, {}, {}, {"axisLabel": {"fontSize": font}}],
        "visualMap": {"itemHeight": 10 * font if font > 10 else 60, "textStyle": {"fontSize": font}},
    }


def _heat_height(picture: AttentionPicture) -> int:
    return _ROW * len(picture.labels)


def _grids(picture: AttentionPicture, sides: tuple[float, float]) -> list[dict[str, Any]]:
    """Series, its axis of patches, heatmap, the heatmap's axis of rows, strip of clusters; widths in rows."""
    starts, length = picture.spans_P2[:, 0], picture.spans_P2[0, 1] - picture.spans_P2[0, 0]
    stride = starts[1] - starts[0] if len(starts) > 1 else length
    total = len(picture.window)
    cells = (float(length - stride) / 2, float(starts[-1] + (length + stride) / 2))
    low, high = min(0.0, cells[0]), max(float(total), cells[1])
    left, right = sides
    unit = (100 - left - right) / (high - low)

    def grid(columns: tuple[float, float], top: int, height: int) -> dict[str, Any]:
        return {
            "left": f"{left + (columns[0] - low) * unit:.5f}%",
            "right": f"{right + (high - columns[1]) * unit:.5f}%",
            "top": top,
            "height": height,
        }

    strip_top = _TOP + _SERIES + _GAP
    heat_top, heat_height = strip_top + _STRIP + _GAP // 2, _heat_height(picture)
    return [
        grid((0, total), _TOP, _SERIES) | {"tooltip": {"trigger": "axis"}},
        grid(cells, _TOP, _SERIES),
        grid(cells, heat_top, heat_height),
        grid((0, total), heat_top, heat_height),
        grid(cells, strip_top, _STRIP),
    ]


def _series(picture: AttentionPicture, marks: Marks, *, patches: int) -> list[dict[str, Any]]:
    length, starts = picture.spans_P2[0, 1] - picture.spans_P2[0, 0], picture.spans_P2[:, 0]
    wide = f"{100 * length / (starts[1] - starts[0]) if patches > 1 else 100:.4f}%"
    unit = "points" if picture.scale.deviation else "%"
    bars = {"type": "bar", "silent": True, "barGap": "-100%"}
    ones = [1] * patches
    only = [1 if patch == marks.patch else None for patch in range(patches)]
    unseen = {"itemStyle": {"opacity": 0}}
    cells = _cells(picture)
    chosen = [] if marks.row is None else [cells[marks.patch * len(picture.labels) + marks.row]]
    quiet = {"axisPointer": {"show": False}, "tooltip": {"show": False}}
    frame = {"color": "transparent", "borderColor": ACCENT, "borderWidth": 1.5, "opacity": 1}
    series = [
        {
            "name": "attention", "type": "heatmap", "xAxisIndex": 3, "yAxisIndex": 2, "data": cells,
            "selectedMode": "single", "select": {"itemStyle": {"borderWidth": 0}}, "cursor": "pointer",
            "emphasis": {"itemStyle": {"borderColor": ACCENT, "borderWidth": 2}}, "progressive": 0,
            "axisPointer": {"show": False},
            "tooltip": {"formatter": f"{{b}}<br/>{{@[2]}} {unit}"},
        },
        bars | unseen | quiet | {
            "name": "span", "xAxisIndex": 2, "yAxisIndex": 1, "data": [0] * patches, "barWidth": wide,
        },
        bars | unseen | quiet | {
            "name": "veil", "xAxisIndex": 3, "yAxisIndex": 3, "data": ones, "barWidth": "102%", "z": 4,
        },
        {
            "name": "chosen cell", "type": "heatmap", "xAxisIndex": 3, "yAxisIndex": 2, "data": chosen, "silent": True,
            "z": 7,
            "itemStyle": {"borderColor": "#FFFFFF", "borderWidth": 3, "shadowColor": "#000000", "shadowBlur": 5},
        } | quiet,
        {
            "name": str(picture.window.name), "type": "line", "xAxisIndex": 0, "yAxisIndex": 0, "showSymbol": False,
            "data": [float(f"{value:.6g}") for value in picture.window], "color": HISTORY, "z": 5,
            "lineStyle": {"width": 1.6},
        },
        bars | unseen | {
            "name": "pointed at", "xAxisIndex": 1, "yAxisIndex": 1, "data": ones, "barWidth": wide,
            "emphasis": {"itemStyle": {"opacity": 0.4, "color": ACCENT}},
        },
        bars | unseen | {
            "name": "pointed column", "xAxisIndex": 3, "yAxisIndex": 3, "data": ones, "barWidth": "100%", "z": 5,
            "emphasis": {"itemStyle": frame | {"borderWidth": 1}},
        },
        bars | quiet | {
            "name": "chosen", "xAxisIndex": 1, "yAxisIndex": 1, "data": only, "barWidth": wide,
            "itemStyle": {"color": ACCENT, "opacity": 0.3},
        },
        bars | quiet | {
            "name": "chosen column", "xAxisIndex": 3, "yAxisIndex": 3, "data": only, "barWidth": "100%", "z": 6,
            "itemStyle": frame,
        },
        {"name": "rows", "type": "line", "xAxisIndex": 4, "yAxisIndex": 4, "data": [], "silent": True},
    ]  # fmt: skip
    if marks.clusters:
        series.append(_strip(marks))
    return series


def _cells(picture: AttentionPicture) -> list[list[Any]]:
    """[patch, row, percent] of each cell."""
    percent_PK = np.round(100 * picture.weights_PV.astype(np.float64), 4)
    patches, rows = percent_PK.shape
    place_P = np.repeat(np.arange(patches), rows).tolist()
    row_K = np.tile(np.arange(rows), patches).tolist()
    return [list(cell) for cell in zip(place_P, row_K, percent_PK.ravel().tolist(), strict=True)]


def _strip(marks: Marks) -> dict[str, Any]:
    cells = [
        {
            "value": 1, "name": f"cluster {number + 1}", "label": {"formatter": str(number + 1)},
            "itemStyle": {"color": RUNS[number % len(RUNS)]},
        }
        for number in marks.clusters
    ]  # fmt: skip
    return {
        "name": "cluster", "type": "bar", "xAxisIndex": 5, "yAxisIndex": 5, "data": cells, "barWidth": "100%",
        "label": {"show": True, "position": "inside", "fontSize": 10, "color": "#FFFFFF", "fontWeight": "bold"},
        "labelLayout": {"hideOverlap": True}, "tooltip": {"formatter": "{b}"},
    }  # fmt: skip


def _moment(stamp: pd.Timestamp) -> str:
    return f"{stamp:%a %Y-%m-%d %H:%M}"


def _ticks(index: pd.DatetimeIndex, most: int = 8) -> tuple[list[int], list[str]]:
    """Rows at which days, weeks, months or years begin, and what to write there."""
    days, form = index.normalize(), "%-d %b"
    if index[-1] - index[0] < pd.Timedelta(days=2):
        marks, form = index.floor("h"), "%H:%M"
    elif index[-1] - index[0] > pd.Timedelta(days=3 * 365):
        marks, form = index.year, "%Y"
    elif index[-1] - index[0] > pd.Timedelta(days=120):
        marks, form = index.year * 12 + index.month, "%b %Y"
    else:
        marks = days
    begins = np.flatnonzero(np.asarray(marks)[1:] != np.asarray(marks)[:-1]) + 1
    begins = begins[:: max(1, -(-len(begins) // most))] if len(begins) else np.array([0])
    return begins.tolist(), [f"{index[row]:{form}}" for row in begins]
