"""A forecast beside the one of other values known ahead: the area between both is their difference.

Series in original units with a time index go in, a figure comes out.
"""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from timellm.plots.forecast import future_chart
from timellm.plots.template import ACCENT, OTHERS, Look, tint

ORIGINAL, CHANGED = "Forecast", "What if"


def what_if_chart(history: pd.Series, original: pd.Series | None, changed: pd.Series) -> go.Figure:
    """The end of the data, the forecast (where there is one) and the one of other values."""
    forecasts = {CHANGED: changed} | ({ORIGINAL: original} if original is not None else {})
    looks = {ORIGINAL: Look(OTHERS[0], "dash", "diamond", 1.6), CHANGED: Look(ACCENT, "solid", "circle", 2.2)}
    figure = future_chart(history, forecasts, looks)
    if original is None:
        return figure
    between = {"mode": "lines", "line": {"width": 0}, "showlegend": False, "hoverinfo": "skip"}
    figure.add_trace(go.Scatter(x=original.index, y=original, **between))
    figure.add_trace(go.Scatter(x=changed.index, y=changed, fill="tonexty", fillcolor=tint(ACCENT, 0.2), **between))
    return figure
