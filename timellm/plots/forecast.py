"""Forecasts as lines: measured values solid and grey, the model dotted in the accent, baselines dashed, bands shaded.

Series in original units with a time index go in, figures come out.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from timellm.evaluation.intervals import band_columns
from timellm.plots.series import thin
from timellm.plots.template import ACCENT, HISTORY, MARK, OTHERS, Look, empty, tint

_HEIGHT = 460
_FIRST = 1  # in the legend
_LEGEND_LETTERS = 34
"""Letters of a legend's line: a phone shows no more beside its mark."""
_TINTS = (0.14, 0.24, 0.24)
LINEAR_PATH, ADDED = "Linear path", "Language model adds"


@dataclass(frozen=True)
class Shown:
    """How values are shown."""

    decimals: int | None = None
    """As many as the data has; None: five digits."""
    daily: bool = False
    """Whether no timestamp has a time of day."""

    @property
    def number(self) -> str:
        """As Plotly takes it."""
        return ".5g" if self.decimals is None else f",.{self.decimals}f"


def future_chart(
    history: pd.Series,
    forecasts: Mapping[str, pd.Series],
    looks: Mapping[str, Look],
    *,
    linear_path: pd.Series | None = None,
    bands: pd.DataFrame | None = None,
    shown: Shown = Shown(),
) -> go.Figure:
    """The end of the data and the forecasts beyond it, in original units; as to `linear_path` see `_draw_parts`.

    `bands` has columns yhat-lo-80, yhat-hi-80 ... of the run's own model.
    """
    figure = _base(history, shown)
    _draw_bands(figure, bands, history, shown)
    _draw_parts(figure, forecasts, looks, linear_path, shown)
    _draw(figure, forecasts, looks, history, shown)
    end = next(iter(forecasts.values())).index[-1]
    _shade(figure, start=history.index[-1], end=end, label="after the data ends")
    return _ended(figure, first=history.index[0], last=end)


def backtest_chart(
    context: pd.Series,
    actual: pd.Series,
    forecasts: Mapping[str, pd.Series],
    looks: Mapping[str, Look],
    *,
    linear_path: pd.Series | None = None,
    bands: pd.DataFrame | None = None,
    shown: Shown = Shown(),
) -> go.Figure:
    """One window of the test part: what the models had seen, what came then, each forecast, and the own bands."""
    measured = pd.concat([context, actual])
    figure = _base(measured, shown)
    _draw_bands(figure, bands, context, shown)
    _draw_parts(figure, forecasts, looks, linear_path, shown)
    _draw(figure, forecasts, looks, context, shown)
    _shade(figure, start=context.index[-1], end=actual.index[-1], label="not seen by the model")
    return _ended(figure, first=measured.index[0], last=actual.index[-1])


def unusual_chart(points: pd.DataFrame, *, level: int, shown: Shown = Shown()) -> go.Figure:
    """Measured values with their short forecasts' band, and a mark on each value outside of it.

    `points` is indexed by time: y, yhat, lower, upper, outside (above, below or empty).
    """
    figure = _base(points["y"], shown)
    kept = thin(points["y"].to_numpy(float))
    some = points.iloc[kept]
    bands = some[["lower", "upper"]].set_axis(list(band_columns(level)), axis=1)
    _draw_bands(figure, bands, some["y"].iloc[:0], shown)
    marked = points[points["outside"] != ""]
    figure.add_trace(
        go.Scatter(
            x=marked.index, y=marked["y"], mode="markers", name="Outside the band",
            marker={"color": MARK, "size": 8, "symbol": "circle-open", "line": {"width": 2}},
            hovertemplate=f"%{{y:{shown.number}}}",
        )
    )  # fmt: skip
    return _ended(figure, first=points.index[0], last=points.index[-1])


def _base(measured: pd.Series, shown: Shown) -> go.Figure:
    figure = empty(height=_HEIGHT)
    kept = thin(measured.to_numpy(dtype=float))
    line = {"color": HISTORY, "width": 1.5}
    hover = f"%{{y:{shown.number}}}"
    x, y = measured.index[kept], measured.to_numpy()[kept]
    figure.add_trace(go.Scatter(x=x, y=y, mode="lines", name="Measured", line=line, hovertemplate=hover))
    figure.update_xaxes(hoverformat="%a %Y-%m-%d" if shown.daily else "%a %Y-%m-%d %H:%M")
    return figure


