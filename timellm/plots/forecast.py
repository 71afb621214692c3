"""Forecasts as lines: measured values solid and grey, the model dotted in the accent, baselines dashed.

Series in original units with a time index go in, figures come out.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from timellm.plots.series import thin
from timellm.plots.template import ACCENT, HISTORY, OTHERS, Look, empty, tint

_HEIGHT = 400
LINEAR_PATH, ADDED = "Linear path", "Language model adds"


def _measured(series: pd.Series, *, name: str) -> go.Scatter:
    kept = thin(series.to_numpy(dtype=float))
    return go.Scatter(
        x=series.index[kept],
        y=series.to_numpy()[kept],
        mode="lines",
        name=name,
        line={"color": HISTORY, "width": 1.5},
        hovertemplate="%{y:.5g}",
    )


def _forecast(series: pd.Series, *, name: str, look: Look) -> go.Scatter:
    line = {"color": look.colour, "width": look.width, "dash": look.dash}
    return go.Scatter(x=series.index, y=series, mode="lines", name=name, line=line, hovertemplate="%{y:.5g}")


def _shade(figure: go.Figure, *, start: pd.Timestamp, end: pd.Timestamp, label: str) -> None:
    figure.add_vrect(x0=start, x1=end, fillcolor=tint(ACCENT, 0.07), line_width=0, layer="below")
    figure.add_annotation(
        text=label, x=end, y=1, yref="paper", xanchor="right", yanchor="top", showarrow=False, font={"size": 12}
    )


def _joined(last: pd.Series, following: pd.Series) -> pd.Series:
    """The forecast with the last measured point before it, so that the lines meet."""
    before = last.dropna().iloc[-1:]
    return pd.concat([before, following]) if len(before) and before.index[0] < following.index[0] else following


def future_chart(
    history: pd.Series,
    forecasts: Mapping[str, pd.Series],
    looks: Mapping[str, Look],
    *,
    linear_path: pd.Series | None = None,
) -> go.Figure:
    """The end of the data and the forecasts beyond it, in original units; as to `linear_path` see `_draw_parts`."""
    figure = empty(height=_HEIGHT)
    figure.add_trace(_measured(history, name="Measured"))
    _draw_parts(figure, forecasts, looks, linear_path)
    _draw(figure, forecasts, looks, after=history)
    end = next(iter(forecasts.values())).index[-1]
    _shade(figure, start=history.index[-1], end=end, label="after the data ends")
    return figure


def backtest_chart(
    context: pd.Series,
    actual: pd.Series,
    forecasts: Mapping[str, pd.Series],
    looks: Mapping[str, Look],
    *,
    linear_path: pd.Series | None = None,
) -> go.Figure:
    """One window of the test part: what the models had seen, what came then, and each forecast."""
    figure = empty(height=_HEIGHT)
    figure.add_trace(_measured(pd.concat([context, actual]), name="Measured"))
    _draw_parts(figure, forecasts, looks, linear_path)
    _draw(figure, forecasts, looks, after=context)
    _shade(figure, start=context.index[-1], end=actual.index[-1], label="not seen by the model")
    return figure


def _draw_parts(
    figure: go.Figure, forecasts: Mapping[str, pd.Series], looks: Mapping[str, Look], linear_path: pd.Series | None
) -> None:
    """The linear path of the run's own model, the first of `looks`, and between the two what the rest of it adds."""
    if linear_path is None:
        return
    own = forecasts[next(iter(looks))]
    figure.add_trace(_forecast(linear_path, name=LINEAR_PATH, look=Look(OTHERS[0], "dash", "diamond", 1.6)))
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
    figure: go.Figure, forecasts: Mapping[str, pd.Series], looks: Mapping[str, Look], *, after: pd.Series
) -> None:
    for name, look in looks.items():
        if name in forecasts:
            figure.add_trace(_forecast(_joined(after, forecasts[name]), name=name, look=look))
