"""A kept forecast as a chart: what it saw, what it said, what was changed by hand, and what came.

Inputs: the context of one channel and its points (timellm.ledger.points). Outputs: a figure.
"""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from timellm.plots.series import thin
from timellm.plots.template import ACCENT, HISTORY, MARK, OTHERS, empty, tint

_HEIGHT = 380


def kept_chart(history: pd.Series, rows: pd.DataFrame, levels: tuple[float, ...] = ()) -> go.Figure:
    """The points of one channel after the end of its context, with a band for each level that it has bounds of."""
    figure = empty(height=_HEIGHT)
    kept = thin(history.to_numpy(dtype=float))
    rows = _joined(history, rows)
    figure.add_trace(_line(history.index[kept], history.to_numpy()[kept], "Seen by the model", HISTORY, width=1.5))
    for place, level in enumerate(sorted(levels, reverse=True)):
        low, high = (rows[f"yhat-{side}-{level:g}"] for side in ("lo", "hi"))
        figure.add_trace(
            go.Scatter(x=rows["ds"], y=high, mode="lines", line={"width": 0}, showlegend=False, hoverinfo="skip")
        )
        figure.add_trace(
            go.Scatter(
                x=rows["ds"], y=low, mode="lines", line={"width": 0}, fill="tonexty", name=f"{level:g} %",
                fillcolor=tint(ACCENT, 0.12 + 0.08 * place), hoverinfo="skip",
            )
        )  # fmt: skip
    naive = _line(rows["ds"], rows["seasonal_naive"], "Seasonal naive", OTHERS[1], width=1.2, dash="dot")
    figure.add_trace(naive)
    figure.add_trace(_line(rows["ds"], rows["yhat"], "Forecast", ACCENT, width=2.2, dash="dash"))
    if rows["adjusted"].notna().any():
        by = rows["adjusted_by"].fillna("")
        trace = _line(rows["ds"], rows["adjusted"], "Adjusted", MARK, width=2.2)
        trace.update(mode="lines+markers", marker={"symbol": "diamond", "size": 6}, customdata=by)
        figure.add_trace(trace)
    if rows["y"].notna().any():
        figure.add_trace(_line(rows["ds"], rows["y"], "Actual", HISTORY, width=2.4))
    figure.update_xaxes(range=[history.index[0], rows["ds"].iloc[-1]])
    return figure


def _joined(history: pd.Series, rows: pd.DataFrame) -> pd.DataFrame:
    """The points with the last value that was seen before them, so that the lines meet."""
    last = history.dropna().iloc[-1:]
    if last.empty:
        return rows
    lines = [name for name in rows.columns if name.startswith("yhat") or name in ("seasonal_naive", "y")]
    first = pd.DataFrame({"ds": last.index, **{name: float(last.iloc[0]) for name in lines}})
    return pd.concat([first if rows["y"].notna().any() else first.drop(columns="y"), rows], ignore_index=True)


def _line(x: object, y: object, name: str, colour: str, *, width: float, dash: str = "solid") -> go.Scatter:
    return go.Scatter(
        x=x, y=y, mode="lines", name=name, line={"color": colour, "width": width, "dash": dash},
        hovertemplate="%{y:.5g}",
    )  # fmt: skip