def _ended(figure: go.Figure, *, first: pd.Timestamp, last: pd.Timestamp) -> go.Figure:
    """The axis ends where the lines end, and the legend lies below it, where it takes no room from the chart."""
    figure.update_xaxes(range=[first, last])
    figure.update_layout(legend={"y": -0.17, "yanchor": "top", "traceorder": "normal"}, margin={"t": 12})
    return figure


def _line(series: pd.Series, *, name: str, look: Look, shown: Shown) -> go.Scatter:
    line = {"color": look.colour, "width": look.width, "dash": look.dash}
    hover = f"%{{y:{shown.number}}}"
    return go.Scatter(x=series.index, y=series, mode="lines", name=_wrapped(name), line=line, hovertemplate=hover)


def _wrapped(name: str) -> str:
    """A name in lines that a narrow legend can show."""
    return "<br>".join(textwrap.wrap(name, _LEGEND_LETTERS)) or name


def _shade(figure: go.Figure, *, start: pd.Timestamp, end: pd.Timestamp, label: str) -> None:
    figure.add_vrect(x0=start, x1=end, fillcolor=tint(HISTORY, 0.08), line_width=0, layer="below")
    figure.add_annotation(
        text=label, x=end, y=1, yref="paper", xanchor="right", yanchor="top", showarrow=False, font={"size": 12}
    )


def _joined(last: pd.Series, following: pd.Series) -> pd.Series:
    """The forecast with the last measured point before it, so that the lines meet."""
    before = last.dropna().iloc[-1:]
    return pd.concat([before, following]) if len(before) and before.index[0] < following.index[0] else following


def _draw_bands(figure: go.Figure, bands: pd.DataFrame | None, before: pd.Series, shown: Shown) -> None:
    """Shade the bands, the widest first, so that a narrower one lies on it; bands without a value are left out."""
    if bands is None:
        return
    levels = sorted((int(name.rsplit("-", 1)[1]) for name in bands if name.startswith("yhat-lo-")), reverse=True)
    for place, level in enumerate(levels):
        if bands[band_columns(level)[0]].isna().all():
            continue
        low, high = (_joined(before, bands[name]) for name in band_columns(level))
        ends = np.stack([low.to_numpy(float), high.to_numpy(float)], axis=1)
        line = {"width": 0, "color": ACCENT}
        below = {"mode": "lines", "line": line, "showlegend": False, "hoverinfo": "skip", "name": f"{level} low"}
        figure.add_trace(go.Scatter(x=low.index, y=low, **below))
        figure.add_trace(
            go.Scatter(
                x=high.index, y=high, mode="lines", line=line, name=f"{level} % band", fill="tonexty",
                fillcolor=tint(ACCENT, _TINTS[min(place, len(_TINTS) - 1)]), customdata=ends,
                hovertemplate=f"%{{customdata[0]:{shown.number}}} to %{{customdata[1]:{shown.number}}}",
            )
        )  # fmt: skip


def _draw_parts(
    figure: go.Figure,
    forecasts: Mapping[str, pd.Series],
    looks: Mapping[str, Look],
    linear_path: pd.Series | None,
    shown: Shown,
) -> None:
    """The linear path of the run's own model, the first of `looks`, and between the two what the rest of it adds."""
    if linear_path is None:
        return
    own = forecasts[next(iter(looks))]
    look = Look(OTHERS[0], "dash", "diamond", 1.6)
    figure.add_trace(_line(linear_path, name=LINEAR_PATH, look=look, shown=shown))
    figure.add_trace(
        go.Scatter(
            x=own.index,
            y=own,
            mode="lines",
            name=ADDED,
            line={"width": 0},
            fill="tonexty",
            fillcolor=tint(ACCENT, 0.25),
            customdata=(own - linear_path).to_numpy(),
            hovertemplate="%{customdata:+.5g}",
        )
    )


def _draw(
    figure: go.Figure, forecasts: Mapping[str, pd.Series], looks: Mapping[str, Look], after: pd.Series, shown: Shown
) -> None:
    own = next(iter(looks))
    for name, look in [*list(looks.items())[1:], (own, looks[own])]:  # the run's own lies on top
        if name in forecasts:
            figure.add_trace(_line(_joined(after, forecasts[name]), name=name, look=look, shown=shown))
    figure.update_traces(legendrank=_FIRST, selector={"name": _wrapped(own)})
